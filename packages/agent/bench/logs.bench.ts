/** Lines a second and processor time a line from the engine's frames to the disk. `node ... [lines]` */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock } from "@berth/base";
import { LogCapture } from "../src/logs/capture.ts";
import { DiskLogFiles } from "../src/logs/files.ts";
import { stampOf } from "../src/logs/record.ts";
import { LogStore } from "../src/logs/store.ts";
import type { ContainerState, LogChunk } from "../src/runtime/port.ts";

const lines = Number(process.argv[2] ?? 200_000);
const key = {
  project: "p",
  environment: "e",
  stack: "s",
  service: "web",
  slot: 1,
  task: "bench1",
  release: 1,
};
const ended: ContainerState = {
  id: "c",
  name: "c",
  labels: {},
  imageId: "",
  phase: "exited",
  oomKilled: false,
};
const runtime = {
  async *logs(): AsyncGenerator<LogChunk> {
    const at = Date.UTC(2026, 0, 1);
    const bytes = Buffer.from('10.0.0.1 - "GET /index.html HTTP/1.1" 200 1234 "-" "agent"\n');
    for (let index = 0; index < lines; index++) {
      yield { stream: "stdout", at: at + index, stamp: stampOf(at + index), bytes };
    }
  },
  inspectContainer: async () => ended,
};
const directory = await mkdtemp(join(tmpdir(), "berth-logs-"));
try {
  const files = new DiskLogFiles(directory);
  const store = new LogStore({ files, clock: systemClock, log: silentLogger, node: "n" });
  const capture = new LogCapture({ runtime, store, clock: systemClock, log: silentLogger });
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const limits = { maxBytes: 100 * 1024 * 1024, maxFiles: 3 };
  capture.follow({ containerId: "c", key, attempt: 1, limits });
  await capture.drained("c");
  const elapsedMs = performance.now() - begun;
  const used = process.cpuUsage(cpu);
  const query = { project: "p", environment: "e", stack: "s", follow: false };
  const reading = performance.now();
  let read = 0;
  for await (const _line of store.read(query, new AbortController().signal)) read++;
  if (read !== lines) throw new RangeError(`${read} of ${lines} lines are stored`);
  const readMs = performance.now() - reading;
  const micros = (used.user + used.system) / lines;
  console.log(
    `store ${Math.round(lines / (elapsedMs / 1_000))} lines/s, ${micros.toFixed(1)} µs a line`,
  );
  console.log(`read ${Math.round(lines / (readMs / 1_000))} lines/s`);
} finally {
  await rm(directory, { recursive: true });
}

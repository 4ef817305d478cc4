/**
 * What an agent costs while nothing happens: 50 tasks with an HTTP probe every 5 s each, on the machine's
 * clock and sockets, with a fake engine. Prints processor use and memory of this process, which includes
 * the server that is asked; the checks that were made are counted, so that a silent agent does not win.
 *
 *     node packages/agent/bench/idle.bench.ts [seconds]
 */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, Driver, Prng, silentLogger, sleep, systemClock } from "@berth/base";
import { startAgent } from "../src/agent.ts";
import { FakeNet } from "../src/agent-box.ts";
import { FakeRuntime } from "../src/runtime/fake.ts";
import { FakeHost } from "../src/runtime/fake-host.ts";
import { fakeImage } from "../src/runtime/fake-registry.ts";
import { ScriptedServer } from "../src/sync/scripted-server.ts";
import { SAMPLE_IMAGE_ID, sampleAssignment } from "../src/task/assignment-sample.ts";

const TASKS = 50;
const INTERVAL_MS = 5_000;
const seconds = Number(process.argv[2] ?? 20);

let asked = 0;
const http = createServer((_request, response) => {
  asked++;
  response.end("ok");
}).listen(0, "127.0.0.1");
await once(http, "listening");
const { port } = http.address() as AddressInfo;

const directory = await mkdtemp(join(tmpdir(), "berth-bench-"));
const clock = systemClock;
const prng = new Prng(1);
const host = new FakeHost({ clock, prng: prng.fork() });
host.images.set(SAMPLE_IMAGE_ID, {
  ...fakeImage({ reference: "busybox" }),
  imageId: SAMPLE_IMAGE_ID,
});
const server = new ScriptedServer();
for (let n = 0; n < TASKS; n++) {
  const check = { kind: "http" as const, port, path: "/" };
  const timing = { startPeriodMs: 0, startIntervalMs: 500, timeoutMs: 2_000 };
  const ready = {
    check,
    ...timing,
    intervalMs: INTERVAL_MS,
    successThreshold: 1,
    failureThreshold: 3,
  };
  server.assign(
    sampleAssignment(`task${n + 100}`, { spec: { networkMode: "host", probes: { ready } } }),
  );
}
const agent = await startAgent({
  nodeName: "n1",
  dataDir: join(directory, "data"),
  runtimeDir: "/dev/shm",
  api: server.client,
  runtime: new FakeRuntime(host),
  net: new FakeNet(),
  clock,
  log: silentLogger,
  prng,
  driver: new Driver({ clock, log: silentLogger, prng }),
  machine: {
    taskFiles: {
      prepare: async () => [],
      seed: async () => new Uint8Array(),
      remove: async () => {},
    },
  },
});
const keepAlive = setInterval(() => {}, 1_000);
while ((agent.status().tasks.running ?? 0) < TASKS) await sleep(clock, 50);
await sleep(clock, 2_000);

const before = { cpu: process.cpuUsage(), asked, at: performance.now() };
await sleep(clock, seconds * 1_000);
const { user, system } = process.cpuUsage(before.cpu);
const elapsedMs = performance.now() - before.at;
const checks = asked - before.asked;
const share = (user + system) / 1_000 / elapsedMs;
assert(checks > (TASKS * elapsedMs) / INTERVAL_MS / 2, "the checks were made");
process.stdout.write(
  `${JSON.stringify({
    tasks: TASKS,
    checks,
    cpuPercent: Number((share * 100).toFixed(2)),
    rssMb: Math.round(process.memoryUsage().rss / 1e6),
  })}\n`,
);
clearInterval(keepAlive);
await agent.stop();
http.close();
await rm(directory, { recursive: true, force: true });

/** An engine that is killed and comes back, while a container writes on. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { LogCapture } from "../src/logs/capture.ts";
import { MemoryLogFiles } from "../src/logs/files.ts";
import { LogStore } from "../src/logs/store.ts";
import { rejectsWith } from "../src/runtime/contract-subject.ts";
import { LABEL_CLUSTER } from "../src/runtime/port.ts";
import { type OwnEngine, openOwnEngine } from "./own-engine.ts";
import { type Lab, openLab } from "./runtime-lab.ts";

const KEY = {
  project: "p",
  environment: "e",
  stack: "s",
  service: "web",
  slot: 1,
  task: "abc123",
  release: 1,
};

describe("an engine that is killed", () => {
  let engine: OwnEngine;
  let lab: Lab;
  before(async () => {
    engine = await openOwnEngine();
    await engine.start();
    lab = await openLab(4, { socketPath: engine.socketPath });
  });
  after(async () => {
    await lab.close();
    await engine.close();
  });

  it("is unavailable meanwhile, and no line of output is lost or doubled", async () => {
    const { runtime, cluster } = lab;
    const files = new MemoryLogFiles();
    const store = new LogStore({ files, clock: systemClock, log: silentLogger, node: "n" });
    const capture = new LogCapture({ runtime, store, clock: systemClock, log: silentLogger });
    const { id } = await runtime.createContainer({
      name: `${cluster}-writer`,
      labels: { [LABEL_CLUSTER]: cluster },
      imageId: lab.image.imageId,
      command: ["sh", "-c", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.05; done"],
      environment: {},
      engine: {},
      limits: {},
      mounts: [],
      network: { kind: "none" },
      stopGraceMs: 0,
    });
    await runtime.startContainer(id);
    capture.follow({
      containerId: id,
      key: KEY,
      attempt: 1,
      limits: { maxBytes: 1e6, maxFiles: 3 },
    });
    const events = runtime.events(cluster, new AbortController().signal);
    const broken = rejectsWith("unavailable", events[Symbol.asyncIterator]().next());
    const waiting = rejectsWith("unavailable", runtime.waitContainer(id));
    await runtime.runInside(id, ["sleep", "0.5"], { timeoutMs: 30_000 });
    await engine.kill();
    await Promise.all([broken, waiting]);
    await rejectsWith("unavailable", runtime.listContainers(cluster));
    await engine.start();
    assert.equal((await runtime.inspectContainer(id))?.phase, "running");
    await runtime.runInside(id, ["sleep", "0.5"], { timeoutMs: 30_000 });
    await runtime.killContainer(id, "SIGKILL");
    assert.equal((await runtime.waitContainer(id)).exitCode, 137);
    await capture.drained(id);
    const seen: string[] = [];
    const query = { project: "p", environment: "e", stack: "s", follow: false };
    for await (const { text } of store.read(query, new AbortController().signal)) seen.push(text);
    assert.ok(seen.length > 15, `${seen.length} lines`);
    assert.deepEqual(
      seen,
      Array.from({ length: seen.length }, (_, index) => `line ${index}`),
    );
  });
});

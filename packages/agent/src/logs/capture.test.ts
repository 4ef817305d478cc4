import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock, Prng, silentLogger } from "@berth/base";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeHost } from "../runtime/fake-host.ts";
import { fakeImage } from "../runtime/fake-registry.ts";
import { flowingClock } from "../runtime/flowing-clock.ts";
import { LABEL_CLUSTER } from "../runtime/port.ts";
import { LogCapture } from "./capture.ts";
import { MemoryLogFiles } from "./files.ts";
import type { LogKey } from "./key.ts";
import { ByteRate, RATE_BURST_BYTES, RATE_BYTES_PER_SECOND } from "./rate.ts";
import { LogStore } from "./store.ts";

const KEY: LogKey = {
  project: "default",
  environment: "main",
  stack: "shop",
  service: "web",
  slot: 1,
  task: "abc123",
  release: 1,
};
const LIMITS = { maxBytes: 1_000_000, maxFiles: 3 };

async function openMachine(clock: ManualClock) {
  const host = new FakeHost({ clock, prng: new Prng(1) });
  const image = fakeImage({ reference: "app:1" });
  host.images.set(image.imageId, image);
  const runtime = new FakeRuntime(host);
  const created = await runtime.createContainer({
    name: "t1",
    labels: { [LABEL_CLUSTER]: "c" },
    imageId: image.imageId,
    environment: {},
    engine: {},
    limits: {},
    mounts: [],
    network: { kind: "none" },
    stopGraceMs: 0,
  });
  await runtime.startContainer(created.id);
  const container = host.findContainer(created.id);
  assert.ok(container);
  return { host, runtime, container };
}

describe("log capture of a container", () => {
  it("outlives an engine that crashes and comes back", async () => {
    const { clock, stop } = flowingClock();
    try {
      const { host, runtime, container } = await openMachine(clock);
      const store = new LogStore({
        files: new MemoryLogFiles(),
        clock,
        log: silentLogger,
        node: "n1",
      });
      const capture = new LogCapture({ runtime, store, clock, log: silentLogger });
      capture.follow({ containerId: container.id, key: KEY, attempt: 1, limits: LIMITS });
      container.write("stdout", "before\n");
      await host.pause(1_000, undefined);
      host.crashEngine({ survive: true });
      container.write("stderr", "meanwhile\n");
      host.restartEngine();
      await host.pause(10_000, undefined);
      container.write("stdout", "without an end");
      container.end(1);
      await capture.drained(container.id);
      assert.deepEqual(await store.tail(KEY.task, 1), ["before", "meanwhile", "without an end"]);
    } finally {
      stop();
    }
  });

  it("has the last words of a container whose stream was closed before them", async () => {
    const { clock, stop } = flowingClock();
    try {
      const { host, runtime, container } = await openMachine(clock);
      const store = new LogStore({
        files: new MemoryLogFiles(),
        clock,
        log: silentLogger,
        node: "n1",
      });
      let hidden = 1;
      const hasty: Pick<typeof runtime, "logs" | "inspectContainer"> = {
        inspectContainer: (id, signal) => runtime.inspectContainer(id, signal),
        async *logs(id, since, signal) {
          for await (const chunk of runtime.logs(id, since, signal)) {
            if (hidden > 0 && chunk.stream === "stderr") return void hidden--;
            yield chunk;
          }
        },
      };
      const capture = new LogCapture({ runtime: hasty, store, clock, log: silentLogger });
      capture.follow({ containerId: container.id, key: KEY, attempt: 1, limits: LIMITS });
      container.write("stdout", "first\nwithout an end");
      await host.pause(1_000, undefined);
      container.write("stderr", "last\n");
      container.end(3);
      await capture.drained(container.id);
      assert.deepEqual(await store.tail(KEY.task, 1), ["first", "without an end", "last"]);
    } finally {
      stop();
    }
  });

  it("ends when the container is removed, and when it is closed", async () => {
    const { clock, stop } = flowingClock();
    try {
      const { runtime, container } = await openMachine(clock);
      const files = new MemoryLogFiles();
      const store = new LogStore({ files, clock, log: silentLogger, node: "n1" });
      const capture = new LogCapture({ runtime, store, clock, log: silentLogger });
      const target = { containerId: container.id, key: KEY, attempt: 1, limits: LIMITS };
      capture.follow(target);
      await capture.close();
      capture.follow({ ...target, containerId: "no-such-container" });
      await capture.drained("no-such-container");
      await capture.drained("never followed");
    } finally {
      stop();
    }
  });
});

describe("the rate of stored output", () => {
  it("lets a burst pass, then so much a second, and tells what was left out", () => {
    const clock = new ManualClock();
    const rate = new ByteRate(clock);
    assert.equal(rate.take(RATE_BURST_BYTES).kind, "keep");
    assert.equal(rate.take(100).kind, "drop");
    assert.equal(rate.take(200).kind, "drop");
    clock.advance(1_000);
    const verdict = rate.take(RATE_BYTES_PER_SECOND);
    assert.deepEqual(verdict, { kind: "keep", droppedLines: 2, droppedBytes: 300 });
    assert.match(rate.describe(verdict), /^2 lines \(300 bytes\) left out: more than 4 MiB/);
    assert.equal(rate.take(1).kind, "drop");
  });
});

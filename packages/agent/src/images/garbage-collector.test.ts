import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Prng, silentLogger } from "@berth/base";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeHost } from "../runtime/fake-host.ts";
import { fakeImage } from "../runtime/fake-registry.ts";
import { flowingClock } from "../runtime/flowing-clock.ts";
import { LABEL_CLUSTER } from "../runtime/port.ts";
import { MemoryDb } from "../state/memory-db.ts";
import { GarbageCollector } from "./garbage-collector.ts";
import { ImageLedger, memoryLedgerStore } from "./image-ledger.ts";
import { localLedgerStore } from "./local-ledger.ts";

describe("the garbage collector", () => {
  it("removes what is decided, goes on after a refusal, and keeps its ledger true", async () => {
    const { clock, stop } = flowingClock();
    try {
      const host = new FakeHost({ clock, prng: new Prng(1) });
      const runtime = new FakeRuntime(host);
      const made = ["used:1", "old:1", "kept:1", "foreign:1"].map((reference) => {
        const image = fakeImage({ reference, sizeBytes: 100 });
        host.images.set(image.imageId, image);
        return image;
      });
      const [used, old, kept] = made;
      assert.ok(used && old && kept);
      const store = memoryLedgerStore();
      const ledger = new ImageLedger(store);
      for (const image of [used, old, kept]) await ledger.noteOwn(image.imageId, clock.now());
      await ledger.noteOwn("sha256:gone", clock.now());
      // Another cluster's container uses the first: only the engine knows, and refuses.
      await runtime.createContainer({
        name: "foreign",
        labels: { [LABEL_CLUSTER]: "other" },
        imageId: used.imageId,
        environment: {},
        engine: {},
        limits: {},
        mounts: [],
        network: { kind: "none" },
        stopGraceMs: 0,
      });
      await host.pause(3_600_000, undefined);
      const policies: unknown[] = [];
      const collector = new GarbageCollector({
        runtime,
        cluster: "c",
        ledger,
        disk: async () => ({ sizeBytes: 1_000, freeBytes: 50 }),
        kept: () => new Set([kept.imageId]),
        isWanted: () => false,
        collectLogs: async (policy) => policies.push(policy),
        clock,
        log: silentLogger,
      });
      const plan = await collector.run();
      assert.equal(plan.images.length, 2);
      assert.deepEqual(
        [...host.images.values()].map(({ reference }) => reference),
        ["used:1", "kept:1", "foreign:1"],
      );
      const left = [...store.read()].map(({ imageId }) => imageId);
      assert.deepEqual(left, [used.imageId, kept.imageId]);
      assert.equal(policies.length, 1);
      assert.equal(collector.last?.refuseBuilds, true);
    } finally {
      stop();
    }
  });
});

describe("the image ledger", () => {
  it("remembers its own over a restart, and no strangers", async () => {
    const store = memoryLedgerStore();
    const ledger = new ImageLedger(store);
    await ledger.noteOwn("a", 1_000);
    await ledger.noteUse("a", 30_000);
    await ledger.noteUse("stranger", 30_000);
    assert.equal(ledger.get("a")?.lastUsedAt, 1_000);
    await ledger.noteUse("a", 100_000);
    const next = new ImageLedger(store);
    assert.equal(next.get("a")?.lastUsedAt, 100_000);
    assert.equal(next.get("stranger"), undefined);
  });
});

describe("the image ledger in the local database", () => {
  it("is read back, without rows that are none", async () => {
    const db = new MemoryDb();
    const ledger = new ImageLedger(localLedgerStore(db));
    await ledger.noteOwn("a", 1_000);
    await ledger.noteOwn("b", 2_000);
    await ledger.forget("a");
    await db.commit([{ table: "image", key: "c", value: "nonsense" }]);
    const next = [...localLedgerStore(db).read()];
    assert.deepEqual(next, [{ imageId: "b", lastUsedAt: 2_000 }]);
  });
});

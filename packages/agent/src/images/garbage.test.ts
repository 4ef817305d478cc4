import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ContainerState, ImageInfo } from "../runtime/port.ts";
import { collectGarbage, GARBAGE_POLICY, type GarbageInput } from "./garbage.ts";

const NOW = 1_000_000_000_000;
const HOUR_MS = 3_600_000;
const DISK = { sizeBytes: 1_000, freeBytes: 500 };
const FULL = { sizeBytes: 1_000, freeBytes: 150 };

function image(imageId: string, sizeBytes = 60, references: readonly string[] = []): ImageInfo {
  return { imageId, reference: imageId, sizeBytes, references, exposed: [], labels: {} };
}

function ours(imageId: string, ageMs: number, sizeBytes = 60, references: readonly string[] = []) {
  return {
    image: image(imageId, sizeBytes, references),
    record: { imageId, lastUsedAt: NOW - ageMs },
  };
}

function container(
  id: string,
  imageId: string,
  phase: ContainerState["phase"],
  finishedAt?: number,
): ContainerState {
  const end = finishedAt === undefined ? {} : { finishedAt };
  return { id, name: id, labels: {}, imageId, phase, oomKilled: false, ...end };
}

function input(changes: Partial<GarbageInput>): GarbageInput {
  return {
    now: NOW,
    disk: DISK,
    images: [],
    kept: new Set(),
    containers: [],
    isWanted: () => false,
    ...changes,
  };
}

function removed(changes: Partial<GarbageInput>) {
  const plan = collectGarbage(input(changes));
  return {
    images: plan.images.map(({ imageId }) => imageId),
    containers: plan.containers.map(({ id }) => id),
  };
}

describe("garbage", () => {
  const old = [ours("a", 9 * HOUR_MS), ours("b", 8 * HOUR_MS), ours("c", 7 * HOUR_MS)];

  it("leaves images alone while there is room", () => {
    assert.deepEqual(removed({ images: old }), { images: [], containers: [] });
  });

  it("removes the longest unused, only as many as are needed", () => {
    assert.deepEqual(removed({ disk: FULL, images: old.toReversed() }).images, ["a", "b"]);
  });

  it("never removes what a kept release refers to, by identifier, tag or digest", () => {
    const images = [
      ours("a", 9 * HOUR_MS, 900),
      ours("b", 8 * HOUR_MS, 900, ["shop:1"]),
      ours("c", 7 * HOUR_MS, 900, ["web@sha256:1"]),
    ];
    const kept = new Set(["a", "shop:1", "web@sha256:1"]);
    const plan = collectGarbage(input({ disk: { sizeBytes: 1_000, freeBytes: 0 }, images, kept }));
    assert.deepEqual(plan.images, []);
    assert.equal(plan.missingBytes, 250);
    assert.equal(plan.refuseBuilds, true);
  });

  it("never removes what Berth did not bring", () => {
    assert.deepEqual(removed({ disk: FULL, images: [{ image: image("user's") }] }).images, []);
  });

  it("keeps what was used a moment ago and what containers use", () => {
    const containers = [container("c1", "b", "running"), container("c2", "c", "created")];
    const images = [ours("a", 60_000), ours("b", 9 * HOUR_MS), ours("c", 9 * HOUR_MS)];
    assert.deepEqual(removed({ disk: FULL, images, containers }).images, []);
  });

  it("removes an image together with the last ended container that used it", () => {
    const containers = [container("c1", "a", "exited", NOW)];
    const images = [ours("a", 9 * HOUR_MS, 200)];
    assert.deepEqual(removed({ disk: FULL, images, containers }), {
      images: ["a"],
      containers: ["c1"],
    });
  });

  it("removes ended containers that nobody wants after a while", () => {
    const containers = [
      container("young", "a", "exited", NOW - HOUR_MS + 1),
      container("old", "a", "exited", NOW - HOUR_MS),
      container("unknown end", "a", "dead"),
      container("running", "a", "running"),
      container("wanted", "a", "exited", 0),
    ];
    const isWanted = ({ id }: ContainerState) => id === "wanted";
    assert.deepEqual(removed({ containers, isWanted }).containers, ["old", "unknown end"]);
  });

  it("shortens the logs while the disk is full", () => {
    assert.equal(collectGarbage(input({})).logs, undefined);
    assert.equal(collectGarbage(input({ disk: FULL })).logs, GARBAGE_POLICY.pressureLogs);
  });

  it("refuses builds from nine tenths on", () => {
    const at = (freeBytes: number) =>
      collectGarbage(input({ disk: { sizeBytes: 1_000, freeBytes } })).refuseBuilds;
    assert.deepEqual([at(101), at(100), at(0)], [false, true, true]);
  });

  it("removes nothing when the disk's size is not known", () => {
    assert.deepEqual(removed({ disk: { sizeBytes: 0, freeBytes: 0 }, images: old }).images, []);
  });

  it("never takes what is kept, used or foreign, and never more than is needed", () => {
    const Case = fc.record({
      free: fc.nat({ max: 1_000 }),
      images: fc.array(
        fc.record({
          size: fc.nat({ max: 300 }),
          ageMs: fc.nat({ max: 2 * HOUR_MS }),
          ours: fc.boolean(),
          kept: fc.boolean(),
          used: fc.boolean(),
        }),
        { maxLength: 12 },
      ),
    });
    fc.assert(
      fc.property(Case, ({ free, images }) => {
        const made = images.map((one, index) => {
          const id = `i${index}`;
          return one.ours ? ours(id, one.ageMs, one.size) : { image: image(id, one.size) };
        });
        const idsWhere = (holds: (one: (typeof images)[number]) => boolean) =>
          images.flatMap((one, index) => (holds(one) ? [`i${index}`] : []));
        const plan = collectGarbage(
          input({
            disk: { sizeBytes: 1_000, freeBytes: free },
            images: made,
            kept: new Set(idsWhere((one) => one.kept)),
            containers: idsWhere((one) => one.used).map((id) => container(id, id, "running")),
          }),
        );
        const untouchable = new Set(idsWhere((one) => one.kept || one.used || !one.ours));
        for (const { imageId } of plan.images) assert.ok(!untouchable.has(imageId));
        const goal = 1_000 - free - 750;
        const withoutLast = plan.images.slice(0, -1).reduce((sum, one) => sum + one.sizeBytes, 0);
        if (plan.images.length > 0) assert.ok(withoutLast < goal);
      }),
      { numRuns: 500, seed: 20_261_120 },
    );
  });
});

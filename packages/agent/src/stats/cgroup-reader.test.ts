import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { cgroupPaths } from "./cgroup-files.ts";
import { CgroupReader } from "./cgroup-reader.ts";

const TREES = join(import.meta.dirname, "testdata");
const USUAL = "1".repeat(64);
const ELSEWHERE = "2".repeat(64);
const FIGURES = {
  cpuNanos: 1_500_000_000,
  memoryBytes: 41_943_040,
  pids: 7,
  oomKills: 2,
  blockReadBytes: 4_097,
  blockWriteBytes: 8_194,
};

describe("figures of containers", () => {
  for (const { version, pid } of [
    { version: "v1" as const, pid: 41 },
    { version: "v2" as const, pid: 42 },
  ]) {
    const asked: string[] = [];
    const reader = (root: string) =>
      new CgroupReader({
        version,
        root,
        procRoot: join(TREES, "proc"),
        pidOf: async (id) => {
          asked.push(id);
          return id === ELSEWHERE ? pid : 0;
        },
      });

    it(`are read where the engine usually puts them (${version})`, async () => {
      assert.deepEqual(await reader(join(TREES, version)).read(USUAL), FIGURES);
      assert.deepEqual(asked, []);
    });

    it(`are found by the process where they lie elsewhere (${version})`, async () => {
      const found = await reader(join(TREES, version)).read(ELSEWHERE);
      assert.deepEqual(found, { ...FIGURES, memoryLimitBytes: 67_108_864 });
    });

    it(`are none for a container that does not run (${version})`, async () => {
      assert.equal(await reader(join(TREES, version)).read("3".repeat(64)), undefined);
    });

    it(`are looked for again when their place vanishes (${version})`, async () => {
      const root = await mkdtemp(join(tmpdir(), "berth-cgroup-"));
      try {
        await cp(join(TREES, version), root, { recursive: true });
        const subject = reader(root);
        assert.ok(await subject.read(USUAL));
        for (const tree of ["", "memory"]) {
          for (const place of [`docker/${USUAL}`, `system.slice/docker-${USUAL}.scope`]) {
            await rm(join(root, tree, place), { recursive: true, force: true });
          }
        }
        assert.equal(await subject.read(USUAL), undefined);
      } finally {
        await rm(root, { recursive: true });
      }
    });
  }
});

describe("control groups of a process", () => {
  it("are read per controller, with colons in paths", () => {
    const text = "9:cpu,cpuacct:/a:b\n4:memory:/c\n0::/d\n";
    assert.deepEqual(
      [...cgroupPaths(text)],
      [
        ["cpu", "/a:b"],
        ["cpuacct", "/a:b"],
        ["memory", "/c"],
        ["", "/d"],
      ],
    );
  });
});

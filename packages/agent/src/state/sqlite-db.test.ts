import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { LocalDb } from "./local-db.ts";
import { MemoryDb } from "./memory-db.ts";
import { SqliteDb } from "./sqlite-db.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-db-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** The same promises for disk and memory: `reopen` is what a second agent finds. */
function contract(name: string, open: () => { db: LocalDb; reopen: () => Promise<LocalDb> }): void {
  test(`${name}: what was committed is there for the next agent, nothing else`, async () => {
    const { db, reopen } = open();
    await db.commit([
      { table: "record", key: "a", value: { n: 1, text: "ä'\"\n" } },
      { table: "lock", key: "a", value: "task" },
      { table: "record", key: "b", value: { n: 2 } },
    ]);
    await db.commit([
      { table: "record", key: "a", value: { n: 3 } },
      { table: "record", key: "b", value: undefined },
      { table: "record", key: "never", value: undefined },
    ]);
    const again = await reopen();
    assert.deepEqual([...again.read("record")], [["a", { n: 3 }]]);
    assert.deepEqual([...again.read("lock")], [["a", "task"]]);
    assert.deepEqual([...again.read("meta")], []);
    await again.close();
  });

  test(`${name}: commits of one turn are stored in their order`, async () => {
    const { db, reopen } = open();
    const commits = Array.from({ length: 100 }, (_, n) =>
      db.commit([{ table: "record", key: `k${n % 7}`, value: n }]),
    );
    await Promise.all(commits);
    const again = await reopen();
    assert.deepEqual([...again.read("record").values()].sort(), [93, 94, 95, 96, 97, 98, 99]);
    await again.close();
  });
}

let files = 0;
contract("sqlite", () => {
  const path = join(directory, `${++files}`, "agent.db");
  const db = new SqliteDb(path);
  return {
    db,
    reopen: async () => {
      await db.close();
      return new SqliteDb(path);
    },
  };
});
contract("memory", () => {
  const db = new MemoryDb();
  return { db, reopen: async () => db };
});

test("a second agent on one data directory is refused", async () => {
  const path = join(directory, "twice.db");
  const first = new SqliteDb(path);
  assert.throws(() => new SqliteDb(path), { code: "conflict" });
  await first.close();
  await new SqliteDb(path).close();
});

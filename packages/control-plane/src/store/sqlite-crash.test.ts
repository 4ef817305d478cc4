import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Prng, silentLogger, systemClock } from "@berth/base";
import { eventsOf, watched } from "./contract-subject.ts";
import type { ListResult, Store } from "./port.ts";
import { openSqliteStore } from "./sqlite.ts";
import { BatchRunner } from "./sqlite-batch.ts";
import { closeDatabase, openDatabase } from "./sqlite-open.ts";

const WRITER = fileURLToPath(new URL("./sqlite-crash-writer.ts", import.meta.url));
const KILLS = 10;
const SEQUENTIAL_WRITES = 25;

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "berth-crash-"));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Runs the victim; kills it once it has told `killAfter` acknowledgements. Returns all it told. */
async function victim(args: readonly string[], killAfter: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [WRITER, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [key, revision] = line.split(" ");
    // A last line that was cut has no revision.
    if (key !== undefined && revision !== undefined) acknowledged.set(key, Number(revision));
    if (acknowledged.size === killAfter) child.kill("SIGKILL");
  }
  return acknowledged;
}

async function allEntries(store: Store): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let after = "", more = true; more; ) {
    const page = await store.list("", { after });
    for (const entry of page.entries) found.set(entry.key, entry.modRevision);
    after = page.entries.at(-1)?.key ?? "";
    more = page.more;
  }
  return found;
}

test("nothing that was acknowledged is lost when the process is killed, again and again", async (context) => {
  const path = join(await folder(context), "berth.db");
  const prng = new Prng(11);
  const acknowledged = new Map<string, number>();
  let epoch: string | undefined;
  for (let round = 1; round <= KILLS; round++) {
    const told = await victim([path, `${round}`, "20", "1000000"], prng.int(1, 800));
    for (const [key, revision] of told) acknowledged.set(key, revision);
    // Opening checks the whole file (quick_check) and that history has no hole.
    const store = await openSqliteStore({ path, clock: systemClock, log: silentLogger });
    epoch ??= store.epoch;
    assert.equal(store.epoch, epoch);
    const found = await allEntries(store);
    for (const [key, revision] of acknowledged) assert.equal(found.get(key), revision, key);
    // At most one write of each writer was under way, committed but not acknowledged.
    assert(found.size - acknowledged.size <= 20 * round);
    assert.equal(await store.currentRevision(), found.size);
    await store.close();
  }
  assert(acknowledged.size > KILLS);
});

test("from a log that is cut anywhere, the store opens with a prefix of what was written", async (context) => {
  const source = await folder(context);
  const path = join(source, "berth.db");
  await victim([path, "r", "1", String(SEQUENTIAL_WRITES)], Number.POSITIVE_INFINITY);
  const { length } = await readFile(`${path}-wal`);
  const reached = new Set<number>();
  let last = 0;
  for (const bytes of [...offsets(length), length]) {
    const cut = join(source, `cut-${bytes}`);
    await mkdir(cut);
    await copyFile(path, join(cut, "berth.db"));
    await copyFile(`${path}-wal`, join(cut, "berth.db-wal"));
    await truncate(join(cut, "berth.db-wal"), bytes);
    const revision = prefixRevision(join(cut, "berth.db"));
    assert(revision >= last, "a longer log has no less");
    last = revision;
    reached.add(revision);
    await rm(cut, { recursive: true });
  }
  assert.equal(reached.size, SEQUENTIAL_WRITES + 1);
});

test("from a log with a flipped bit, the store opens with a prefix of what was written", async (context) => {
  const source = await folder(context);
  const path = join(source, "berth.db");
  await victim([path, "r", "1", String(SEQUENTIAL_WRITES)], Number.POSITIVE_INFINITY);
  const log = await readFile(`${path}-wal`);
  const prng = new Prng(12);
  for (let round = 0; round < 60; round++) {
    const broken = join(source, `broken-${round}`);
    await mkdir(broken);
    await copyFile(path, join(broken, "berth.db"));
    const bytes = Buffer.from(log);
    const offset = prng.int(0, bytes.length - 1);
    bytes[offset] = (bytes[offset] ?? 0) ^ (1 << prng.int(0, 7));
    await writeFile(join(broken, "berth.db-wal"), bytes);
    assert(prefixRevision(join(broken, "berth.db")) <= SEQUENTIAL_WRITES);
    await rm(broken, { recursive: true });
  }
});

test("after a crash, watches resume from every revision", async (context) => {
  const path = join(await folder(context), "berth.db");
  await victim([path, "r", "1", String(SEQUENTIAL_WRITES)], Number.POSITIVE_INFINITY);
  const store = await openSqliteStore({ path, clock: systemClock, log: silentLogger });
  context.after(() => store.close());
  for (let from = 1; from <= SEQUENTIAL_WRITES; from++) {
    const events = eventsOf(await watched(store, "k/", from, SEQUENTIAL_WRITES));
    assert.deepEqual(
      events.map((event) => event.revision),
      Array.from({ length: SEQUENTIAL_WRITES - from + 1 }, (_, index) => from + index),
    );
  }
});

/** Steps that fall on all places of a page. */
function offsets(length: number): number[] {
  return Array.from({ length: Math.ceil(length / 2_741) }, (_, index) => index * 2_741);
}

/** Opens the file without a worker; asserts that it holds writes 1 to r and nothing else; returns r. */
function prefixRevision(path: string): number {
  const options = { path, historyRevisionsMax: 1_000, databaseBytesMax: 2 ** 30 };
  const database = openDatabase(options);
  const runner = new BatchRunner(database, options);
  const { replies } = runner.run([{ kind: "list", prefix: "", limit: 1_000 }]);
  closeDatabase(database, path);
  const [reply] = replies;
  assert(reply?.ok === true);
  const { entries, revision } = reply.answer as ListResult;
  const indices = entries.map((entry) => Number(entry.key.split("/").at(-1)));
  indices.sort((a, b) => a - b);
  assert.deepEqual(
    indices,
    Array.from({ length: revision }, (_, index) => index + 1),
  );
  return revision;
}

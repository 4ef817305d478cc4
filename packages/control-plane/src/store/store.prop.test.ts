import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManualClock, silentLogger } from "@berth/base";
import fc from "fast-check";
import { ModelStore } from "./contract-model.ts";
import { change, eventsOf, watched } from "./contract-subject.ts";
import { MemoryStore } from "./memory.ts";
import type { Compare, Operation, Store, Txn, WatchEvent } from "./port.ts";
import { openSqliteStore } from "./sqlite.ts";
import { decodeEvents, encodeEvents } from "./sqlite-history.ts";

const SEED = 20_261;

type Step =
  | { readonly kind: "txn"; readonly txn: Txn }
  | {
      readonly kind: "list";
      readonly prefix: string;
      readonly limit: number;
      readonly back: number;
    }
  | { readonly kind: "compact"; readonly back: number };

const key = fc.constantFrom("a", "a/1", "a/2", "a/2/x", "b", "b/1", "b~");
const prefix = fc.constantFrom("", "a", "a/", "a/2", "b", "c");
const value = fc.constantFrom('"x"', '"y"', "1", '{"ü":"€"}');

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("put" as const), key, value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete-prefix" as const), prefix }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("get" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("list" as const), prefix }) },
);

const op = fc.constantFrom("=", "!=", "<", ">");
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    key,
    target: fc.constantFrom("modRevision", "createRevision", "version"),
    op,
    value: fc.nat({ max: 6 }),
  }),
  fc.record({ key, target: fc.constant("value" as const), op, value }),
);

const txn: fc.Arbitrary<Txn> = fc
  .record({
    compare: fc.array(compare, { maxLength: 2 }),
    then: fc.array(operation, { maxLength: 4 }).map(changingOnce),
    otherwise: fc.array(operation, { maxLength: 3 }).map(changingOnce),
  })
  .map(({ compare: conditions, ...branches }) => ({ compare: conditions, ...branches }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("txn" as const), txn }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      prefix,
      limit: fc.integer({ min: 1, max: 4 }),
      back: fc.nat({ max: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("compact" as const), back: fc.nat({ max: 8 }) }),
  },
);

/** Drops operations that would change a key a second time, which a store refuses. */
function changingOnce(operations: readonly Operation[]): Operation[] {
  const kept: Operation[] = [];
  const clashes = (a: Operation, b: Operation): boolean => {
    const [first, second] = [scope(a), scope(b)];
    if (first === undefined || second === undefined) return false;
    if (first.exact && second.exact) return first.text === second.text;
    if (first.exact) return first.text.startsWith(second.text);
    if (second.exact) return second.text.startsWith(first.text);
    return first.text.startsWith(second.text) || second.text.startsWith(first.text);
  };
  for (const next of operations) if (!kept.some((other) => clashes(other, next))) kept.push(next);
  return kept;
}

function scope(operation: Operation): { text: string; exact: boolean } | undefined {
  if (operation.kind === "put" || operation.kind === "delete") {
    return { text: operation.key, exact: true };
  }
  return operation.kind === "delete-prefix" ? { text: operation.prefix, exact: false } : undefined;
}

/** Does `steps` on a store and on the model; everything said must be the same. */
async function agree(store: Store, steps: readonly Step[]): Promise<void> {
  await change(store, { kind: "delete-prefix", prefix: "" });
  const model = new ModelStore(await store.currentRevision());
  await store.compact(model.revision);
  for (const next of steps) await agreeOn(store, model, next);
  assert.equal(await store.currentRevision(), model.revision);
  for (let from = model.compactRevision + 1; from <= model.revision + 1; from++) {
    const seen = eventsOf(await watched(store, "", from, model.revision));
    assert.deepEqual(seen, model.eventsFrom(from));
    const below = eventsOf(await watched(store, "a/", from, model.revision));
    const expected = model.eventsFrom(from).filter((event) => event.key.startsWith("a/"));
    assert.deepEqual(below, expected);
  }
}

async function agreeOn(store: Store, model: ModelStore, next: Step): Promise<void> {
  if (next.kind === "txn") {
    assert.deepEqual(await store.txn(next.txn), model.txn(next.txn));
    return;
  }
  const revision = Math.max(model.compactRevision, model.revision - next.back);
  if (next.kind === "compact") {
    await store.compact(revision);
    model.compactRevision = revision;
    return;
  }
  const found = [];
  for (let more = true; more; ) {
    const last = found.at(-1)?.key;
    const after = last === undefined ? {} : { after: last };
    const page = await store.list(next.prefix, {
      limit: next.limit,
      atRevision: revision,
      ...after,
    });
    assert(page.entries.length <= next.limit);
    found.push(...page.entries);
    more = page.more;
  }
  assert.deepEqual(found, model.list(next.prefix, revision));
}

test("the memory store says what the model says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const store = new MemoryStore({ clock: new ManualClock() });
      await agree(store, steps);
      await store.close();
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("the SQLite store says what the model says, and again after opening", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "berth-store-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  const open = () =>
    openSqliteStore({
      path: join(folder, "berth.db"),
      clock: new ManualClock(),
      log: silentLogger,
    });
  let store = await open();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      // From time to time without what is in memory; one file for all runs keeps this quick.
      if (++runs % 10 === 0) {
        await store.close();
        store = await open();
      }
      await agree(store, steps);
    }),
    { seed: SEED, numRuns: 60 },
  );
  await store.close();
});

test("events of a revision come back from their history row", () => {
  const text = fc.string({ unit: "binary" });
  const entry = fc
    .record({ value: text, create: fc.nat(), mod: fc.nat(), version: fc.nat(), lease: fc.nat(3) })
    .map(({ value: text, create, mod, version, lease }) => ({
      value: text,
      createRevision: create,
      modRevision: mod,
      version,
      ...(lease === 0 ? {} : { leaseId: lease }),
    }));
  const event = fc
    .record({ key, entry: fc.option(entry), previous: entry, isNew: fc.boolean() })
    .map(({ key, entry, previous, isNew }): WatchEvent => {
      const before = { previous: { key, ...previous } };
      if (entry === null) return { type: "delete", key, revision: 9, ...before };
      return { type: "put", key, revision: 9, entry: { key, ...entry }, ...(isNew ? {} : before) };
    });
  fc.assert(
    fc.property(fc.array(event), (events) => {
      assert.deepEqual(decodeEvents(encodeEvents(9, events)), events);
    }),
    { seed: SEED },
  );
});

/**
 * The contract of the store: what every implementation does, as one suite of tests that runs for each
 * (`store.contract.test.ts`). Part by part: reads and transactions, conditions, limits, leases, watches
 * (`contract-watch.ts`), random operations against a slow model (`contract-model.ts`), and behaviour
 * under faults (`contract-faults.ts`).
 */

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { change, type MakeSubject, put, type StoreSubject } from "./contract-subject.ts";
import { type ContractTest, watchContract } from "./contract-watch.ts";
import {
  KEY_BYTES_MAX,
  LIST_PAGE_BYTES_MAX,
  TXN_BYTES_MAX,
  TXN_OPERATIONS_MAX,
  VALUE_BYTES_MAX,
} from "./limits.ts";
import type { Compare, CompareOp, Store } from "./port.ts";

/** Runs the suite for the stores that `makeSubject` makes. */
export function storeContract(name: string, makeSubject: MakeSubject): void {
  const it = (title: string, run: (subject: StoreSubject, context: TestContext) => Promise<void>) =>
    test(title, async (context) => run(await makeSubject(context), context));
  describe(`store contract: ${name}`, () => {
    readContract(it);
    pageContract(it);
    txnContract(it);
    branchContract(it);
    compareContract(it);
    limitContract(it);
    leaseContract(it);
    lifeContract(it);
    watchContract(it);
  });
}

function readContract(it: ContractTest): void {
  it("an empty store is at revision 0 and has nothing", async ({ store }) => {
    assert.equal(await store.currentRevision(), 0);
    assert.deepEqual(await store.get("a"), { entry: undefined, revision: 0 });
    assert.deepEqual(await store.list(""), { entries: [], revision: 0, more: false });
  });

  it("versions count puts, and begin anew with a key that was deleted", async ({ store }) => {
    await put(store, "a", "1");
    await put(store, "a", "2");
    const entry = { key: "a", value: "2", createRevision: 1, modRevision: 2, version: 2 };
    assert.deepEqual(await store.get("a"), { entry, revision: 2 });
    await change(store, { kind: "delete", key: "a" });
    await put(store, "a", "3");
    const again = { key: "a", value: "3", createRevision: 4, modRevision: 4, version: 1 };
    assert.deepEqual(await store.get("a"), { entry: again, revision: 4 });
  });

  it("values come back byte for byte", async ({ store }) => {
    const texts = ['"ü€😀"', '"\\u0000\\n\'\\""', JSON.stringify("\ud800"), "", "  ", "\u2028\0x"];
    for (const [index, text] of texts.entries()) await put(store, `k/${index}`, text);
    const { entries } = await store.list("k/");
    assert.deepEqual(
      entries.map((entry) => entry.value),
      texts,
    );
  });

  it("a read that asks for a later revision than there is is refused", async ({ store }) => {
    const { revision } = await put(store, "a", "1");
    assert.equal((await store.get("a", { minRevision: revision })).revision, revision);
    await assert.rejects(store.get("a", { minRevision: 2 }), { storeCode: "future-revision" });
    await assert.rejects(store.list("a", { atRevision: 2 }), { storeCode: "future-revision" });
  });

  it("a call with a signal that has aborted is not begun", async ({ store }) => {
    const reason = new RangeError("changed my mind");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(store.get("a", { signal }), reason);
    await assert.rejects(store.txn({ compare: [], then: [] }, { signal }), reason);
    assert.equal(await store.currentRevision(), 0);
  });
}

function pageContract(it: ContractTest): void {
  it("a list is in order of key and goes on after the last one", async ({ store }) => {
    const keys = ["a", "a b", "a!", "a-", "a/", "a/b", "a0", "aZ", "a~", "b"];
    const shuffled = ["b", "a~", "a!", "a/b", "a", "aZ", "a0", "a b", "a/", "a-"];
    await change(store, ...shuffled.map((key) => ({ kind: "put", key, value: "1" }) as const));
    const found: string[] = [];
    for (let more = true; more; ) {
      const last = found.at(-1);
      const page = await store.list("", {
        limit: 3,
        ...(last === undefined ? {} : { after: last }),
      });
      found.push(...page.entries.map((entry) => entry.key));
      more = page.more;
    }
    assert.deepEqual(found, keys);
    const below = await store.list("a/");
    assert.deepEqual(
      below.entries.map((entry) => entry.key),
      ["a/", "a/b"],
    );
  });

  it("pages of one list show one revision, whatever is written meanwhile", async ({ store }) => {
    for (const key of ["k/1", "k/2", "k/3", "k/4"]) await put(store, key, '"old"');
    const first = await store.list("k/", { limit: 2 });
    await change(store, { kind: "delete", key: "k/3" }, { kind: "put", key: "k/35", value: "1" });
    await change(store, { kind: "put", key: "k/4", value: '"new"' });
    await change(store, { kind: "put", key: "k/3", value: '"again"' });
    const rest = await store.list("k/", { after: "k/2", atRevision: first.revision });
    assert.deepEqual(
      [...first.entries, ...rest.entries].map(({ key, value }) => [key, value]),
      [
        ["k/1", '"old"'],
        ["k/2", '"old"'],
        ["k/3", '"old"'],
        ["k/4", '"old"'],
      ],
    );
    assert.deepEqual([rest.more, rest.revision], [false, first.revision]);
  });

  it("a page ends where it gets too large, and says that there is more", async ({ store }) => {
    const value = JSON.stringify("x".repeat(VALUE_BYTES_MAX - 2));
    const count = LIST_PAGE_BYTES_MAX / VALUE_BYTES_MAX + 2;
    for (let index = 0; index < count; index++) await put(store, `k/${index}`, value);
    const page = await store.list("k/");
    assert.equal(page.more, true);
    assert.equal(page.entries.length, count - 2);
    const rest = await store.list("k/", { after: page.entries.at(-1)?.key ?? "" });
    assert.deepEqual([rest.entries.length, rest.more], [2, false]);
  });

  it("lists of a compacted state are refused, the state at the compaction is known", async ({
    store,
  }) => {
    for (const value of ["1", "2", "3"]) await put(store, "a", value);
    await store.compact(2);
    assert.equal((await store.list("a", { atRevision: 2 })).entries[0]?.value, "2");
    await assert.rejects(store.list("a", { atRevision: 1 }), {
      storeCode: "compacted",
      compactRevision: 2,
    });
  });
}

function txnContract(it: ContractTest): void {
  it("a transaction that changes nothing leaves the revision", async ({ store }) => {
    await put(store, "a", "1");
    const nothing = await store.txn({
      compare: [],
      then: [
        { kind: "delete", key: "b" },
        { kind: "delete-prefix", prefix: "c/" },
        { kind: "get", key: "a" },
      ],
    });
    const entry = { key: "a", value: "1", createRevision: 1, modRevision: 1, version: 1 };
    assert.deepEqual(nothing, {
      succeeded: true,
      revision: 1,
      results: [
        { kind: "delete", deleted: 0 },
        { kind: "delete-prefix", deleted: 0 },
        { kind: "get", entry },
      ],
    });
  });

  it("operations see what earlier ones of their transaction did", async ({ store }) => {
    await change(
      store,
      { kind: "put", key: "a/1", value: "1" },
      { kind: "put", key: "b", value: "2" },
    );
    const { results, revision } = await change(
      store,
      { kind: "delete-prefix", prefix: "a/" },
      { kind: "put", key: "b", value: "3" },
      { kind: "list", prefix: "" },
      { kind: "get", key: "a/1" },
    );
    assert.equal(revision, 2);
    const entry = { key: "b", value: "3", createRevision: 1, modRevision: 2, version: 2 };
    assert.deepEqual(results, [
      { kind: "delete-prefix", deleted: 1 },
      { kind: "put" },
      { kind: "list", entries: [entry], more: false },
      { kind: "get", entry: undefined },
    ]);
  });
}

function branchContract(it: ContractTest): void {
  it("when a condition fails, the other branch is done and nothing of the first", async ({
    store,
  }) => {
    await put(store, "a", "1");
    const result = await store.txn({
      compare: [
        { key: "a", target: "modRevision", op: "=", value: 1 },
        { key: "b", target: "version", op: ">", value: 0 },
      ],
      then: [{ kind: "delete", key: "a" }],
      otherwise: [{ kind: "put", key: "c", value: "1" }],
    });
    assert.deepEqual([result.succeeded, result.revision], [false, 2]);
    assert.deepEqual(
      (await store.list("")).entries.map((entry) => entry.key),
      ["a", "c"],
    );
  });

  it("of concurrent writers that compare, each change is on top of the last", async ({ store }) => {
    let succeeded = 0;
    const increment = async (): Promise<void> => {
      for (let round = 0; round < 10; ) {
        const { entry } = await store.get("counter");
        const value = entry === undefined ? 1 : Number(entry.value) + 1;
        const result = await store.txn({
          compare: [
            { key: "counter", target: "modRevision", op: "=", value: entry?.modRevision ?? 0 },
          ],
          then: [{ kind: "put", key: "counter", value: String(value) }],
        });
        if (!result.succeeded) continue;
        succeeded++;
        round++;
      }
    };
    await Promise.all(Array.from({ length: 8 }, increment));
    const { entry, revision } = await store.get("counter");
    assert.deepEqual([entry?.value, entry?.version, revision, succeeded], ["80", 80, 80, 80]);
  });
}

function compareContract(it: ContractTest): void {
  it("comparisons hold as their table says", async ({ store }) => {
    await put(store, "a", '"m"');
    await put(store, "a", '"n"');
    const holds = async (compare: Compare) =>
      (await store.txn({ compare: [compare], then: [] })).succeeded;
    const number = (target: "modRevision" | "createRevision" | "version", key: string) =>
      table(store, (op, value) => holds({ key, target, op, value: Number(value) }), [
        "0",
        "1",
        "2",
        "3",
      ]);
    const text = (key: string) =>
      table(store, (op, value) => holds({ key, target: "value", op, value }), [
        '"m"',
        '"n"',
        '"z"',
      ]);
    assert.deepEqual(
      {
        modRevision: await number("modRevision", "a"),
        createRevision: await number("createRevision", "a"),
        version: await number("version", "a"),
        absent: await number("modRevision", "b"),
        value: await text("a"),
        absentValue: await text("b"),
      },
      {
        modRevision: "= 2, > 0 1, < 3, != 0 1 3",
        createRevision: "= 1, > 0, < 2 3, != 0 2 3",
        version: "= 2, > 0 1, < 3, != 0 1 3",
        absent: "= 0, >, < 1 2 3, != 1 2 3",
        value: '= "n", > "m", < "z", != "m" "z"',
        absentValue: "=, >, <, !=",
      },
    );
  });
}

/** `op value value, op ...`: for which of `values` each operator holds. */
async function table(
  _store: Store,
  holds: (op: CompareOp, value: string) => Promise<boolean>,
  values: readonly string[],
): Promise<string> {
  const rows: string[] = [];
  for (const op of ["=", ">", "<", "!="] as const) {
    const found: string[] = [op];
    for (const value of values) if (await holds(op, value)) found.push(value);
    rows.push(found.join(" "));
  }
  return rows.join(", ");
}

function limitContract(it: ContractTest): void {
  it("what is over a limit is refused with the limit's name, and nothing is changed", async ({
    store,
  }) => {
    const operations = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ kind: "get", key: `k/${index}` }) as const);
    const value = "x".repeat(VALUE_BYTES_MAX);
    const large = "x".repeat(TXN_BYTES_MAX / 2);
    await change(store, ...operations(TXN_OPERATIONS_MAX));
    await put(store, "k".repeat(KEY_BYTES_MAX), "1");
    await put(store, "largest", value);
    const refused: readonly (readonly [string, Promise<unknown>])[] = [
      ["transaction operations", change(store, ...operations(TXN_OPERATIONS_MAX + 1))],
      ["key bytes", put(store, "k".repeat(KEY_BYTES_MAX + 1), "1")],
      ["value bytes", put(store, "a", `${value}x`)],
      [
        "transaction bytes",
        change(
          store,
          { kind: "put", key: "a", value: large },
          { kind: "put", key: "b", value: large },
        ),
      ],
    ];
    for (const [limit, call] of refused) {
      await assert.rejects(call, (error: { details?: unknown }) => {
        assert.equal(Object(error.details)["limit"], limit);
        return Object(error)["code"] === "limit_exceeded";
      });
    }
    assert.equal(await store.currentRevision(), 2);
  });

  it("ill-formed keys, values and transactions are refused", async ({ store }) => {
    const invalid = { storeCode: "invalid" };
    for (const key of ["", "ü", "a\nb", "a\u007f"]) {
      await assert.rejects(put(store, key, "1"), invalid);
      await assert.rejects(store.get(key), invalid);
    }
    await assert.rejects(put(store, "a", "\ud800"), invalid);
    const putA = { kind: "put", key: "a/1", value: "1" } as const;
    await assert.rejects(change(store, putA, putA), invalid);
    await assert.rejects(change(store, putA, { kind: "delete", key: "a/1" }), invalid);
    await assert.rejects(change(store, putA, { kind: "delete-prefix", prefix: "a/" }), invalid);
    await assert.rejects(store.list("a", { limit: 0 }), invalid);
    await assert.rejects(store.list("a", { limit: 1.5 }), invalid);
    assert.equal(await store.currentRevision(), 0);
  });
}

function leaseContract(it: ContractTest): void {
  const TTL_MS = 60_000;

  it("a lease's entries vanish in one revision when it is not kept alive", async (subject) => {
    const { store, advance, leaseTtlMs = TTL_MS } = subject;
    const { leaseId } = await store.grantLease(leaseTtlMs);
    const attached = ["a", "b"].map((key) => ({ kind: "put", key, value: "1", leaseId }) as const);
    await change(store, ...attached, { kind: "put", key: "c", value: "1" });
    assert.equal((await store.get("a")).entry?.leaseId, leaseId);
    await advance(leaseTtlMs / 2);
    await store.keepAlive(leaseId);
    await advance(leaseTtlMs * 0.75);
    assert.equal((await store.list("")).entries.length, 3);
    await advance(leaseTtlMs);
    const { entries, revision } = await store.list("");
    assert.deepEqual([entries.map((entry) => entry.key), revision], [["c"], 2]);
    await assert.rejects(store.keepAlive(leaseId), { storeCode: "lease-not-found" });
  });

  it("a lease that is revoked takes its entries, and only those still attached", async ({
    store,
  }) => {
    const { leaseId } = await store.grantLease(TTL_MS);
    await change(store, { kind: "put", key: "a", value: "1", leaseId });
    await change(store, { kind: "put", key: "b", value: "1", leaseId });
    await put(store, "b", "2");
    await store.revokeLease(leaseId);
    await store.revokeLease(leaseId);
    assert.deepEqual(
      (await store.list("")).entries.map((entry) => entry.key),
      ["b"],
    );
    const late = change(store, { kind: "put", key: "a", value: "1", leaseId });
    await assert.rejects(late, { storeCode: "lease-not-found" });
    assert.equal(await store.currentRevision(), 4);
    assert.notEqual((await store.grantLease(TTL_MS)).leaseId, leaseId);
  });

  it("a transaction with an ended lease is refused as a whole", async ({ store }) => {
    const refused = change(
      store,
      { kind: "put", key: "a", value: "1" },
      { kind: "put", key: "b", value: "1", leaseId: 77 },
    );
    await assert.rejects(refused, { storeCode: "lease-not-found" });
    assert.deepEqual(await store.list(""), { entries: [], revision: 0, more: false });
  });

  it("leases outside of their limits are refused", async ({ store }) => {
    await assert.rejects(store.grantLease(0), { storeCode: "invalid" });
    await assert.rejects(store.grantLease(Number.NaN), { storeCode: "invalid" });
    await assert.rejects(store.grantLease(1e12), { storeCode: "too-large" });
  });
}

function lifeContract(it: ContractTest): void {
  it("a closed store refuses calls and ends its watches", async ({ store }) => {
    await put(store, "a", "1");
    const watch = store.watch("", 2, new AbortController().signal)[Symbol.asyncIterator]();
    const ended = assert.rejects(Promise.resolve(watch.next()), { storeCode: "closed" });
    await store.close();
    await ended;
    await assert.rejects(store.get("a"), { storeCode: "closed" });
    await assert.rejects(put(store, "a", "2"), { storeCode: "closed" });
    await assert.rejects(store.currentRevision(), { storeCode: "closed" });
    await store.close();
  });
}

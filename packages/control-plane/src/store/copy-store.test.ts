import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { copyStore, refuseHalfCopy } from "./copy-store.ts";
import { TXN_OPERATIONS_MAX } from "./limits.ts";
import { MemoryStore } from "./memory.ts";
import type { Operation, Store } from "./port.ts";

function memory(): MemoryStore {
  return new MemoryStore({ clock: new ManualClock() });
}

async function content(store: Store): Promise<[string, string][]> {
  const { entries } = await store.list("", { limit: 10_000 });
  return entries.map(({ key, value }) => [key, value]);
}

async function filled(count: number): Promise<MemoryStore> {
  const store = memory();
  for (let index = 0; index < count; index++) {
    const put = { kind: "put", key: `p/e/${index}`, value: `"${index} ü"` } as const;
    await store.txn({ compare: [], then: [put] });
  }
  return store;
}

test("everything is copied, across several transactions", async () => {
  const from = await filled(TXN_OPERATIONS_MAX * 2 + 3);
  const to = memory();
  const copied = await copyStore(from, to);
  assert.deepEqual(copied, { entries: 259, revision: 259 });
  assert.deepEqual(await content(to), await content(from));
  await refuseHalfCopy(to);
});

test("large values go in transactions within the limit", async () => {
  const from = memory();
  const value = JSON.stringify("x".repeat(900_000));
  for (const key of ["a", "b", "c"]) {
    await from.txn({ compare: [], then: [{ kind: "put", key, value }] });
  }
  const to = memory();
  await copyStore(from, to);
  assert.deepEqual(await content(to), await content(from));
});

test("what hangs on a lease is left out", async () => {
  const from = await filled(2);
  const { leaseId } = await from.grantLease(60_000);
  const leased: Operation = { kind: "put", key: "-/-/leader/self", value: "1", leaseId };
  await from.txn({ compare: [], then: [leased] });
  const to = memory();
  assert.equal((await copyStore(from, to)).entries, 2);
  assert.equal((await to.get("-/-/leader/self")).entry, undefined);
});

test("a store that is not empty is not copied into", async () => {
  const to = await filled(1);
  await assert.rejects(copyStore(await filled(2), to), { storeCode: "invalid" });
  assert.equal((await content(to)).length, 1);
});

test("a copy that was interrupted is refused by servers and not gone on with", async () => {
  const from = await filled(300);
  const to = memory();
  const txn = to.txn.bind(to);
  let writes = 0;
  to.txn = async (...args) => {
    if (++writes === 3) throw new RangeError("power is lost");
    return txn(...args);
  };
  await assert.rejects(copyStore(from, to), { message: "power is lost" });
  to.txn = txn;
  await assert.rejects(refuseHalfCopy(to), { storeCode: "corrupt" });
  await assert.rejects(copyStore(from, to), { storeCode: "invalid" });
});

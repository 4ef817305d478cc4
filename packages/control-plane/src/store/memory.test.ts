import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { MemoryStore } from "./memory.ts";

test("a list and a watch from the next revision show every change once", async () => {
  const store = new MemoryStore({ clock: new ManualClock() });
  await store.txn({ compare: [], then: [{ kind: "put", key: "a/1", value: "1" }] });
  const listed = await store.list("a/");
  await store.txn({ compare: [], then: [{ kind: "put", key: "b/1", value: "1" }] });
  await store.txn({ compare: [], then: [{ kind: "delete", key: "a/1" }] });
  const ended = new AbortController();
  const seen: unknown[] = [];
  for await (const batch of store.watch("a/", listed.revision + 1, ended.signal)) {
    seen.push(batch);
    break;
  }
  const previous = { key: "a/1", value: "1", createRevision: 1, modRevision: 1, version: 1 };
  assert.deepEqual(seen, [
    { revision: 3, events: [{ type: "delete", key: "a/1", revision: 3, previous }] },
  ]);
});

test("a snapshot is refused when there is nowhere to write it", async () => {
  const store = new MemoryStore({ clock: new ManualClock() });
  await assert.rejects(store.snapshot("x"), { code: "not_implemented" });
});

test("a snapshot holds the current entries in order of key", async () => {
  const written = new Map<string, string>();
  const store = new MemoryStore({
    clock: new ManualClock(),
    writeSnapshot: async (path, json) => void written.set(path, json),
  });
  const then = ["b", "a"].map((key) => ({ kind: "put", key, value: `"${key}"` }) as const);
  await store.txn({ compare: [], then });
  await store.snapshot("copy.json");
  const state: unknown = JSON.parse(written.get("copy.json") ?? "");
  const entry = { createRevision: 1, modRevision: 1, version: 1 };
  assert.deepEqual(state, {
    revision: 1,
    entries: [
      { key: "a", value: '"a"', ...entry },
      { key: "b", value: '"b"', ...entry },
    ],
  });
});

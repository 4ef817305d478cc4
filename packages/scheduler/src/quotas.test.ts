import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { explainQuota, type Quota, QuotaBook, type QuotaHolder } from "./quotas.ts";

const holder = (id: string, copy: string, memoryBytes: number): QuotaHolder => ({
  id,
  copy,
  requests: { memoryBytes },
});

test("what would go over a limit is refused with used, asked and limit", () => {
  const book = new QuotaBook({ memoryBytes: 4 * 2 ** 30, tasks: 3, resources: { gpu: 1 } });
  assert.equal(book.admit([holder("a", "web/1", 3 * 2 ** 30)]), undefined);
  const excess = book.admit([holder("b", "web/2", 2 * 2 ** 30)]);
  assert.ok(excess !== undefined);
  assert.equal(
    explainQuota(excess, "shop"),
    "quota memory of project shop: 3 GiB used, 2 GiB asked, limit 4 GiB",
  );
  const gpus = { id: "c", copy: "web/3", requests: { resources: { gpu: 2 } } };
  const devices = book.admit([gpus]);
  assert.ok(devices !== undefined);
  assert.equal(
    explainQuota(devices, "shop"),
    "quota gpu of project shop: none used, 2 asked, limit 1",
  );
});

test("a copy that is replaced counts once, as the larger of its tasks", () => {
  const book = new QuotaBook({ memoryBytes: 10, tasks: 1 });
  book.hold(holder("old", "web/1", 10));
  assert.equal(book.admit([holder("new", "web/1", 8)]), undefined);
  assert.equal(book.used("memory"), 10);
  book.release("old");
  assert.equal(book.used("memory"), 8);
  assert.equal(book.used("tasks"), 1);
  assert.equal(book.admit([holder("larger", "web/1", 11)])?.asked, 3);
});

test("a pod is admitted as a whole or not at all", () => {
  const book = new QuotaBook({ tasks: 2 });
  assert.equal(book.admit([holder("a", "a/1", 0), holder("b", "b/1", 0)]), undefined);
  book.release("a");
  assert.notEqual(book.admit([holder("c", "c/1", 0), holder("d", "d/1", 0)]), undefined);
  assert.equal(book.used("tasks"), 1);
});

test("a limit that is exceeded already stops only what adds to it", () => {
  const book = new QuotaBook({ memoryBytes: 10 });
  book.hold(holder("a", "web/1", 20));
  assert.notEqual(book.admit([holder("b", "web/2", 1)]), undefined);
  assert.equal(book.admit([holder("c", "web/3", 0)]), undefined);
});

/** The sum over copies of the largest of their tasks, by the definition. */
function counted(held: readonly QuotaHolder[]): number {
  const copies = Map.groupBy(held, ({ copy }) => copy);
  return [...copies.values()].reduce(
    (sum, tasks) => sum + Math.max(...tasks.map(({ requests }) => requests.memoryBytes ?? 0)),
    0,
  );
}

test("whatever comes and goes, the book holds what the definition says, and never admits beyond a limit", () => {
  let refused = 0;
  const step = fc.record({
    id: fc.constantFrom("a", "b", "c", "d", "e"),
    copy: fc.constantFrom("web/1", "web/2", "db/1"),
    memory: fc.nat(6),
    leaves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(15), (steps, limit) => {
      const book = new QuotaBook({ memoryBytes: limit } satisfies Quota);
      const held = new Map<string, QuotaHolder>();
      for (const { id, copy, memory, leaves } of steps) {
        if (leaves) {
          book.release(id);
          held.delete(id);
        } else if (!held.has(id)) {
          const next = holder(id, copy, memory);
          const before = counted([...held.values()]);
          const after = counted([...held.values(), next]);
          const excess = book.admit([next]);
          assert.equal(
            excess === undefined,
            after <= limit || after === before,
            `${after}/${limit}`,
          );
          if (excess === undefined) held.set(id, next);
          else refused++;
        }
        assert.equal(book.used("memory"), counted([...held.values()]));
        assert.equal(book.used("tasks"), new Set([...held.values()].map((each) => each.copy)).size);
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
  assert.ok(refused > 50, `${refused} refused`);
});

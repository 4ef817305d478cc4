/** Merged lines: all of them, once, in order of time where they are stored. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import type { LogLine } from "@berth/protocol";
import fc from "fast-check";
import { settled } from "./api-fixture.ts";
import { mergeLines, QUIET_MS } from "./log-merge.ts";

function line(at: number, text: string): LogLine {
  const where = { task: "t", name: "web-1", node: "n", release: 1, attempt: 1 } as const;
  return { ...where, at, text, stream: "stdout" };
}

async function* from(lines: readonly LogLine[]): AsyncGenerator<LogLine> {
  for (const each of lines) {
    if (each.at % 3 === 0) await Promise.resolve();
    yield each;
  }
}

test("stored lines of any number of nodes come in order, none is lost or doubled", async () => {
  const times = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 400 });
  await fc.assert(
    fc.asyncProperty(fc.array(times, { maxLength: 5 }), async (nodes) => {
      const clock = new ManualClock();
      const sources = nodes.map((list, node) =>
        list.toSorted((a, b) => a - b).map((at, index) => line(at, `${node} ${index}`)),
      );
      const merged = mergeLines(sources.map(from), clock);
      const seen = (await settled(clock, Array.fromAsync(merged))).flat();
      assert.deepEqual(
        seen.map(({ at }) => at),
        sources
          .flat()
          .map(({ at }) => at)
          .sort((a, b) => a - b),
      );
      assert.equal(new Set(seen.map(({ text }) => text)).size, seen.length);
    }),
    { seed: 11, numRuns: 60 },
  );
});

test("a quiet source holds the others back only for a moment", async () => {
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  async function* quiet() {
    await gate.promise;
    yield line(1, "late");
  }
  const merged = mergeLines([from([line(5, "a"), line(6, "b")]), quiet()], clock);
  const first = merged.next();
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  clock.advance(QUIET_MS - 1);
  assert.equal(await Promise.race([first, Promise.resolve("waits")]), "waits");
  clock.advance(1);
  assert.deepEqual(
    (await first).value?.map(({ text }) => text),
    ["a", "b"],
  );
  gate.resolve();
  const rest = await settled(clock, Array.fromAsync(merged));
  assert.deepEqual(
    rest.flat().map(({ text }) => text),
    ["late"],
  );
});

test("a source that fails ends, the others go on", async () => {
  const clock = new ManualClock();
  async function* broken() {
    yield line(1, "x");
    throw new Error("broken");
  }
  const merged = mergeLines([broken(), from([line(2, "y")])], clock);
  const seen = await settled(clock, Array.fromAsync(merged));
  assert.deepEqual(
    seen.flat().map(({ text }) => text),
    ["x", "y"],
  );
});

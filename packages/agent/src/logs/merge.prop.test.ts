import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock, silentLogger } from "@berth/base";
import type { LogLine } from "@berth/protocol";
import fc from "fast-check";
import { MemoryLogFiles } from "./files.ts";
import type { LogKey } from "./key.ts";
import type { LogQuery } from "./merge.ts";
import { stampOf } from "./record.ts";
import { LogStore } from "./store.ts";

const START = Date.UTC(2026, 0, 1);
const SCOPE = { project: "default", environment: "main", stack: "shop" } as const;
const KEYS: readonly LogKey[] = [
  { ...SCOPE, service: "web", slot: 1, task: "task0a", release: 1 },
  { ...SCOPE, service: "web", slot: 2, task: "task0b", release: 2 },
  { ...SCOPE, service: "db", slot: 1, task: "task0c", release: 2 },
  { ...SCOPE, stack: "other", service: "web", slot: 1, task: "task0d", release: 1 },
];

const Line = fc.record({
  task: fc.nat({ max: KEYS.length - 1 }),
  laterMs: fc.constantFrom(0, 1, 5, 1_000),
  stream: fc.constantFrom("stdout" as const, "stderr" as const),
  text: fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[\r\n]/g, " ")),
});

const Query = fc.record({
  service: fc.option(fc.constantFrom("web", "db"), { nil: undefined }),
  release: fc.option(fc.constantFrom(1, 2), { nil: undefined }),
  tail: fc.option(fc.nat({ max: 10 }), { nil: undefined }),
  since: fc.option(fc.nat({ max: 20_000 }), { nil: undefined }),
  until: fc.option(fc.nat({ max: 20_000 }), { nil: undefined }),
});

type Written = { readonly key: LogKey; readonly line: LogLine };

/** The slow obvious way: everything in memory, filtered, cut and sorted. */
function oracle(written: readonly Written[], query: LogQuery): LogLine[] {
  const lines: LogLine[] = [];
  for (const key of KEYS) {
    if (key.stack !== query.stack) continue;
    if (query.service !== undefined && key.service !== query.service) continue;
    if (query.release !== undefined && key.release !== query.release) continue;
    const own = written
      .filter((item) => item.key === key)
      .map((item) => item.line)
      .filter(({ at }) => query.since === undefined || at >= query.since)
      .filter(({ at }) => query.until === undefined || at <= query.until);
    lines.push(...own.slice(query.tail === undefined ? 0 : Math.max(0, own.length - query.tail)));
  }
  // Stable: lines of one task and instant keep their order; tasks of one instant go by name.
  return lines.sort((a, b) => a.at - b.at || (a.task < b.task ? -1 : a.task > b.task ? 1 : 0));
}

describe("reading logs", () => {
  it("gives the lines that a sort of everything gives", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(Line, { maxLength: 80 }), Query, async (lines, wish) => {
        const files = new MemoryLogFiles();
        const clock = new ManualClock();
        const store = new LogStore({ files, clock, log: silentLogger, node: "n1" });
        const written: Written[] = [];
        let at = START;
        for (const { task, laterMs, stream, text } of lines) {
          const key = KEYS[task];
          if (key === undefined) continue;
          at += laterMs;
          const record = { stamp: stampOf(at), attempt: 1, stream, continues: false };
          // Small segments: a read crosses them. Enough of them that nothing is rotated away.
          const limits = { maxBytes: 200, maxFiles: 1_000 };
          await store.acquire(key).append({ ...record, bytes: Buffer.from(text) }, limits);
          const name = `${key.service}-${key.slot}`;
          const about = { task: key.task, name, node: "n1", release: key.release, attempt: 1 };
          written.push({ key, line: { at, ...about, stream, text } });
        }
        for (const key of KEYS) await store.acquire(key).flushed();
        const query: LogQuery = {
          ...SCOPE,
          follow: false,
          ...(wish.service === undefined ? {} : { service: wish.service }),
          ...(wish.release === undefined ? {} : { release: wish.release }),
          ...(wish.tail === undefined ? {} : { tail: wish.tail }),
          ...(wish.since === undefined ? {} : { since: START + wish.since }),
          ...(wish.until === undefined ? {} : { until: START + wish.until }),
        };
        const seen: LogLine[] = [];
        for await (const line of store.read(query, new AbortController().signal)) seen.push(line);
        assert.deepEqual(seen, oracle(written, query));
      }),
      { numRuns: 300, seed: 20_261_120 },
    );
  });
});

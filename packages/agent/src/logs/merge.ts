/**
 * Lines of many tasks as one sequence in order of time.
 *
 * History is merged exactly by stamp; while following, lines come as they are written. A task whose lines are
 * all read is parked until its log or the store says that there is more, so nothing is polled. Memory: one
 * block a task; cost: O(log n) a line for n tasks.
 */

import { type LogLine, taskName } from "@berth/protocol";
import { type LogRecord, stampOf, textOfRecord } from "./record.ts";
import type { PlacedRecord, SegmentPosition } from "./segments.ts";
import type { TaskLog } from "./task-log.ts";

/** Which lines; the fields of a log request. */
export interface LogQuery {
  readonly project: string;
  readonly environment: string;
  readonly stack: string;
  readonly service?: string;
  readonly task?: string;
  readonly release?: number;
  readonly follow: boolean;
  /** Last lines of each task; all when absent. */
  readonly tail?: number;
  /** Wall time in milliseconds, included. */
  readonly since?: number;
  /** Wall time in milliseconds, included. */
  readonly until?: number;
}

/** What the merge needs of the store. */
export interface LogSource {
  readonly node: string;
  logs(): readonly TaskLog[];
  /** Tells of logs that begin; answers how to stop it. */
  onNew(notify: (log: TaskLog) => void): () => void;
}

interface Cursor {
  readonly log: TaskLog;
  position: SegmentPosition | undefined;
  /** Reads from `position`; absent while parked. */
  reading: AsyncGenerator<PlacedRecord> | undefined;
  head: PlacedRecord | undefined;
}

/** A stack with more tasks on one node is asked service by service. */
const CURSORS_MAX = 1_000;

export async function* mergedLines(
  source: LogSource,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const waiting = new Waiting(signal);
  const heap = new CursorHeap();
  const parked = new Set<Cursor>();
  const release: (() => void)[] = [];
  const add = (log: TaskLog, position: SegmentPosition | undefined) => {
    if (release.length >= CURSORS_MAX) return;
    const cursor: Cursor = { log, position, reading: undefined, head: undefined };
    parked.add(cursor);
    waiting.dirty.add(cursor);
    release.push(log.watch(() => waiting.mark(cursor)));
  };
  const fresh: TaskLog[] = [];
  release.push(
    source.onNew((log) => {
      if (!isSelected(log, query)) return;
      fresh.push(log);
      waiting.wake();
    }),
  );
  try {
    for (const log of source.logs()) {
      if (isSelected(log, query)) add(log, await beginning(log, query));
    }
    while (!signal.aborted) {
      for (const log of fresh.splice(0)) add(log, undefined);
      for (const cursor of waiting.take()) {
        if (!parked.delete(cursor)) continue;
        await advance(cursor, query);
        if (cursor.head === undefined) parked.add(cursor);
        else heap.push(cursor);
      }
      const cursor = heap.pop();
      if (cursor === undefined) {
        if (waiting.dirty.size > 0 || fresh.length > 0) continue;
        if (!query.follow) return;
        await waiting.changed();
        continue;
      }
      if (cursor.head !== undefined) yield lineOf(source.node, cursor.log, cursor.head.record);
      await advance(cursor, query);
      if (cursor.head !== undefined) heap.push(cursor);
      else parked.add(cursor);
    }
  } finally {
    for (const stop of release) stop();
  }
}

/** Moves the cursor to its next line; without one its head is empty. */
async function advance(cursor: Cursor, query: LogQuery): Promise<void> {
  cursor.head = undefined;
  cursor.reading ??= cursor.log.records(cursor.position);
  while (true) {
    const { value, done } = await cursor.reading.next();
    if (done === true) {
      cursor.reading = undefined;
      return;
    }
    cursor.position = value.next;
    if (!isWanted(value.record, query)) continue;
    cursor.head = value;
    return;
  }
}

async function beginning(log: TaskLog, query: LogQuery): Promise<SegmentPosition | undefined> {
  if (query.tail === undefined) return undefined;
  return log.tailPosition(query.tail, (record) => isWanted(record, query));
}

function isSelected(log: TaskLog, query: LogQuery): boolean {
  const { key } = log;
  return (
    key.project === query.project &&
    key.environment === query.environment &&
    key.stack === query.stack &&
    (query.service === undefined || key.service === query.service) &&
    (query.task === undefined || key.task === query.task) &&
    (query.release === undefined || key.release === query.release)
  );
}

function isWanted(record: LogRecord, query: LogQuery): boolean {
  if (query.since !== undefined && record.stamp < stampOf(query.since)) return false;
  // Stamps are finer than the query: the whole millisecond is included.
  return query.until === undefined || record.stamp < stampOf(Math.floor(query.until) + 1);
}

function lineOf(node: string, log: TaskLog, record: LogRecord): LogLine {
  const { key } = log;
  const text = textOfRecord(record);
  return {
    at: Date.parse(record.stamp),
    task: key.task,
    name: taskName(key),
    node,
    release: key.release,
    attempt: record.attempt,
    stream: record.stream === "stdout" ? "stdout" : "stderr",
    text: record.stream === "note" ? `[berth] ${text}` : text,
  };
}

/** Cursors that may have more, and a wait for the first of them. */
class Waiting {
  readonly dirty = new Set<Cursor>();
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  mark(cursor: Cursor): void {
    this.dirty.add(cursor);
    this.wake();
  }

  wake(): void {
    this.#wake?.();
  }

  take(): Cursor[] {
    const all = [...this.dirty];
    this.dirty.clear();
    return all;
  }

  /** Resolves at the next mark, and when the signal aborts. */
  async changed(): Promise<void> {
    const onAbort = () => this.wake();
    this.#signal.addEventListener("abort", onAbort, { once: true });
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#signal.aborted) resolve();
    });
    this.#wake = undefined;
    this.#signal.removeEventListener("abort", onAbort);
  }
}

/** A binary heap by stamp, then by task, so that equal stamps come in one order always. */
class CursorHeap {
  readonly #items: Cursor[] = [];

  push(cursor: Cursor): void {
    const items = this.#items;
    let index = items.push(cursor) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfLess(index, parent)) return;
      index = parent;
    }
  }

  pop(): Cursor | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      const right = left + 1;
      const child = right < items.length && this.#isLess(right, left) ? right : left;
      if (child >= items.length || !this.#swapIfLess(child, index)) return top;
      index = child;
    }
  }

  /** Swaps when the item at `child` belongs before the one at `parent`. */
  #swapIfLess(child: number, parent: number): boolean {
    if (!this.#isLess(child, parent)) return false;
    const items = this.#items;
    const a = items[child];
    const b = items[parent];
    if (a === undefined || b === undefined) return false;
    items[child] = b;
    items[parent] = a;
    return true;
  }

  #isLess(first: number, second: number): boolean {
    const a = this.#items[first];
    const b = this.#items[second];
    const aStamp = a?.head?.record.stamp ?? "";
    const bStamp = b?.head?.record.stamp ?? "";
    if (aStamp !== bStamp) return aStamp < bStamp;
    return (a?.log.key.task ?? "") < (b?.log.key.task ?? "");
  }
}

/**
 * Log lines of several nodes as one stream in order of time.
 *
 * Each source is in order by itself. The earliest head goes out once every source that lives has one, or
 * has had none for a short while: a quiet service must not hold back the others. So order is exact for
 * what is stored and off by at most that while for what is followed. Holds a bounded number of lines a
 * source. Cost: O(lines × sources), with few sources.
 */

import type { CancelTimer, Clock } from "@berth/base";
import type { LogLine } from "@berth/protocol";

/** A source without a line for this long is quiet; agents hand lines on well within it. */
export const QUIET_MS = 200;
/** Lines read ahead of each source. */
const AHEAD_LINES_MAX = 256;

/** One source while it is read. */
class Source {
  readonly lines: LogLine[] = [];
  ended = false;
  #space: (() => void) | undefined;

  constructor(from: AsyncIterable<LogLine>, onChange: () => void) {
    void this.#read(from, onChange);
  }

  take(): LogLine | undefined {
    const line = this.lines.shift();
    if (this.lines.length < AHEAD_LINES_MAX) this.#space?.();
    return line;
  }

  async #read(from: AsyncIterable<LogLine>, onChange: () => void): Promise<void> {
    try {
      for await (const line of from) {
        this.lines.push(line);
        onChange();
        if (this.lines.length < AHEAD_LINES_MAX) continue;
        await new Promise<void>((resolve) => {
          this.#space = resolve;
        });
      }
    } catch {
      // The source says by a line of its own why it ended (log-stream.ts); here it has just ended.
    }
    this.ended = true;
    onChange();
  }
}

/** Lines of all sources; ends when all have ended. Sources do not throw. */
export async function* mergeLines(
  from: readonly AsyncIterable<LogLine>[],
  clock: Clock,
): AsyncGenerator<readonly LogLine[], void, undefined> {
  let changed = Promise.withResolvers<void>();
  const sources = from.map((source) => new Source(source, () => changed.resolve()));
  let quietAt: number | undefined;
  for (;;) {
    const silent = sources.some((source) => !source.ended && source.lines.length === 0);
    const waiting = sources.some((source) => source.lines.length > 0);
    if (!silent && !waiting) return;
    if (!silent || (waiting && quietAt !== undefined && clock.monotonic() >= quietAt)) {
      yield silent ? takeHeld(sources) : takeWhileComplete(sources);
      quietAt = undefined;
      continue;
    }
    if (waiting) quietAt ??= clock.monotonic() + QUIET_MS;
    await next(changed.promise, clock, quietAt);
    changed = Promise.withResolvers<void>();
    // A line that came between the look and the wait is seen in the next turn: nothing is awaited before it.
  }
}

/** In order, for as long as every living source has a line to compare with. */
function takeWhileComplete(sources: readonly Source[]): LogLine[] {
  const taken: LogLine[] = [];
  for (;;) {
    const line = earliest(sources)?.take();
    if (line === undefined) return taken;
    taken.push(line);
    if (sources.some((source) => !source.ended && source.lines.length === 0)) return taken;
  }
}

/** Everything that is there, in order: some source is quiet and is not waited for. */
function takeHeld(sources: readonly Source[]): LogLine[] {
  const taken: LogLine[] = [];
  for (let source = earliest(sources); source !== undefined; source = earliest(sources)) {
    const line = source.take();
    if (line !== undefined) taken.push(line);
  }
  return taken;
}

function earliest(sources: readonly Source[]): Source | undefined {
  let found: Source | undefined;
  for (const source of sources) {
    const at = source.lines[0]?.at;
    if (at !== undefined && at < (found?.lines[0]?.at ?? Number.POSITIVE_INFINITY)) found = source;
  }
  return found;
}

function next(changed: Promise<void>, clock: Clock, at: number | undefined): Promise<void> {
  if (at === undefined) return changed;
  return new Promise((resolve) => {
    const cancel: CancelTimer = clock.setTimer(Math.max(0, at - clock.monotonic()), resolve);
    void changed.then(() => {
      cancel();
      resolve();
    });
  });
}

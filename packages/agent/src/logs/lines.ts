/**
 * Chunks of output → records of whole lines. The engine cuts lines at 16 KiB and gives the pieces one stamp;
 * here they become whole again, up to `LINE_BYTES_MAX`. Memory: one unfinished line a stream. Pure.
 */

import type { LogChunk } from "../runtime/port.ts";
import type { LogRecord } from "./record.ts";

/** Longer lines are stored in pieces: nobody reads them, and memory is bounded. */
export const LINE_BYTES_MAX = 256 * 1024;
const NEWLINE = 10;

interface Unfinished {
  readonly stamp: string;
  readonly parts: Uint8Array[];
  size: number;
}

export class LineCutter {
  readonly #attempt: number;
  readonly #unfinished = new Map<LogChunk["stream"], Unfinished>();

  constructor(attempt: number) {
    this.#attempt = attempt;
  }

  /** The records that `chunk` completes. */
  *push(chunk: Pick<LogChunk, "stream" | "stamp" | "bytes">): Generator<LogRecord> {
    // A record carries bytes of one stamp only: positions are counted in them.
    const open = this.#unfinished.get(chunk.stream);
    if (open !== undefined && open.stamp !== chunk.stamp) yield* this.#take(chunk.stream, true);
    let rest = chunk.bytes;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      this.#add(chunk, rest.subarray(0, end));
      yield* this.#take(chunk.stream, false);
      rest = rest.subarray(end + 1);
    }
    while (rest.length > 0) {
      const size = this.#unfinished.get(chunk.stream)?.size ?? 0;
      this.#add(chunk, rest.subarray(0, LINE_BYTES_MAX - size));
      rest = rest.subarray(LINE_BYTES_MAX - size);
      if (rest.length > 0) yield* this.#take(chunk.stream, true);
    }
  }

  /** What is left at the end of the output. */
  *end(): Generator<LogRecord> {
    yield* this.#take("stdout", true);
    yield* this.#take("stderr", true);
  }

  #add(chunk: Pick<LogChunk, "stream" | "stamp">, bytes: Uint8Array): void {
    const line = this.#unfinished.get(chunk.stream) ?? { stamp: chunk.stamp, parts: [], size: 0 };
    line.parts.push(bytes);
    line.size += bytes.length;
    this.#unfinished.set(chunk.stream, line);
  }

  *#take(stream: LogChunk["stream"], continues: boolean): Generator<LogRecord> {
    const line = this.#unfinished.get(stream);
    if (line === undefined) return;
    this.#unfinished.delete(stream);
    const [only, ...others] = line.parts;
    const bytes = others.length === 0 && only !== undefined ? only : Buffer.concat(line.parts);
    yield { stamp: line.stamp, attempt: this.#attempt, stream, continues, bytes };
  }
}

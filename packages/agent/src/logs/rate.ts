/**
 * How much output of one container is stored: a bucket of bytes that fills with time.
 *
 * What is over is dropped and counted, and a note says so in its place: holding the stream up would let the
 * engine's own buffer turn over in silence, and writing everything would let one container wear out the disk
 * and the processor of all.
 */

import type { Clock } from "@berth/base";

/** Sustained; a busy access log of some 20,000 lines a second. */
export const RATE_BYTES_PER_SECOND = 4 * 1024 * 1024;
/** At once: a start that prints its configuration, a stack trace storm. */
export const RATE_BURST_BYTES = 32 * 1024 * 1024;

export interface RateVerdict {
  readonly kind: "keep" | "drop";
  /** Dropped since the last line that was kept. */
  readonly droppedLines: number;
  readonly droppedBytes: number;
}

export class ByteRate {
  readonly #clock: Clock;
  #level = RATE_BURST_BYTES;
  #filledAt: number;
  #droppedLines = 0;
  #droppedBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledAt = clock.monotonic();
  }

  take(bytes: number): RateVerdict {
    const now = this.#clock.monotonic();
    const filled = ((now - this.#filledAt) / 1_000) * RATE_BYTES_PER_SECOND;
    this.#level = Math.min(RATE_BURST_BYTES, this.#level + filled);
    this.#filledAt = now;
    if (bytes <= this.#level) {
      this.#level -= bytes;
      return this.end();
    }
    this.#droppedLines++;
    this.#droppedBytes += bytes;
    return { kind: "drop", droppedLines: this.#droppedLines, droppedBytes: this.#droppedBytes };
  }

  /** What was dropped and not yet told. */
  end(): RateVerdict {
    const told = { droppedLines: this.#droppedLines, droppedBytes: this.#droppedBytes };
    this.#droppedLines = 0;
    this.#droppedBytes = 0;
    return { kind: "keep", ...told };
  }

  describe(verdict: RateVerdict): string {
    const { droppedLines, droppedBytes } = verdict;
    const limit = `${RATE_BYTES_PER_SECOND / 1024 / 1024} MiB a second`;
    return `${droppedLines} lines (${droppedBytes} bytes) left out: more than ${limit}`;
  }
}

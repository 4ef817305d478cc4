/** Going on where the stored log ends: what to ask for again, and what of it is stored already. Pure. */

import type { LogChunk } from "../runtime/port.ts";
import { stampOf } from "./record.ts";
import type { AttemptPosition, StreamPosition } from "./task-log.ts";

/**
 * Stdout and stderr are stamped by two threads of the engine and may be stored out of order by moments: the
 * engine is asked again from this much before the last stamp.
 */
const OVERLAP_MS = 2_000;

/** The stamp to read from; `undefined` to read everything. */
export function resumeSince(position: AttemptPosition): string | undefined {
  const stamps = [position.stdout?.stamp, position.stderr?.stamp].filter(
    (stamp) => stamp !== undefined,
  );
  const last = stamps.sort().at(-1);
  if (last === undefined) return undefined;
  return stampOf(Date.parse(last) - OVERLAP_MS);
}

/**
 * Leaves out what is stored. Within a stream stamps do not fall, so everything before the last stored stamp
 * is known, and of what carries the very stamp as many bytes as were stored.
 */
export class ResumeFilter {
  readonly #open: Map<string, { readonly stamp: string; bytes: number }>;

  constructor(position: AttemptPosition) {
    const entries: [string, StreamPosition | undefined][] = [
      ["stdout", position.stdout],
      ["stderr", position.stderr],
    ];
    this.#open = new Map(
      entries.flatMap(([stream, place]) => (place === undefined ? [] : [[stream, { ...place }]])),
    );
  }

  /** The bytes of `chunk` that are not stored yet; empty when all are. */
  admit(chunk: LogChunk): Uint8Array {
    const place = this.#open.get(chunk.stream);
    if (place === undefined) return chunk.bytes;
    if (chunk.stamp < place.stamp) return chunk.bytes.subarray(0, 0);
    if (chunk.stamp > place.stamp) {
      // From here on everything is new, whatever a clock that is set back says.
      this.#open.delete(chunk.stream);
      return chunk.bytes;
    }
    const known = Math.min(place.bytes, chunk.bytes.length);
    place.bytes -= known;
    return chunk.bytes.subarray(known);
  }
}

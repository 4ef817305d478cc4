/**
 * Newline-delimited JSON as it comes over the wire: bytes in any pieces in, values out.
 *
 * Holds at most one line; a line over the limit, text that is no JSON and a stream that ends within a line
 * are errors, never silently dropped. Cost: O(bytes).
 */

import { MIB } from "@berth/base";
import { ProtocolError } from "../errors.ts";

/** Several times the largest object of the store (1 MiB) with the spec that is joined to it. */
export const LINE_BYTES_MAX = 8 * MIB;

const LINE_FEED = 0x0a;

/** The values of a stream of lines. Empty lines are skipped. */
export async function* parseLines(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number = LINE_BYTES_MAX,
): AsyncGenerator<unknown, void, undefined> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      held.push(chunk.subarray(start, end));
      heldBytes += end - start;
      if (heldBytes > lineBytesMax) throw tooLong(lineBytesMax);
      if (heldBytes > 0) yield parseLine(Buffer.concat(held.splice(0)));
      held.length = 0;
      heldBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) held.push(chunk.subarray(start));
    heldBytes += chunk.length - start;
    if (heldBytes > lineBytesMax) throw tooLong(lineBytesMax);
  }
  if (heldBytes > 0) {
    throw new ProtocolError("unavailable", "the stream ended within a line", {
      reason: "truncated",
    });
  }
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch (error) {
    const start = line.subarray(0, 80).toString();
    throw new ProtocolError(
      "internal",
      `the stream has a line that is no JSON: ${start}`,
      {},
      {
        cause: error,
      },
    );
  }
}

function tooLong(lineBytesMax: number): ProtocolError {
  return new ProtocolError("limit_exceeded", `a line of the stream is over ${lineBytesMax} bytes`, {
    limit: "line bytes",
    maximum: lineBytesMax,
  });
}

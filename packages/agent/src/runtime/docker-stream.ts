/**
 * The Engine's two ways of putting things into a byte stream: frames of several outputs, and lines of JSON.
 *
 * Frames are `stream (1 byte), 0 0 0, length (4 bytes, big endian), payload`. Containers with a terminal send
 * bytes without frames. Memory: one incomplete frame or line, each with a limit.
 */

import { ProtocolError } from "@berth/protocol";
import { parseJson } from "./docker-json.ts";

export interface OutputPiece {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 8;
/** The engine's frames hold 16 KiB (logs) or 32 KiB (exec); more says that these are no frames. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** A line of progress; Dockerfiles with large heredocs stay below. */
const JSON_LINE_BYTES_MAX = 1024 * 1024;

/** Cuts framed bytes into pieces; each yielded piece is one frame. */
export async function* framesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutputPiece> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const size = rest.readUInt32BE(4);
      if (size > FRAME_BYTES_MAX) throw malformed(`a frame of ${size} bytes`);
      const end = HEADER_BYTES + size;
      if (rest.length < end) break;
      yield {
        stream: rest[0] === 2 ? "stderr" : "stdout",
        bytes: rest.subarray(HEADER_BYTES, end),
      };
      rest = rest.subarray(end);
    }
  }
}

/** Each line's value; lines that are no JSON are left out. */
export async function* jsonLinesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  for await (const line of linesOf(source)) {
    const value = parseJson(line);
    if (value !== undefined) yield value;
  }
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      yield rest.toString("utf8", start, end);
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > JSON_LINE_BYTES_MAX) throw malformed(`a line of ${rest.length} bytes`);
  }
  if (rest.length > 0) yield rest.toString();
}

function malformed(what: string): ProtocolError {
  return new ProtocolError("engine_error", `the engine's stream holds ${what}`, { words: what });
}

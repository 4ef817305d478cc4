/**
 * A container's output from the engine: one stream a container, followed to its end.
 *
 * Every message carries its time, from which positions are made. With frames one frame is one message; with
 * a terminal messages are told apart at line breaks, and of a line longer than 16 KiB the pieces' stamps
 * are taken out of the text where they begin a read of the engine.
 */

import { type EngineClient, segment } from "./docker-client.ts";
import { framesOf, type OutputPiece } from "./docker-stream.ts";
import type { LogChunk } from "./port.ts";

/** `2026-01-02T03:04:05.000000006Z` */
const STAMP_LENGTH = 30;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
/** A terminal's line is handed on in pieces from here on. */
const PIECE_BYTES_MAX = 64 * 1024;

export interface LogsOptions {
  readonly since: string | undefined;
  readonly tty: boolean;
  readonly signal: AbortSignal;
}

export async function* followLogs(
  client: EngineClient,
  id: string,
  options: LogsOptions,
): AsyncGenerator<LogChunk> {
  const { since, tty, signal } = options;
  try {
    const source = await client.open({
      method: "GET",
      path: `/containers/${segment(id)}/logs`,
      query: {
        follow: true,
        stdout: true,
        stderr: true,
        timestamps: true,
        since: since === undefined ? undefined : unixTime(since),
      },
      context: `read output of container ${id}`,
      signal,
    });
    const pieces = tty ? linesOfTerminal(source) : framesOf(source);
    let last = "";
    for await (const piece of pieces) {
      const chunk = chunkOf(piece, last);
      last = chunk.stamp;
      // The engine compares with less precision than it writes where the fraction has leading zeros.
      if (since === undefined || chunk.stamp >= since) yield chunk;
    }
  } catch (error) {
    // The reader has seen enough: the end of its loop, not a failure.
    if (!signal.aborted) throw error;
  }
}

/** Seconds and nanoseconds as the engine's `since` takes them: `1767225600.000000006`. */
export function unixTime(stamp: string): string {
  const seconds = Math.floor(Date.parse(stamp) / 1_000);
  return `${seconds}.${stamp.slice(20, 29)}`;
}

function chunkOf(piece: OutputPiece, last: string): LogChunk {
  const bytes = Buffer.from(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.length);
  const head = bytes.toString("latin1", 0, STAMP_LENGTH);
  const stamped = STAMP.test(head);
  // A piece without a stamp continues the last one.
  const stamp = stamped ? head : last;
  return {
    stream: piece.stream,
    stamp,
    at: Date.parse(stamp),
    bytes: stamped ? bytes.subarray(STAMP_LENGTH + 1) : bytes,
  };
}

async function* linesOfTerminal(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutputPiece> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
      yield { stream: "stdout", bytes: rest.subarray(start, end + 1) };
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > PIECE_BYTES_MAX) {
      yield { stream: "stdout", bytes: rest };
      rest = Buffer.alloc(0);
    }
  }
  if (rest.length > 0) yield { stream: "stdout", bytes: rest };
}

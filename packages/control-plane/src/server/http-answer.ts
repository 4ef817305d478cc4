/** From answers and errors to HTTP: status lines, headers, problem documents, streams with backpressure. */

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type Clock, KIB, SECOND_MS } from "@berth/base";
import { PROBLEM_MEDIA_TYPE, type ProtocolError, problemOf } from "@berth/protocol";

/** A client that takes nothing for this long is gone, or might as well be. */
export const DRAIN_TIMEOUT_MS = 30 * SECOND_MS;

/** Parts of a stream are joined up to here: a record of TLS. */
const PIECE_BYTES = 16 * KIB;

/** For every answer: they belong to one token and change all the time. */
export const COMMON_HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
} as const;

export interface HttpProblem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `error` as a problem document; `instance` names the occurrence in the log. */
export function httpProblem(error: ProtocolError, instance: string): HttpProblem {
  const problem = problemOf(error, instance);
  return {
    status: problem.status,
    headers: { ...COMMON_HEADERS, "content-type": PROBLEM_MEDIA_TYPE, ...extraHeaders(error) },
    body: JSON.stringify(problem),
  };
}

function extraHeaders({ code, details }: ProtocolError): Record<string, string> {
  if (code === "unauthenticated") return { "www-authenticate": 'Bearer realm="berth"' };
  const { retryAfterMs, allow } = details;
  if (code === "method_not_allowed" && Array.isArray(allow)) return { allow: allow.join(", ") };
  if (typeof retryAfterMs !== "number") return {};
  return { "retry-after": String(Math.ceil(retryAfterMs / SECOND_MS)) };
}

/** A whole answer in HTTP/1.1, for sockets that have left the HTTP server. */
export function rawProblem(error: ProtocolError, instance: string): string {
  const { status, headers, body } = httpProblem(error, instance);
  const lines = Object.entries({
    ...headers,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${problemOf(error).code}\r\n${lines.join("")}\r\n${body}`;
}

/**
 * Writes a stream's chunks, no faster than the client takes them. Ends when the stream ends or the client
 * has gone; a client that stops reading is cut off after `DRAIN_TIMEOUT_MS`.
 */
export async function writeStream(
  response: ServerResponse,
  chunks: AsyncIterable<readonly Uint8Array[]>,
  clock: Clock,
): Promise<void> {
  response.flushHeaders();
  // Chunks are framed here, in the copy that is made anyway: Node would write size, content and end apart.
  const isChunked = response.chunkedEncoding;
  if (isChunked) response.chunkedEncoding = false;
  try {
    for await (const parts of chunks) {
      if (response.destroyed) return;
      // Not corked: Node gathers the writes of a turn by itself, and a corked response that is full when its
      // client takes all at once says "full" and never "drain".
      let hasRoom = true;
      for (const piece of isChunked ? chunked(parts) : joined(parts)) {
        hasRoom = response.write(piece);
      }
      if (!hasRoom) await drained(response, clock);
    }
    if (isChunked) response.write(LAST_CHUNK);
    response.end();
  } catch {
    // The head is out: cutting the connection is the only way left to say that something is missing.
    response.destroy();
  }
}

/** Joins small parts: a write costs far more than copying them. Large ones are shared by many and go as they are. */
function* joined(parts: readonly Uint8Array[]): Iterable<Uint8Array> {
  for (const piece of piecesOf(parts)) {
    const [only] = piece.parts;
    yield piece.parts.length === 1 && only ? only : Buffer.concat(piece.parts, piece.bytes);
  }
}

const CHUNK_END = Buffer.from("\r\n");
/** Of the chunked encoding: nothing follows. */
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** As `joined`, each piece in the frame of a chunk. */
function* chunked(parts: readonly Uint8Array[]): Iterable<Uint8Array> {
  for (const piece of piecesOf(parts)) {
    const head = Buffer.from(`${piece.bytes.toString(16)}\r\n`, "latin1");
    const frame = [head, ...piece.parts, CHUNK_END];
    if (piece.bytes >= PIECE_BYTES) yield* frame;
    else yield Buffer.concat(frame, head.length + piece.bytes + CHUNK_END.length);
  }
}

interface Piece {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/** Small parts together up to `PIECE_BYTES`, in order; larger ones alone; nothing empty, which would end a stream. */
function* piecesOf(parts: readonly Uint8Array[]): Iterable<Piece> {
  let small: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0 && bytes + part.length > PIECE_BYTES) {
      yield { parts: small, bytes };
      small = [];
      bytes = 0;
    }
    if (part.length >= PIECE_BYTES) {
      yield { parts: [part], bytes: part.length };
      continue;
    }
    small.push(part);
    bytes += part.length;
  }
  if (bytes > 0) yield { parts: small, bytes };
}

async function drained(response: ServerResponse, clock: Clock): Promise<void> {
  if (response.destroyed) return;
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  response.once("close", stop);
  const cancel = clock.setTimer(DRAIN_TIMEOUT_MS, () => response.destroy());
  try {
    await once(response, "drain", { signal: waiting.signal });
  } catch {
    // Closed: the loop sees it.
  } finally {
    cancel();
    response.off("close", stop);
  }
}

/** Wraps single pieces as a stream of chunks. */
export async function* asChunks(
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for await (const piece of bytes) yield [piece];
}

/**
 * A call of the API as it arrives, before anything in it has been believed, and the answer to it. What HTTP
 * and the simulation have in common: neither form knows of sockets or status lines.
 */

import type { FrameStream, RouteId } from "@berth/protocol";
import type { Peer } from "./peer.ts";

export interface ApiCall {
  readonly route: RouteId;
  /** Decoded, not validated. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  /** Reads and parses the JSON body; `undefined` without one. Called at most once, after the token. */
  readonly readBody: () => Promise<unknown>;
  /** The body of routes that take bytes; nothing is read before the first piece is asked for. */
  readonly bytes?: AsyncIterable<Uint8Array>;
  readonly headers: CallHeaders;
  /** Whom the connection's certificate speaks for; absent without one. */
  readonly peer?: Peer;
  /** Address of the peer, `local` for a Unix socket. */
  readonly remoteAddress: string;
  /** Path without query, for the audit record. */
  readonly path: string;
  /** Names this call in the log and in problems. */
  readonly requestId: string;
  /** Aborts when the caller has gone or a deadline has passed. */
  readonly signal: AbortSignal;
}

/** Texts as they came. */
export interface CallHeaders {
  readonly token?: string;
  readonly idempotencyKey?: string;
  readonly ifMatch?: string;
  readonly minRevision?: string;
}

export type ApiAnswer =
  | { readonly kind: "json"; readonly value: unknown }
  /** Pieces of whole lines of JSON, as long as the caller stays. */
  | { readonly kind: "stream"; readonly lines: AsyncIterable<readonly Uint8Array[]> }
  | { readonly kind: "text"; readonly text: string; readonly mediaType: string }
  | { readonly kind: "bytes"; readonly bytes: AsyncIterable<Uint8Array> }
  | { readonly kind: "empty" }
  /** `run` has the stream until it resolves; whoever calls it closes the stream then. */
  | { readonly kind: "upgrade"; readonly run: (stream: FrameStream) => Promise<void> };

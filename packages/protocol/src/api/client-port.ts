/**
 * The client port: how anybody calls the API. `HttpClient` implements it over HTTP, the simulation by
 * calling the handlers in the same process with delays and losses.
 */

import type { Frame, FrameKind } from "./frames.ts";
import type { AnswerOf, BodyOf, ParamsOf, QueryOf } from "./route.ts";
import type { RouteId, Routes } from "./routes.ts";

export interface CallOptions<Id extends RouteId> {
  readonly params: ParamsOf<Routes[Id]>;
  readonly query?: QueryOf<Routes[Id]>;
  readonly body?: BodyOf<Routes[Id]>;
  /** Body of routes that take bytes. */
  readonly bytes?: Uint8Array | AsyncIterable<Uint8Array>;
  /** The same key makes a repeated write the same write. */
  readonly idempotencyKey?: string;
  /** The read sees at least this revision. */
  readonly minRevision?: number;
  /** `If-Match`: the write happens only at this revision. */
  readonly ifMatch?: number;
  readonly signal?: AbortSignal;
}

/** Routes whose bytes somebody reads. */
export type DownloadId =
  | "getBlob"
  | "getNodeBlob"
  | "getNodeImage"
  | "getServerBlob"
  | "getVolumeContent"
  | "backupVolume";

/** Routes whose answer is a stream in both directions. */
export type UpgradeId = "execTask" | "openSession" | "restoreVolume" | "relaySession";

/** Both directions of an upgraded stream. */
export interface FrameStream {
  frames(): AsyncIterable<Frame>;
  /** Resolves when the peer can take more. */
  send(kind: FrameKind, payload: Uint8Array): Promise<void>;
  close(): void;
}

/**
 * Errors are `ProtocolError`s: the server's own, or `unavailable` when it could not be reached (details:
 * `reason`), in which case nothing is known about a write.
 */
export interface ApiClient {
  call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>>;
  /** The bytes of routes that answer bytes. A body that breaks off is an error, never a quiet end. */
  download<Id extends DownloadId>(
    id: Id,
    options: CallOptions<Id>,
  ): Promise<AsyncIterable<Uint8Array>>;
  upgrade<Id extends UpgradeId>(id: Id, options: CallOptions<Id>): Promise<FrameStream>;
}

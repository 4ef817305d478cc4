/**
 * What a handler is: a function of (request, context) to an answer, typed by its row in the table of
 * routes. A handler sees only what has been authorised and validated; it knows nothing of HTTP.
 */

import type { Clock, Logger, LoopStatus } from "@berth/base";
import type {
  AnswerOf,
  BodyOf,
  FrameStream,
  ParamsOf,
  QueryOf,
  RouteId,
  Routes,
} from "@berth/protocol";
import type { Blobs } from "../blobs/port.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { ClusterEntrance } from "../joining/entrance.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import type { Store } from "../store/port.ts";
import type { Actor } from "./actor.ts";
import type { IdempotencyClaim } from "./idempotency.ts";
import type { SecretBox } from "./secret-box.ts";
import type { SessionHub } from "./session-hub.ts";
import type { Transfers } from "./transfers.ts";
import type { WatchHub } from "./watch-hub.ts";

/** Everything that handlers work with; one per server. */
export interface ApiContext {
  readonly store: Store;
  readonly state: ClusterState;
  /** Those of the cluster: on this server, or taken from another. */
  readonly blobs: Blobs;
  /** Those that lie on this very server. */
  readonly ownBlobs: Blobs;
  readonly control: Controls;
  readonly settings: ControlPlaneSettings;
  readonly watches: WatchHub;
  readonly sessions: SessionHub;
  /** Archives that pass through this server. */
  readonly transfers: Transfers;
  readonly secrets: SecretBox;
  readonly clock: Clock;
  readonly log: Logger;
  /** An identifier that was never used; harder to guess than to find out otherwise. */
  readonly newId: () => string;
  /** Version of this server, `0.1.0`. */
  readonly version: string;
  /** How hosts join. */
  readonly entrance: ClusterEntrance;
  /** The text of `/metrics`. */
  readonly renderMetrics: () => string;
  readonly loopStatuses: () => LoopStatus[];
}

/** What handlers need of the control plane, beside the state that everybody reads. */
export type Controls = Pick<
  ControlPlane,
  | "renewLease"
  | "hasFenceHook"
  | "explain"
  | "planDeployment"
  | "viewStack"
  | "serving"
  | "noteServing"
  | "formats"
>;

export interface ApiRequest<Id extends RouteId> {
  readonly params: ParamsOf<Routes[Id]>;
  readonly query: QueryOf<Routes[Id]>;
  readonly body: BodyOf<Routes[Id]>;
  /** Where the caller is. */
  readonly remoteAddress: string;
  /** For routes that take bytes. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly actor: Actor;
  /** The revision of `If-Match`. */
  readonly ifMatch: number | undefined;
  /** Names this call: the answer's record is committed with the write. */
  readonly idempotency: IdempotencyClaim | undefined;
  readonly signal: AbortSignal;
}

/** What a handler of a route returns. */
export type HandlerAnswer<Id extends RouteId> = Routes[Id]["answer"] extends { kind: "stream" }
  ? AsyncIterable<readonly Uint8Array[]>
  : Routes[Id]["answer"] extends { kind: "bytes" }
    ? AsyncIterable<Uint8Array>
    : Routes[Id]["answer"] extends { kind: "empty" }
      ? undefined
      : Routes[Id]["answer"] extends { kind: "upgrade" }
        ? (stream: FrameStream) => Promise<void>
        : AnswerOf<Routes[Id]>;

export type Handler<Id extends RouteId> = (
  request: ApiRequest<Id>,
  context: ApiContext,
) => HandlerAnswer<Id> | Promise<HandlerAnswer<Id>>;

/** One handler for each route: a missing one does not compile. */
export type HandlerTable = { readonly [Id in RouteId]: Handler<Id> };

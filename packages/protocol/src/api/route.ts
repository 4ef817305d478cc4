/** How one route of the API is described: the single source of validation, types, client and OpenAPI. */

import type { Static, TSchema } from "typebox";
import type { ErrorCode } from "../errors.ts";
import type { DeepReadonly } from "../schema.ts";

/**
 * Who may call. `node`: the agent whose node stands in the path, or an administrator. `join`: a host that has a
 * token for joining, or an administrator. `server`: another server of the cluster, nobody else.
 */
export type Access = "public" | "user" | "admin" | "node" | "join" | "server";

/** How the answer's body looks. */
export type Answer =
  | { readonly kind: "json"; readonly schema: TSchema }
  /** Newline-delimited JSON, as long as the client stays. */
  | { readonly kind: "stream"; readonly schema: TSchema }
  | { readonly kind: "text"; readonly mediaType: string }
  | { readonly kind: "bytes" }
  | { readonly kind: "empty" }
  /** HTTP upgrade to `berth-stream/1` (frames: see api/frames.ts). */
  | { readonly kind: "upgrade" };

export interface RouteDescription {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Parameters in braces: `/v1/nodes/{node}`. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  /** Query parameters, all strings on the wire; an object of optional strings. */
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** The body is bytes, not JSON. */
  readonly bodyBytes?: true;
  /** Largest body in bytes; `BODY_BYTES_MAX` when absent. */
  readonly bodyBytesMax?: number;
  readonly answer: Answer;
  /** Codes beside `invalid_request`, `unauthenticated`, `forbidden`, `internal`. */
  readonly errors: readonly ErrorCode[];
  /** Not recorded in the audit log although it writes: reports of agents. */
  readonly unaudited?: true;
}

/** Bodies of ordinary requests: a stack of 2,000 services is about 4 MB. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Blobs: contexts, seeds and file objects. */
export const BLOB_BYTES_MAX = 512 * 1024 * 1024;

type ParamNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never;

/** Path parameters of a route. */
export type ParamsOf<Route extends RouteDescription> = {
  readonly [Name in ParamNames<Route["path"]>]: string;
};

export type QueryOf<Route extends RouteDescription> = Route extends {
  readonly query: infer Q extends TSchema;
}
  ? DeepReadonly<Static<Q>>
  : Readonly<Record<never, never>>;

export type BodyOf<Route extends RouteDescription> = Route extends {
  readonly body: infer B extends TSchema;
}
  ? DeepReadonly<Static<B>>
  : undefined;

export type AnswerOf<Route extends RouteDescription> = Route["answer"] extends {
  readonly kind: "json";
  readonly schema: infer S extends TSchema;
}
  ? DeepReadonly<Static<S>>
  : Route["answer"] extends { readonly kind: "stream"; readonly schema: infer S extends TSchema }
    ? AsyncIterable<DeepReadonly<Static<S>>>
    : Route["answer"] extends { readonly kind: "text" }
      ? string
      : undefined;

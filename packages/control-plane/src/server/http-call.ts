/**
 * One request as it stands on its connection. What few calls need (an identifier, a signal of the client's
 * going, a query) is made when it is asked for: agents renew a thousand leases a second and need none of it.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { parse } from "node:querystring";
import type { Clock } from "@berth/base";
import { ProtocolError, type RouteId } from "@berth/protocol";
import type { ApiCall, CallHeaders } from "../api/call.ts";
import type { Peer } from "../api/peer.ts";
import { callHeaders } from "./call-headers.ts";
import type { BodySource } from "./request-body.ts";
import type { RouteMatch } from "./route-match.ts";

export interface HttpCallOptions {
  readonly clock: Clock;
  readonly newId: () => string;
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean;
}

const NO_QUERY: Readonly<Record<string, unknown>> = {};

export class HttpCall {
  readonly raw: IncomingMessage;
  readonly response: ServerResponse;
  readonly source: BodySource;
  /** Without the query. */
  readonly path: string;
  readonly #query: string;
  readonly #newId: () => string;
  #id: string | undefined;
  #gone: AbortController | undefined;

  constructor(raw: IncomingMessage, response: ServerResponse, options: HttpCallOptions) {
    const { clock, newId, expectsContinue } = options;
    this.raw = raw;
    this.response = response;
    this.source = { request: raw, response, expectsContinue, clock };
    this.#newId = newId;
    const target = withoutHost(raw.url ?? "/");
    const at = target.indexOf("?");
    this.path = at < 0 ? target : target.slice(0, at);
    this.#query = at < 0 ? "" : target.slice(at + 1);
  }

  /** Names this request in the log and in problems. */
  get id(): string {
    this.#id ??= this.#newId();
    return this.#id;
  }

  get query(): Readonly<Record<string, unknown>> {
    return this.#query === "" ? NO_QUERY : parse(this.#query);
  }

  /** Address of the peer, `local` for a Unix socket. */
  get remoteAddress(): string {
    return this.raw.socket.remoteAddress ?? "local";
  }

  /** Aborts when the client goes before it has its whole answer. */
  get signal(): AbortSignal {
    this.#gone ??= this.#watchClient();
    return this.#gone.signal;
  }

  #watchClient(): AbortController {
    const gone = new AbortController();
    const { response } = this;
    const end = () => {
      // After a whole answer nobody listens any more.
      if (response.writableFinished) return;
      gone.abort(new ProtocolError("unavailable", "the client has gone"));
    };
    if (response.closed || response.destroyed) end();
    else response.once("close", end);
    return gone;
  }
}

/** The same as a call of the API. A class: objects that are written down with getters are slow to make. */
export class RoutedCall implements ApiCall {
  readonly route: RouteId;
  readonly params: Readonly<Record<string, string>>;
  readonly headers: CallHeaders;
  readonly peer?: Peer;
  readonly bytes?: AsyncIterable<Uint8Array>;
  readonly readBody: () => Promise<unknown>;
  readonly #call: HttpCall;

  constructor(
    call: HttpCall,
    { id, params }: RouteMatch,
    parts: {
      readonly peer: Peer | undefined;
      readonly bytes: AsyncIterable<Uint8Array> | undefined;
      readonly readBody: () => Promise<unknown>;
    },
  ) {
    this.#call = call;
    this.route = id;
    this.params = params;
    this.headers = callHeaders(call.raw.headers);
    this.readBody = parts.readBody;
    if (parts.peer !== undefined) this.peer = parts.peer;
    if (parts.bytes !== undefined) this.bytes = parts.bytes;
  }

  get query(): Readonly<Record<string, unknown>> {
    return this.#call.query;
  }

  get remoteAddress(): string {
    return this.#call.remoteAddress;
  }

  get path(): string {
    return this.#call.path;
  }

  get requestId(): string {
    return this.#call.id;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }
}

/** A client may name the whole URL, as one does that takes the server for a proxy. */
function withoutHost(target: string): string {
  return target.startsWith("/") ? target : target.replace(/^https?:\/\/[^/?]*/i, "");
}

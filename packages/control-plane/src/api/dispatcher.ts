/**
 * The way of every call, over HTTP as in the simulation: who asks → may they → is it well formed → was it
 * done before → is this server up to date → handler → audit record and figures.
 *
 * The order is the rule: nothing of a call is looked at before its token, nothing reaches a handler that
 * has not been validated. Every call is answered: with an answer or a `ProtocolError`. Only programmer
 * errors pass through.
 */

import { AssertionError, SECOND_MS } from "@berth/base";
import {
  asProtocolError,
  ERRORS,
  ProtocolError,
  parameterSchemas,
  parseAs,
  type RouteDescription,
  type RouteId,
  routes,
} from "@berth/protocol";
import { type Actor, checkAccess, NOBODY } from "./actor.ts";
import type { ApiMetrics } from "./api-metrics.ts";
import type { AuditLog } from "./audit-log.ts";
import type { Authenticator, Credentials } from "./authenticator.ts";
import type { ApiAnswer, ApiCall } from "./call.ts";
import type { ApiContext, ApiRequest, HandlerTable } from "./handler.ts";
import { earlierAnswer, idempotencyOf } from "./idempotency.ts";

/** A read waits this long for a revision that this server has not seen yet. */
export const MIN_REVISION_WAIT_MS = 5 * SECOND_MS;

/** GETs that act, or that take all the data of somebody: as worth a record as a write. */
const AUDITED_READS: ReadonlySet<RouteId> = new Set([
  "execTask",
  "backupVolume",
  "restoreVolume",
  "snapshotStore",
]);

export interface DispatcherOptions {
  readonly context: ApiContext;
  readonly handlers: HandlerTable;
  readonly authenticator: Authenticator;
  readonly audit: AuditLog;
  readonly metrics: ApiMetrics;
}

/** A handler whose route is not known to the compiler: what it gets and returns was checked by its row. */
type AnyHandler = (request: ApiRequest<RouteId>, context: ApiContext) => unknown;

export class Dispatcher {
  readonly #options: DispatcherOptions;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** @throws ProtocolError for everything that goes wrong with the call. */
  async dispatch(call: ApiCall): Promise<ApiAnswer> {
    const { context, metrics } = this.#options;
    const start = context.clock.monotonic();
    const asked: { actor: Actor } = { actor: NOBODY };
    try {
      const answer = await this.#answer(call, asked);
      this.#record(call, asked.actor, undefined);
      metrics.countRequest(call.route, 200, context.clock.monotonic() - start);
      return answer;
    } catch (thrown) {
      if (thrown instanceof AssertionError) throw thrown;
      const error = call.signal.aborted ? cancelled(thrown) : asProtocolError(thrown);
      this.#record(call, asked.actor, error);
      metrics.countRequest(
        call.route,
        ERRORS[error.code].status,
        context.clock.monotonic() - start,
      );
      throw error;
    }
  }

  /**
   * Who asks, for answers outside the table of routes.
   *
   * @throws ProtocolError `unauthenticated` without a right token.
   */
  requireActor(credentials: Credentials): Actor {
    const actor = this.#options.authenticator.authenticate(credentials);
    if (actor !== NOBODY) return actor;
    throw new ProtocolError("unauthenticated", "this needs a token");
  }

  #authorise(call: ApiCall, asked: { actor: Actor }): void {
    const { authenticator, audit } = this.#options;
    const route: RouteDescription = routes[call.route];
    if (route.access !== "public") {
      const { peer, remoteAddress } = call;
      asked.actor = authenticator.authenticate({
        token: call.headers.token,
        peer,
        remoteAddress,
      });
    }
    checkAccess(asked.actor, { id: call.route, access: route.access }, call.params);
    checkParams(call.params);
    if (isAudited(call.route, route)) audit.checkRoom();
  }

  async #answer(call: ApiCall, asked: { actor: Actor }): Promise<ApiAnswer> {
    const { context, handlers } = this.#options;
    const route: RouteDescription = routes[call.route];
    this.#authorise(call, asked);
    const body = await call.readBody();
    const request = requestOf(call, route, { actor: asked.actor, body });
    if (request.idempotency !== undefined) {
      const earlier = await earlierAnswer(context.store, request.idempotency, call.route);
      if (earlier !== undefined) return answerOf(route, earlier.answer);
    }
    await this.#waitForRevision(call);
    const handler = handlers[call.route] as AnyHandler;
    return answerOf(route, await handler(request, context));
  }

  async #waitForRevision(call: ApiCall): Promise<void> {
    const text = call.headers.minRevision;
    if (text === undefined) return;
    const revision = integerHeader("Berth-Min-Revision", text);
    const { state, clock } = this.#options.context;
    if (state.revision >= revision) return;
    const late = new AbortController();
    const cancel = clock.setTimer(MIN_REVISION_WAIT_MS, () => late.abort());
    try {
      await state.waitFor(revision, AbortSignal.any([call.signal, late.signal]));
    } catch (error) {
      if (!late.signal.aborted) throw error;
      const message = `this server has not seen revision ${revision} yet`;
      const details = { revision, current: state.revision, deadlineMs: MIN_REVISION_WAIT_MS };
      throw new ProtocolError("unavailable", message, details);
    } finally {
      cancel();
    }
  }

  #record(call: ApiCall, actor: Actor, error: ProtocolError | undefined): void {
    const { audit, context } = this.#options;
    const { route, requestId } = call;
    if (error?.code === "internal")
      context.log.error("request failed", { route, requestId, error });
    // Wrong tokens past their limit leave no record: that is what the limit is for.
    if (!isAudited(route, routes[route]) || error?.code === "too_many_requests") return;
    audit.note({
      actor: actor.name,
      remoteAddress: call.remoteAddress,
      action: route,
      path: call.path,
      status: error === undefined ? 200 : ERRORS[error.code].status,
      ...(error === undefined ? {} : { code: error.code }),
      requestId,
    });
  }
}

function isAudited(id: RouteId, route: RouteDescription): boolean {
  if (route.unaudited === true) return false;
  return route.method !== "GET" || AUDITED_READS.has(id);
}

/** The validated request. Its parts have the types of their schemas from here on. */
function requestOf(
  call: ApiCall,
  route: RouteDescription,
  { actor, body }: { readonly actor: Actor; readonly body: unknown },
): ApiRequest<RouteId> {
  checkQuery(route, call.query);
  checkBody(route, body);
  const { ifMatch } = call.headers;
  const request = {
    params: call.params,
    query: call.query,
    body,
    bytes: call.bytes ?? NO_BYTES,
    remoteAddress: call.remoteAddress,
    actor,
    ifMatch: ifMatch === undefined ? undefined : integerHeader("If-Match", ifMatch),
    idempotency: isAudited(call.route, route)
      ? idempotencyOf({ call, body, actor: actor.name })
      : undefined,
    // Asked for when it is wanted: few handlers do, and it costs more than the rest of a small call.
    get signal() {
      return call.signal;
    },
  };
  return request as ApiRequest<RouteId>;
}

function checkParams(params: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(params)) {
    const schema = parameterSchemas[name];
    if (schema !== undefined) parseAs(schema, value, `"${name}" in the path`);
  }
}

function checkQuery(route: RouteDescription, query: Readonly<Record<string, unknown>>): void {
  const known =
    route.query !== undefined && "properties" in route.query ? route.query.properties : {};
  const unknown = Object.keys(query).filter((name) => !Object.hasOwn(known as object, name));
  if (unknown.length > 0) {
    const message = `the query has unknown parameters: ${unknown.slice(0, 5).join(", ")}`;
    throw new ProtocolError("invalid_request", message, {
      unknown: unknown.slice(0, 20),
      known: Object.keys(known as object),
    });
  }
  if (route.query !== undefined) parseAs(route.query, query, "the query");
}

function checkBody(route: RouteDescription, body: unknown): void {
  if (route.body !== undefined) parseAs(route.body, body, "the body");
  else if (body !== undefined) {
    throw new ProtocolError("invalid_request", "this request takes no body");
  }
}

/** `1234` or `"1234"`. */
function integerHeader(header: string, text: string): number {
  const match = /^(?:"(\d{1,15})"|(\d{1,15}))$/.exec(text.trim());
  if (match !== null) return Number(match[1] ?? match[2]);
  throw new ProtocolError("invalid_request", `${header} is not a revision: ${text.slice(0, 40)}`, {
    header,
  });
}

function answerOf(route: RouteDescription, value: unknown): ApiAnswer {
  const { answer } = route;
  switch (answer.kind) {
    case "json":
      return { kind: "json", value };
    case "text":
      return { kind: "text", text: value as string, mediaType: answer.mediaType };
    case "stream":
      return { kind: "stream", lines: value as (ApiAnswer & { kind: "stream" })["lines"] };
    case "bytes":
      return { kind: "bytes", bytes: value as AsyncIterable<Uint8Array> };
    case "upgrade":
      return { kind: "upgrade", run: value as (ApiAnswer & { kind: "upgrade" })["run"] };
    case "empty":
      return { kind: "empty" };
  }
}

function cancelled(cause: unknown): ProtocolError {
  return new ProtocolError(
    "unavailable",
    "the request was given up",
    { reason: "cancelled" },
    { cause },
  );
}

const NO_BYTES: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {},
};

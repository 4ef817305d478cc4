/**
 * The API of a cluster with several servers: calls go to one of them until it fails, then to the next.
 *
 * Invariants: a request goes to another server only when the first cannot have carried it out (it was not reached), or when
 * carrying it out twice is the same as once: reads, reports of agents, writes with an idempotency key. With one address
 * this is `HttpClient` and nothing else.
 *
 * A server that is switched off answers nothing at all: whenever an answer, or the next event of a stream, is late, the
 * server is asked on a new connection whether it lives, and everything that is under way there ends when it does
 * not say so. A slow answer of a server that lives is waited for.
 */

import { type Clock, SECOND_MS, sleep, systemClock } from "@berth/base";
import type {
  ApiClient,
  CallOptions,
  DownloadId,
  FrameStream,
  UpgradeId,
} from "../api/client-port.ts";
import type { AnswerOf, RouteDescription } from "../api/route.ts";
import { type RouteId, type Routes, routes } from "../api/routes.ts";
import { asProtocolError, ProtocolError } from "../errors.ts";
import { HttpClient } from "./http-client.ts";
import type { SecureOptions } from "./http-transport.ts";

/** One way to a server, with what is shown there. */
export interface ServerEndpoint {
  readonly url: string;
  readonly token?: string;
  readonly secure?: () => SecureOptions;
}

export interface FailoverOptions {
  /** Every way to a server, best first; asked whenever one is chosen. Never empty. */
  readonly endpoints: () => readonly ServerEndpoint[];
  readonly clock?: Clock;
  /** Also the only server is asked whether it lives when an answer is late, instead of waiting for its deadline. */
  readonly isImpatient?: true;
  /** Gives writes an idempotency key that have none, so that they can be repeated. */
  readonly newKey?: () => string;
  /** Another server is used from now on, because of `problem`. */
  readonly onSwitch?: (url: string, problem: ProtocolError) => void;
}

/** Answers come within milliseconds; later than this, it is asked whether the server lives. */
export const SLOW_ANSWER_MS = 400;
/** A server that lives says so within this, unless its processor is taken away: then another one serves better. */
export const LIVENESS_TIMEOUT_MS = 600;
/** A watch may be silent for 10 s; a dead server shall be noticed sooner. */
export const QUIET_STREAM_MS = 2 * SECOND_MS;

/** Nothing of the request can have reached the server. */
const NOT_SENT: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

interface Seat {
  readonly endpoint: ServerEndpoint;
  readonly client: HttpClient;
  /** Ends what is under way there. */
  readonly gone: AbortController;
  probe: Promise<boolean> | undefined;
}

type AnyOptions = { readonly bytes?: unknown; readonly idempotencyKey?: string } & {
  readonly signal?: AbortSignal;
};

export class FailoverClient implements ApiClient {
  readonly #options: FailoverOptions;
  readonly #clock: Clock;
  readonly #seats = new Map<string, Seat>();
  #current: string | undefined;

  constructor(options: FailoverOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** The address that the next call goes to. */
  get url(): string {
    return this.#choose().url;
  }

  async call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>> {
    const keyed = this.#keyed(routes[id], options);
    return this.#anywhere(routes[id], keyed, async (seat, signal) => {
      const answer = await seat.client.call(id, { ...keyed, ...signal });
      if ((routes[id] as RouteDescription).answer.kind !== "stream" || !this.#attends()) {
        return answer;
      }
      return this.#watched(seat, answer as AsyncIterable<unknown>) as AnswerOf<Routes[Id]>;
    });
  }

  async download<Id extends DownloadId>(
    id: Id,
    options: CallOptions<Id>,
  ): Promise<AsyncIterable<Uint8Array>> {
    return this.#anywhere(routes[id], options, (seat, signal) =>
      seat.client.download(id, { ...options, ...signal }),
    );
  }

  async upgrade<Id extends UpgradeId>(id: Id, options: CallOptions<Id>): Promise<FrameStream> {
    return this.#anywhere(routes[id], options, (seat, signal) =>
      seat.client.upgrade(id, { ...options, ...signal }),
    );
  }

  /** Closes idle connections and ends running ones. */
  close(): void {
    for (const { client } of this.#seats.values()) client.close();
    this.#seats.clear();
  }

  /** One try at each server, until one answers or it cannot be repeated. */
  async #anywhere<T>(
    route: RouteDescription,
    options: AnyOptions,
    run: (seat: Seat, signal: { readonly signal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const tried = new Set<string>();
    let first: ProtocolError | undefined;
    for (;;) {
      const { url } = this.#choose(tried);
      const seat = this.#seatOf(url);
      tried.add(url);
      try {
        return await this.#inTime(seat, options.signal, (signal) => run(seat, signal));
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason;
        const known = asProtocolError(error);
        if (known.code !== "unavailable") throw known;
        this.#leave(url, known);
        const isOver = this.#options.endpoints().every((each) => tried.has(each.url));
        if (!mayRepeat(route, options, known)) throw known;
        // What happened at the one that was asked for says more than what happened at the last.
        first ??= known;
        if (isOver) throw first;
      }
    }
  }

  /** The answer of `run`; while it is late, the server is asked whether it lives. */
  async #inTime<T>(
    seat: Seat,
    signal: AbortSignal | undefined,
    run: (signal: { readonly signal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    if (!this.#attends()) return run(signal === undefined ? {} : { signal });
    const { gone } = seat;
    const both = signal === undefined ? gone.signal : AbortSignal.any([signal, gone.signal]);
    return this.#attended(seat, run({ signal: both }), SLOW_ANSWER_MS);
  }

  /** Waits for `answer`; ends the seat when the server is found dead meanwhile. */
  async #attended<T>(seat: Seat, answer: Promise<T>, lateMs: number): Promise<T> {
    const done = new AbortController();
    const attend = async () => {
      while (!done.signal.aborted) {
        await sleep(this.#clock, lateMs, done.signal).catch(() => {});
        if (done.signal.aborted || (await this.#lives(seat))) continue;
        if (!done.signal.aborted) this.#end(seat);
        return;
      }
    };
    void attend();
    try {
      return await answer;
    } finally {
      done.abort();
    }
  }

  async *#watched(seat: Seat, events: AsyncIterable<unknown>): AsyncGenerator<unknown> {
    const iterator = events[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#attended(seat, iterator.next(), QUIET_STREAM_MS);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** One question at a time, whoever wants to know. */
  #lives(seat: Seat): Promise<boolean> {
    seat.probe ??= this.#ask(seat).finally(() => {
      seat.probe = undefined;
    });
    return seat.probe;
  }

  /** On a connection of its own: those of calls may all be stuck. */
  async #ask({ endpoint }: Seat): Promise<boolean> {
    const client = new HttpClient({ ...endpoint, clock: this.#clock });
    const late = new AbortController();
    const cancel = this.#clock.setTimer(LIVENESS_TIMEOUT_MS, () => late.abort());
    try {
      await client.call("health", { params: {}, signal: late.signal });
      return true;
    } catch {
      return false;
    } finally {
      cancel();
      client.close();
    }
  }

  #end(seat: Seat): void {
    const { url } = seat.endpoint;
    if (this.#seats.get(url) === seat) this.#seats.delete(url);
    const details = { reason: "no sign of life", systemCode: "ECONNRESET" };
    const message = `the server at ${url} gives no sign of life`;
    seat.gone.abort(new ProtocolError("unavailable", message, details));
    seat.client.close();
  }

  #attends(): boolean {
    return this.#options.isImpatient === true || this.#options.endpoints().length > 1;
  }

  /** The present one unless it was tried; then the next after it in the list, around. */
  #choose(tried: ReadonlySet<string> = new Set()): ServerEndpoint {
    const endpoints = this.#options.endpoints();
    const found = endpoints.findIndex(({ url }) => url === this.#current);
    const start = Math.max(0, found);
    const inOrder = [...endpoints.slice(start), ...endpoints.slice(0, start)];
    const chosen = inOrder.find(({ url }) => !tried.has(url)) ?? inOrder[0];
    if (chosen === undefined) throw new ProtocolError("internal", "there is no server to ask");
    this.#current = chosen.url;
    return chosen;
  }

  #leave(url: string, problem: ProtocolError): void {
    if (this.#current !== url) return;
    const next = this.#choose(new Set([url])).url;
    if (next !== url) this.#options.onSwitch?.(next, problem);
  }

  #seatOf(url: string): Seat {
    const known = this.#seats.get(url);
    if (known !== undefined) return known;
    const endpoint = this.#options.endpoints().find((each) => each.url === url) ?? { url };
    const client = new HttpClient({ ...endpoint, clock: this.#clock });
    const seat: Seat = { endpoint, client, gone: new AbortController(), probe: undefined };
    this.#seats.set(url, seat);
    return seat;
  }

  #keyed<Options extends AnyOptions>(route: RouteDescription, options: Options): Options {
    const { newKey } = this.#options;
    const isWrite = route.method !== "GET" && route.unaudited !== true;
    if (newKey === undefined || !isWrite || route.answer.kind === "stream") return options;
    return { idempotencyKey: newKey(), ...options };
  }
}

function mayRepeat(route: RouteDescription, options: AnyOptions, error: ProtocolError): boolean {
  if (NOT_SENT.has(error.details["systemCode"])) return !isStreamed(options);
  if (isStreamed(options)) return false;
  // Exec and the like: what was begun there may have had its effect.
  if (route.answer.kind === "upgrade") return false;
  const isHarmless = route.method === "GET" || route.unaudited === true;
  return isHarmless || options.idempotencyKey !== undefined;
}

/** A body that can be read once. */
function isStreamed({ bytes }: AnyOptions): boolean {
  return bytes !== undefined && !(bytes instanceof Uint8Array);
}

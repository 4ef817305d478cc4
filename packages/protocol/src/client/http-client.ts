/**
 * The API over HTTP, for CLI, agents and anybody else: calls, streams of lines, bytes and upgrades of one
 * server, described by the table of routes.
 *
 * Invariants: whatever fails is a `ProtocolError`; a request is repeated only where that cannot do
 * something twice (reads, and writes with an idempotency key), a bounded number of times; every body and
 * line that is read has a limit. Light to load: nothing is validated here, the server did that.
 */

import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { backoffMs, type Clock, MIB, SECOND_MS, sleep, systemClock } from "@berth/base";
import type {
  ApiClient,
  CallOptions,
  DownloadId,
  FrameStream,
  UpgradeId,
} from "../api/client-port.ts";
import { STREAM_PROTOCOL } from "../api/frames.ts";
import type { AnswerOf, RouteDescription } from "../api/route.ts";
import { type RouteId, type Routes, routes } from "../api/routes.ts";
import { asProtocolError, PROBLEM_MEDIA_TYPE, ProtocolError } from "../errors.ts";
import { errorOfAnswer } from "./answer-error.ts";
import {
  type Exchange,
  exchange,
  exchangeUpgrade,
  HEAD_TIMEOUT_MS,
  type Target,
} from "./http-exchange.ts";
import { plainTransport, type SecureOptions, type Transport } from "./http-transport.ts";
import { parseLines } from "./ndjson.ts";
import { requestTarget } from "./request-target.ts";
import { SocketFrames } from "./socket-frames.ts";

export interface HttpClientOptions {
  /** `http://127.0.0.1:7710`, `https://10.0.0.1:7711` or `unix:///run/berth.sock`. */
  readonly url: string;
  /** For `https`: whom to believe and who we are, asked at each request, since certificates are renewed. */
  readonly secure?: () => SecureOptions;
  /** Absent: only what needs no token can be asked. */
  readonly token?: string;
  readonly clock?: Clock;
  /** Longest wait for an answer's head; `HEAD_TIMEOUT_MS` by default. */
  readonly headTimeoutMs?: number;
}

/** First try and two more: enough for a connection that was lost, not for an outage. */
const ATTEMPTS_MAX = 3;
const RETRY_BACKOFF = { initialMs: 100, maxMs: SECOND_MS } as const;
/** Answers that are not streams come in pages: far below this. */
export const ANSWER_BYTES_MAX = 64 * MIB;
/** A watch says something every 10 s; three silent periods mean that the connection is dead. */
export const WATCH_SILENCE_MS = 30 * SECOND_MS;

/** Options of any route, where the route is not known to the compiler. */
type AnyOptions = Omit<CallOptions<RouteId>, "params" | "query" | "body"> & {
  readonly params: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
};

export class HttpClient implements ApiClient {
  readonly #target: Target;
  readonly #token: string | undefined;
  readonly #clock: Clock;
  readonly #headTimeoutMs: number;
  readonly #transport: Promise<Transport>;

  constructor(options: HttpClientOptions) {
    this.#target = parseTarget(options.url);
    this.#transport = transportOf(this.#target, options.secure);
    // Whoever asks gets the error; nobody may have asked yet.
    this.#transport.catch(() => {});
    this.#token = options.token;
    this.#clock = options.clock ?? systemClock;
    this.#headTimeoutMs = options.headTimeoutMs ?? HEAD_TIMEOUT_MS;
  }

  async call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>> {
    const route: RouteDescription = routes[id];
    const answer = await this.#begin(route, options);
    // The table says what the answer is; the server's answers are made and tested from the same table.
    return (await readAnswer(id, route, answer, options.signal)) as AnswerOf<Routes[Id]>;
  }

  async download<Id extends DownloadId>(
    id: Id,
    options: CallOptions<Id>,
  ): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.#begin(routes[id], options);
    return bytesOf(answer, options.signal);
  }

  async upgrade<Id extends UpgradeId>(id: Id, options: CallOptions<Id>): Promise<FrameStream> {
    const request = await this.#exchangeOf(routes[id], options);
    const headers = { ...request.headers, connection: "Upgrade", upgrade: STREAM_PROTOCOL };
    const outcome = await exchangeUpgrade({ ...request, headers });
    if (outcome.kind === "upgraded") return new SocketFrames(outcome.socket, outcome.head);
    throw await refusalOf(outcome.answer);
  }

  /** Closes idle connections and ends running ones. */
  close(): void {
    void this.#transport.then(({ close }) => close()).catch(() => {});
  }

  async #begin(route: RouteDescription, options: AnyOptions): Promise<IncomingMessage> {
    const request = await this.#exchangeOf(route, options);
    const repeatable = isRepeatable(route, options);
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await exchange(request);
        if ((answer.statusCode ?? 500) < 400) return answer;
        throw await refusalOf(answer);
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason;
        const known = asProtocolError(error);
        if (!repeatable || attempt >= ATTEMPTS_MAX || !isTransient(known)) throw known;
        await sleep(this.#clock, backoffMs(attempt, RETRY_BACKOFF), options.signal);
      }
    }
  }

  async #exchangeOf(route: RouteDescription, options: AnyOptions): Promise<Exchange> {
    const body = bodyOf(route, options);
    const streamed = route.answer.kind === "stream" || route.answer.kind === "upgrade";
    return {
      open: (await this.#transport).open(streamed ? "stream" : "call"),
      target: this.#target,
      method: route.method,
      path: requestTarget(route, options.params, options.query),
      headers: { ...this.#headersOf(options), ...body?.headers },
      ...(body === undefined ? {} : { body: body.bytes }),
      headTimeoutMs: this.#headTimeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
  }

  #headersOf(options: AnyOptions): Record<string, string> {
    const headers: Record<string, string> = {
      accept: `application/json, ${PROBLEM_MEDIA_TYPE}, */*`,
    };
    if (this.#token !== undefined) headers["authorization"] = `Bearer ${this.#token}`;
    if (options.idempotencyKey !== undefined) headers["idempotency-key"] = options.idempotencyKey;
    if (options.ifMatch !== undefined) headers["if-match"] = `"${options.ifMatch}"`;
    if (options.minRevision !== undefined) headers["berth-min-revision"] = `${options.minRevision}`;
    return headers;
  }
}

/** @throws ProtocolError `invalid_request` when `url` is none of ours. */
export function parseTarget(url: string): Target {
  if (url.startsWith("unix://")) return { kind: "unix", socketPath: url.slice("unix://".length) };
  const parsed = URL.parse(url);
  const isHttp = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  if (parsed === null || !isHttp || parsed.pathname !== "/") {
    const expected = "http://HOST:PORT, https://HOST:PORT or unix:///PATH";
    const message = `"${url}" is no address of a server; expected ${expected}`;
    throw new ProtocolError("invalid_request", message, { url });
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  const secure = parsed.protocol === "https:";
  return { kind: "tcp", host, port: Number(parsed.port || (secure ? "443" : "80")), secure };
}

/** TLS is loaded by those who speak it: a command on the server's own machine does not. */
async function transportOf(
  target: Target,
  secure: (() => SecureOptions) | undefined,
): Promise<Transport> {
  if (target.kind === "unix" || !target.secure) return plainTransport();
  if (secure === undefined) {
    const message = `a server at https://${target.host}:${target.port} needs its authority`;
    throw new ProtocolError("invalid_request", message, { host: target.host });
  }
  return (await import("./secure-transport.ts")).secureTransport(secure);
}

interface Body {
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
}

function bodyOf(route: RouteDescription, options: AnyOptions): Body | undefined {
  if (route.bodyBytes === true) {
    const bytes = options.bytes ?? new Uint8Array();
    const type = { "content-type": "application/octet-stream" };
    if (bytes instanceof Uint8Array) {
      return { bytes, headers: { ...type, "content-length": String(bytes.length) } };
    }
    return { bytes, headers: { ...type, expect: "100-continue" } };
  }
  if (route.body === undefined) return undefined;
  const bytes = Buffer.from(JSON.stringify(options.body ?? {}));
  const headers = { "content-type": "application/json", "content-length": String(bytes.length) };
  return { bytes, headers };
}

function isRepeatable(route: RouteDescription, options: AnyOptions): boolean {
  if (options.bytes !== undefined && !(options.bytes instanceof Uint8Array)) return false;
  return route.method === "GET" || options.idempotencyKey !== undefined;
}

/** Worth another try at once. A refused connection is not: nobody is there, and the caller should hear it. */
function isTransient(error: ProtocolError): boolean {
  if (error.code !== "unavailable") return false;
  const systemCode = error.details["systemCode"];
  return systemCode === undefined || systemCode === "ECONNRESET" || systemCode === "EPIPE";
}

async function refusalOf(answer: IncomingMessage): Promise<ProtocolError> {
  const status = answer.statusCode ?? 500;
  const body = await readText(answer).catch(() => "");
  return errorOfAnswer(status, body);
}

async function readAnswer(
  id: RouteId,
  route: RouteDescription,
  answer: IncomingMessage,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  switch (route.answer.kind) {
    case "json":
      return parseJson(await readText(answer, signal));
    case "text":
      return readText(answer, signal);
    case "stream":
      if (id === "watch") answer.setTimeout(WATCH_SILENCE_MS, () => answer.destroy());
      return parseLines(bytesOf(answer, signal));
    case "empty":
    case "bytes":
    case "upgrade":
      answer.resume();
      return undefined;
  }
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    const found = body.slice(0, 80);
    const message = `the answer is no JSON; is this a Berth server? It begins: ${found}`;
    throw new ProtocolError("internal", message, {}, { cause: error });
  }
}

async function readText(answer: IncomingMessage, signal?: AbortSignal): Promise<string> {
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) answer.destroy(new Error("the answer is over the limit"));
  });
  try {
    return await text(answer);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw lost(error);
  }
}

/** The body's chunks; a connection that breaks is an error, never a quiet end. */
async function* bytesOf(
  answer: IncomingMessage,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const onAbort = () => answer.destroy();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal?.aborted) throw signal.reason;
    for await (const chunk of answer) yield chunk as Uint8Array;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw lost(error);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    answer.destroy();
  }
}

function lost(error: unknown): ProtocolError {
  const details = { reason: "connection lost", systemCode: "ECONNRESET" };
  return new ProtocolError("unavailable", "the connection to the server was lost", details, {
    cause: error,
  });
}

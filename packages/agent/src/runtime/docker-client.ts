/**
 * HTTP to a container engine over its socket: requests, streams and upgraded connections.
 *
 * A client of our own rather than `dockerode`, because of memory and of what a call can be given (deadline,
 * signal, back-pressure): docs/adr/0015-docker-client.md. Short calls share kept-alive sockets; streams that
 * last get a socket each, so that many followed logs cannot block a stop. Every answer that is read whole is
 * bounded. A call on a kept socket that the engine closed meanwhile is repeated once: all calls may be.
 */

import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import type { Clock } from "@berth/base";
import { parseJson, textAt } from "./docker-json.ts";
import { engineTimedOut, engineUnavailable, refusal } from "./docker-refusal.ts";

// Importing `node:http` as a module runs the getters of all its exports, one of which loads the whole
// of undici: 14 MB resident in each process. This way only what is used is loaded.
const http = process.getBuiltinModule("node:http");

/** One call of the Engine API. */
export interface EngineCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Without the version; segments are encoded by the caller (`segment`). */
  readonly path: string;
  /** A list stands for the parameter repeated. */
  readonly query?: Readonly<
    Record<string, string | number | boolean | readonly string[] | undefined>
  >;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, type `application/x-tar`. */
  readonly bytes?: Uint8Array;
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is tried, for errors: `create container x`. */
  readonly context: string;
  readonly signal?: AbortSignal | undefined;
  /** Until the answer (of a stream: its head); `CALL_TIMEOUT_MS` by default, `Infinity` for none. */
  readonly timeoutMs?: number;
  /** No version in front of the path. */
  readonly unversioned?: boolean;
}

/** An answer that was read whole. */
export interface EngineAnswer {
  readonly status: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
}

export interface EngineClientOptions {
  readonly socketPath: string;
  readonly clock: Clock;
}

/** Starting a container takes seconds on a machine under load; a minute means that the engine hangs. */
const CALL_TIMEOUT_MS = 60_000;
/** Short calls at once: starts beyond a few a processor only queue inside the engine. */
const SOCKETS_MAX = 32;
/** Lists of ten thousand containers stay below this. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;

export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #agent = new http.Agent({
    keepAlive: true,
    maxSockets: SOCKETS_MAX,
    scheduling: "lifo",
  });
  readonly #streams = new http.Agent({ keepAlive: false });
  #version: string | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  /** Prefix of all calls from now on: `1.41`. */
  useVersion(version: string): void {
    this.#version = version;
  }

  /** Sends and reads the whole answer, whatever its status. */
  async answer(call: EngineCall): Promise<EngineAnswer> {
    const text = await this.#guarded(call, (guard) => this.#exchange(call, guard));
    const body = parseJson(text.body);
    return { status: text.status, body: body === undefined ? text.body : body };
  }

  /** Sends and expects success (or one of `alsoGood`). */
  async call(call: EngineCall, alsoGood: readonly number[] = []): Promise<unknown> {
    const answer = await this.answer(call);
    if (isGood(answer.status) || alsoGood.includes(answer.status)) return answer.body;
    throw refusal(call.context, answer.status, wordsOf(answer.body));
  }

  /** The same for a path that has no version in front. */
  unversioned(call: EngineCall): Promise<unknown> {
    return this.call({ ...call, unversioned: true });
  }

  /** Sends and gives the body as it comes; it ends with an error when `signal` aborts. */
  async open(call: EngineCall): Promise<AsyncIterable<Uint8Array>> {
    const message = await this.#guarded(call, (guard) =>
      this.#send(call, this.#streams, guard, resolveResponse),
    );
    await expectGood(call, message);
    destroyOnAbort(message, call.signal);
    return bodyOf(message, call);
  }

  /** Sends and takes over the connection in both directions. */
  async upgrade(call: EngineCall): Promise<Duplex> {
    const headers = { ...call.headers, connection: "Upgrade", upgrade: "tcp" };
    const got = await this.#guarded(call, (guard) =>
      this.#send({ ...call, headers }, this.#streams, guard, resolveUpgrade),
    );
    if (got.kind === "socket") {
      destroyOnAbort(got.socket, call.signal);
      return got.socket;
    }
    await expectGood(call, got.message);
    throw refusal(call.context, 500, "the engine did not hand the connection over");
  }

  /** Closes what is idle; calls under way go on. */
  close(): void {
    this.#agent.destroy();
    this.#streams.destroy();
  }

  /** Runs a call under its deadline and signal and says in our words why it did not come through. */
  async #guarded<T>(call: EngineCall, run: (guard: Guard) => Promise<T>): Promise<T> {
    call.signal?.throwIfAborted();
    const timeoutMs = call.timeoutMs ?? CALL_TIMEOUT_MS;
    const guard = new Guard();
    const onAbort = () => guard.end(call.signal?.reason);
    call.signal?.addEventListener("abort", onAbort, { once: true });
    const cancel = Number.isFinite(timeoutMs)
      ? this.#options.clock.setTimer(timeoutMs, () =>
          guard.end(engineTimedOut(call.context, timeoutMs)),
        )
      : undefined;
    try {
      return await run(guard);
    } catch (error) {
      if (guard.ended !== undefined) throw guard.ended.reason;
      if (error instanceof Error && "code" in error && "syscall" in error) {
        throw engineUnavailable(call.context, error);
      }
      throw isHangUp(error) ? engineUnavailable(call.context, error) : error;
    } finally {
      cancel?.();
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  async #exchange(call: EngineCall, guard: Guard) {
    const attempt = async () => {
      const message = await this.#send(call, this.#agent, guard, resolveResponse);
      return { status: message.statusCode ?? 0, body: await readText(message) };
    };
    try {
      return await attempt();
    } catch (error) {
      const isOver = guard.ended !== undefined || call.stream !== undefined;
      if (isOver || !isHangUp(error) || !wasReused(error)) throw error;
      return attempt();
    }
  }

  #send<T>(
    call: EngineCall,
    agent: InstanceType<typeof http.Agent>,
    guard: Guard,
    listen: (request: ClientRequest, resolve: (value: T) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const content = contentOf(call);
      const request = http.request({
        socketPath: this.#options.socketPath,
        method: call.method,
        path: this.#pathOf(call),
        headers: { host: "engine", ...content.headers, ...call.headers },
        agent,
      });
      guard.guards(request);
      request.on("error", (error) => {
        if (request.reusedSocket) REUSED.add(error);
        reject(error);
      });
      listen(request, resolve);
      if (call.stream === undefined) request.end(content.bytes);
      else sendStream(call.stream, request);
    });
  }

  #pathOf(call: EngineCall): string {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(call.query ?? {})) {
      if (Array.isArray(value)) for (const each of value) query.append(key, each);
      else if (value !== undefined) query.set(key, String(value));
    }
    const plain = this.#version === undefined || call.unversioned === true;
    const prefix = plain ? "" : `/v${this.#version}`;
    const suffix = query.size === 0 ? "" : `?${query}`;
    return `${prefix}${call.path}${suffix}`;
  }
}

/**
 * Ends a request when its deadline has passed or its caller wants it no more. Node's own way (`signal` of a request)
 * listens to eight events of each; a container takes three calls.
 */
class Guard {
  ended: { readonly reason: unknown } | undefined;
  #request: ClientRequest | undefined;

  guards(request: ClientRequest): void {
    this.#request = request;
  }

  end(reason: unknown): void {
    this.ended ??= { reason };
    this.#request?.destroy(reason instanceof Error ? reason : new Error(String(reason)));
  }
}

/** A name as one segment of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}

/** What the engine says in an answer that is no success. */
export function wordsOf(body: unknown): string {
  const text = textAt(body, "message") ?? (typeof body === "string" ? body : JSON.stringify(body));
  return text === "" ? "no reason given" : text;
}

/** Errors of calls on kept sockets: the engine may have closed them while idle. */
const REUSED = new WeakSet<object>();

function wasReused(error: unknown): boolean {
  return typeof error === "object" && error !== null && REUSED.has(error);
}

function isHangUp(error: unknown): error is Error {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ECONNRESET" || error.code === "EPIPE")
  );
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

function resolveResponse(request: ClientRequest, resolve: (message: IncomingMessage) => void) {
  request.on("response", resolve);
}

type Upgraded =
  | { readonly kind: "socket"; readonly socket: Duplex }
  | { readonly kind: "message"; readonly message: IncomingMessage };

/** Engines that refuse answer as to any request. */
function resolveUpgrade(request: ClientRequest, resolve: (got: Upgraded) => void): void {
  request.on("response", (message) => resolve({ kind: "message", message }));
  request.on("upgrade", (_message, socket: Duplex, head: Buffer) => {
    if (head.length > 0) socket.unshift(head);
    resolve({ kind: "socket", socket });
  });
}

async function expectGood(call: EngineCall, message: IncomingMessage): Promise<void> {
  const status = message.statusCode ?? 0;
  if (isGood(status)) return;
  const body = await readText(message);
  throw refusal(call.context, status, wordsOf(parseJson(body) ?? body));
}

/** A body that breaks off means that the engine has gone. */
async function* bodyOf(message: IncomingMessage, call: EngineCall): AsyncGenerator<Uint8Array> {
  try {
    yield* message;
  } catch (error) {
    call.signal?.throwIfAborted();
    throw error instanceof Error ? engineUnavailable(call.context, error) : error;
  }
}

function contentOf(call: EngineCall) {
  if (call.stream !== undefined) return { headers: { "content-type": "application/x-tar" } };
  if (call.bytes !== undefined) {
    const length = String(call.bytes.length);
    const headers = { "content-type": "application/x-tar", "content-length": length };
    return { headers, bytes: call.bytes };
  }
  if (call.json === undefined) {
    return { headers: call.method === "POST" ? { "content-length": "0" } : {} };
  }
  const bytes = Buffer.from(JSON.stringify(call.json));
  const headers = { "content-type": "application/json", "content-length": String(bytes.length) };
  return { headers, bytes };
}

/** Errors of the source end the request; errors of the request are its own. */
function sendStream(source: AsyncIterable<Uint8Array>, request: ClientRequest): void {
  const readable = Readable.from(source);
  readable.on("error", (error) => request.destroy(error));
  request.on("close", () => readable.destroy());
  readable.pipe(request);
}

function destroyOnAbort(stream: Duplex | IncomingMessage, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const onAbort = () => {
    const { reason } = signal;
    stream.destroy(reason instanceof Error ? reason : new Error(String(reason)));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", onAbort));
  if (signal.aborted) onAbort();
}

/** By its events: an iterator costs as much as all the rest of a short answer. */
function readText(message: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    message.on("data", (bytes: Buffer) => {
      size += bytes.length;
      if (size <= BODY_BYTES_MAX) parts.push(bytes);
      else {
        const words = `the answer is longer than ${BODY_BYTES_MAX} bytes`;
        message.destroy(refusal("read an answer", 500, words));
      }
    });
    message.once("error", reject);
    message.once("end", () => resolve(Buffer.concat(parts).toString()));
  });
}

/**
 * The API without a network: the dispatcher called in the same process, for simulations and tests.
 *
 * As over the wire, nothing but JSON texts and bytes crosses: bodies, answers and errors are turned into
 * text and back, so that neither side can hold the other's objects. A hook may delay, lose the request or
 * lose the reply.
 */

import {
  type AnswerOf,
  type ApiClient,
  asProtocolError,
  type CallOptions,
  type DownloadId,
  type FrameStream,
  ProtocolError,
  problemOf,
  type RouteDescription,
  type RouteId,
  type Routes,
  routes,
  type UpgradeId,
} from "@berth/protocol";
import { errorOfAnswer } from "@berth/protocol/client/answer-error";
import { parseLines } from "@berth/protocol/client/ndjson";
import { requestTarget } from "@berth/protocol/client/request-target";
import type { ApiAnswer, ApiCall } from "./call.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { framePair } from "./frame-pair.ts";
import type { Peer } from "./peer.ts";

/** What happens between the two ends. Each may wait, and may throw what the caller then sees. */
export interface NetworkHook {
  /** Before the server sees the call: throwing loses the request. */
  readonly before?: (route: RouteId) => Promise<void>;
  /** After the server has answered: throwing loses the reply, not the write. */
  readonly after?: (route: RouteId) => Promise<void>;
  /** Before each piece of a stream: throwing breaks the connection. */
  readonly piece?: (route: RouteId) => Promise<void>;
}

export interface InProcessClientOptions {
  /** Asked for each call: a server that was started again is another one. */
  readonly dispatcher: () => Dispatcher;
  readonly token?: string;
  /** Whom the connection's certificate would speak for. */
  readonly peer?: Peer;
  readonly newId: () => string;
  readonly network?: NetworkHook;
  readonly remoteAddress?: string;
}

type AnyOptions = Omit<CallOptions<RouteId>, "params" | "query" | "body"> & {
  readonly params: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
};

export class InProcessClient implements ApiClient {
  readonly #options: InProcessClientOptions;

  constructor(options: InProcessClientOptions) {
    this.#options = options;
  }

  async call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>> {
    const abort = new AbortController();
    const answer = await this.#dispatch(id, options, abort);
    return (await this.#received(id, answer, abort)) as AnswerOf<Routes[Id]>;
  }

  async download<Id extends DownloadId>(
    id: Id,
    options: CallOptions<Id>,
  ): Promise<AsyncIterable<Uint8Array>> {
    const abort = new AbortController();
    const answer = await this.#dispatch(id, options, abort);
    if (answer.kind !== "bytes") throw new ProtocolError("internal", `${id} answered no bytes`);
    return this.#pieces(id, answer.bytes, abort);
  }

  async upgrade<Id extends UpgradeId>(id: Id, options: CallOptions<Id>): Promise<FrameStream> {
    const abort = new AbortController();
    const answer = await this.#dispatch(id, options, abort);
    if (answer.kind !== "upgrade") throw new ProtocolError("internal", `${id} is no upgrade`);
    const [ours, theirs] = framePair();
    void answer.run(theirs).finally(() => {
      theirs.close();
      abort.abort();
    });
    const close = () => {
      ours.close();
      abort.abort();
    };
    return { frames: () => ours.frames(), send: (kind, bytes) => ours.send(kind, bytes), close };
  }

  async #dispatch(id: RouteId, options: AnyOptions, abort: AbortController): Promise<ApiAnswer> {
    const { network, dispatcher } = this.#options;
    options.signal?.throwIfAborted();
    const onAbort = () => abort.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const call = this.#callOf(id, options, abort.signal);
    await network?.before?.(id);
    let answer: ApiAnswer;
    try {
      answer = await dispatcher().dispatch(call);
    } catch (error) {
      await network?.after?.(id);
      if (options.signal?.aborted) throw options.signal.reason;
      throw asReceived(error, call.requestId);
    }
    await network?.after?.(id);
    return answer;
  }

  #callOf(id: RouteId, options: AnyOptions, signal: AbortSignal): ApiCall {
    const route: RouteDescription = routes[id];
    const { token, peer, newId, remoteAddress = "local" } = this.#options;
    const { idempotencyKey, ifMatch, minRevision } = options;
    // Refuses what could not be said in a request line, as the other client does.
    const target = requestTarget(route, options.params, options.query);
    const body = route.body === undefined ? undefined : JSON.stringify(options.body ?? {});
    return {
      route: id,
      params: { ...options.params },
      query: Object.fromEntries(new URLSearchParams(target.split("?", 2)[1] ?? "")),
      readBody: async () => (body === undefined ? undefined : JSON.parse(body)),
      ...(route.bodyBytes === true ? { bytes: sentBytes(options.bytes) } : {}),
      headers: {
        ...(token === undefined ? {} : { token }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(ifMatch === undefined ? {} : { ifMatch: `"${ifMatch}"` }),
        ...(minRevision === undefined ? {} : { minRevision: String(minRevision) }),
      },
      ...(peer === undefined ? {} : { peer }),
      remoteAddress,
      path: target.split("?", 1)[0] ?? "",
      requestId: newId(),
      signal,
    };
  }

  async #received(id: RouteId, answer: ApiAnswer, abort: AbortController): Promise<unknown> {
    switch (answer.kind) {
      case "json":
        return JSON.parse(JSON.stringify(answer.value));
      case "text":
        return answer.text;
      case "empty":
        return undefined;
      case "stream":
        return parseLines(this.#pieces(id, flattened(answer.lines), abort));
      case "bytes":
      case "upgrade":
        abort.abort();
        return undefined;
    }
  }

  /** The pieces of a stream as the network lets them through; the server hears of the end. */
  async *#pieces(
    id: RouteId,
    pieces: AsyncIterable<Uint8Array>,
    abort: AbortController,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const iterator = pieces[Symbol.asyncIterator]();
    const { signal } = abort;
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => {});
    signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), aborted.promise]);
        if (next.done) return;
        await this.#options.network?.piece?.(id);
        yield Uint8Array.from(next.value);
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : asReceived(error, "");
    } finally {
      abort.abort(new ProtocolError("unavailable", "the client has gone"));
      // Not awaited: a source that waits for its next piece ends by the signal.
      void iterator.return?.()?.catch(() => {});
    }
  }
}

/** An error after its way as a problem document. */
function asReceived(error: unknown, requestId: string): ProtocolError {
  const problem = problemOf(asProtocolError(error), requestId);
  return errorOfAnswer(problem.status, JSON.stringify(problem));
}

async function* flattened(
  lines: AsyncIterable<readonly Uint8Array[]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const parts of lines) yield* parts;
}

async function* sentBytes(
  bytes: Uint8Array | AsyncIterable<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes === undefined) return;
  if (bytes instanceof Uint8Array) yield Uint8Array.from(bytes);
  else yield* bytes;
}

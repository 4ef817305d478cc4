/**
 * The API client of one life of a process: calls go over its link to whichever server lives.
 *
 * A server that dies takes its calls and streams with it: the client sees a reset connection. A client
 * that dies is noticed by the server, which ends its streams.
 */

import { InProcessClient } from "@berth/control-plane/api/in-process-client";
import type {
  AnswerOf,
  ApiClient,
  CallOptions,
  DownloadId,
  FrameStream,
  RouteId,
  Routes,
  UpgradeId,
} from "@berth/protocol";
import type { Life } from "./life.ts";
import { type Link, unreachable } from "./link.ts";
import type { ServerLife } from "./server-life.ts";

/** A member got an answer, or a piece of a stream. */
export interface AnswerEvent {
  /** Identifier of the membership that its certificate speaks of. */
  readonly member: string;
  readonly route: RouteId;
}

/** By what a server knows a client: a token, or the certificate of a member. */
export type Identity =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "member"; readonly node: string; readonly member: string };

/** Calls that cannot be repeated by a line: their answer is a stream. */
const STREAMS: ReadonlySet<RouteId> = new Set(["watch", "readLogs"]);

export interface LineClientOptions {
  readonly life: Life;
  readonly link: Link;
  /** The server that listens now. */
  readonly server: () => ServerLife | undefined;
  readonly identity: Identity;
  /** A member got an answer, or a piece of a stream. */
  readonly onAnswered?: (event: AnswerEvent) => void;
  readonly newId: () => string;
}

export class LineClient implements ApiClient {
  readonly #options: LineClientOptions;

  constructor(options: LineClientOptions) {
    this.#options = options;
  }

  call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>> {
    return this.#options.life.only(() => this.#call(id, options));
  }

  download<Id extends DownloadId>(
    id: Id,
    options: CallOptions<Id>,
  ): Promise<AsyncIterable<Uint8Array>> {
    return this.#options.life.only(async () => this.#client(this.#server()).download(id, options));
  }

  upgrade<Id extends UpgradeId>(id: Id, options: CallOptions<Id>): Promise<FrameStream> {
    return this.#options.life.only(async () => this.#client(this.#server()).upgrade(id, options));
  }

  async #call<Id extends RouteId>(id: Id, options: CallOptions<Id>): Promise<AnswerOf<Routes[Id]>> {
    const { life, link } = this.#options;
    const stray = () => {
      if (!STREAMS.has(id)) this.#deliver(id, options);
    };
    await link.request(life.clock, options.signal, stray);
    const server = this.#server();
    const abort = new AbortController();
    const ends = [
      abort.signal,
      life.death,
      ...(options.signal === undefined ? [] : [options.signal]),
    ];
    const sent = { ...options, signal: AbortSignal.any(ends) };
    const answer = await unlessAborted(this.#client(server).call(id, sent), server.life.death);
    this.#answered(id);
    if (STREAMS.has(id)) {
      const stream = this.#stream(id, answer as AsyncIterable<unknown>, { server, abort });
      return life.items(stream) as unknown as AnswerOf<Routes[Id]>;
    }
    await link.reply(life.clock, options.signal);
    return answer;
  }

  /** A stream lives as long as both ends and the line between them. */
  async *#stream(
    id: RouteId,
    items: AsyncIterable<unknown>,
    { server, abort }: { readonly server: ServerLife; readonly abort: AbortController },
  ): AsyncGenerator<unknown, void, undefined> {
    const { life, link, identity } = this.#options;
    const ends = [server.life.death, link.silence];
    if (identity.kind === "member") ends.push(server.connectionsOf(identity.member));
    const broken = AbortSignal.any(ends);
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await unlessAborted(iterator.next(), broken);
        if (next.done) return;
        this.#answered(id);
        await unlessAborted(link.piece(life.clock), broken);
        yield next.value;
      }
    } finally {
      abort.abort(unreachable("closed"));
    }
  }

  /** A copy of a request that arrives by itself: nobody waits for the answer. */
  #deliver<Id extends RouteId>(id: Id, options: CallOptions<Id>): void {
    const server = this.#options.server();
    if (server === undefined) return;
    const { signal: _gone, ...rest } = options;
    const sent = { ...rest, signal: server.life.death } as CallOptions<Id>;
    void this.#client(server)
      .call(id, sent)
      .then(
        () => this.#answered(id),
        () => {},
      );
  }

  #answered(route: RouteId): void {
    const { identity, onAnswered } = this.#options;
    if (identity.kind === "member") onAnswered?.({ member: identity.member, route });
  }

  #server(): ServerLife {
    const server = this.#options.server();
    if (server === undefined) throw unreachable("refused");
    return server;
  }

  #client(server: ServerLife): InProcessClient {
    const { identity, newId } = this.#options;
    const shown =
      identity.kind === "token"
        ? { token: identity.token }
        : { peer: { ...identity, notAfter: Number.POSITIVE_INFINITY } };
    return new InProcessClient({ dispatcher: () => server.dispatcher, ...shown, newId });
  }
}

/** The result of `promise`, or a reset connection as soon as `signal` aborts. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(unreachable("reset"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const release = () => signal.removeEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(release);
  });
}

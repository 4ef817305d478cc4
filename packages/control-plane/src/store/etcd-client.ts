/**
 * The members of one etcd cluster as one party: calls go to the member that answered last, and to the next
 * when it fails.
 *
 * Invariants: a call is repeated only when nothing can have been done, or when it changes nothing; all
 * attempts of a call share one deadline. Logs in when credentials are given, and again when told to.
 */

import { type Clock, type Logger, SECOND_MS, sleep } from "@berth/base";
import type { StoreError } from "./errors.ts";
import {
  GrpcChannel,
  type GrpcFailure,
  type GrpcStream,
  type GrpcStreamHandlers,
  type TlsFiles,
} from "./etcd-channel.ts";
import { errorOf, verdictOf } from "./etcd-failures.ts";
import { decodeToken, encodeAuthenticate, METHODS } from "./etcd-messages.ts";

/** All attempts of one call together: longer than an election of etcd, shorter than a client's patience. */
export const CALL_MS_MAX = 8 * SECOND_MS;
/** One attempt: etcd itself gives up a proposal after about this long. */
const ATTEMPT_MS_MAX = 5 * SECOND_MS;
/** Between attempts, so that a cluster without a leader is not hammered. */
const RETRY_MS = 100;

export interface EtcdCredentials {
  readonly user: string;
  readonly password: string;
}

export interface EtcdClientOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsFiles;
  readonly credentials?: EtcdCredentials;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A call's end, when it was neither repeated nor answered: `error` is for whoever has no better one. */
export type EtcdReply =
  | { readonly ok: true; readonly message: Buffer }
  | { readonly ok: false; readonly failure: GrpcFailure; readonly error: StoreError };

export interface EtcdCallOptions {
  /** A call whose repetition could do harm. */
  readonly isWrite: boolean;
  readonly signal?: AbortSignal;
}

export class EtcdClient {
  readonly #options: EtcdClientOptions;
  #member = 0;
  #channel: GrpcChannel | undefined;
  #token: Promise<string | undefined> | undefined;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
  }

  /** Never rejects but with the signal's reason. */
  async call(path: string, message: Buffer, options: EtcdCallOptions): Promise<EtcdReply> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + CALL_MS_MAX;
    for (;;) {
      options.signal?.throwIfAborted();
      const leftMs = deadline - clock.monotonic();
      const reply = await this.#attempt(path, message, leftMs, options.signal);
      if (reply.ok) return reply;
      const { failure } = reply;
      const verdict = verdictOf(failure);
      const mayRepeat = verdict !== "refused" && (verdict !== "unknown" || !options.isWrite);
      const isOver = options.signal?.aborted === true || leftMs <= RETRY_MS;
      if (!mayRepeat || isOver) {
        if (verdict === "unknown") this.#leave();
        return { ok: false, failure, error: errorOf(failure, options.isWrite) };
      }
      if (verdict === "login") this.#token = undefined;
      else this.#leave();
      await sleep(clock, RETRY_MS, options.signal);
    }
  }

  /** A stream to the present member. It ends with that member; whoever needs it opens another. */
  async open(path: string, handlers: GrpcStreamHandlers): Promise<GrpcStream> {
    const token = await this.#login(ATTEMPT_MS_MAX);
    return this.#current().open(path, token.ok ? token.value : undefined, {
      onMessage: handlers.onMessage,
      onEnd: (failure) => {
        if (verdictOf(failure) === "login") this.#token = undefined;
        handlers.onEnd(failure);
      },
    });
  }

  /** The next call or stream goes to another member. */
  leave(): void {
    this.#leave();
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #attempt(path: string, message: Buffer, leftMs: number, signal?: AbortSignal) {
    const deadlineMs = Math.max(1, Math.min(leftMs, ATTEMPT_MS_MAX));
    const token = await this.#login(deadlineMs);
    if (!token.ok) return token;
    return this.#current().call(path, message, {
      deadlineMs,
      ...(token.value === undefined ? {} : { token: token.value }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #login(
    deadlineMs: number,
  ): Promise<{ ok: true; value: string | undefined } | { ok: false; failure: GrpcFailure }> {
    const { credentials } = this.#options;
    if (credentials === undefined) return { ok: true, value: undefined };
    let failure: GrpcFailure | undefined;
    this.#token ??= (async () => {
      const message = encodeAuthenticate(credentials.user, credentials.password);
      const reply = await this.#current().call(METHODS.authenticate, message, { deadlineMs });
      if (reply.ok) return decodeToken(reply.message);
      // Whatever became of the login: the call itself was not sent.
      failure = { ...reply.failure, sent: verdictOf(reply.failure) === "refused" };
      return undefined;
    })();
    const value = await this.#token;
    if (value !== undefined) return { ok: true, value };
    this.#token = undefined;
    const unsent = { status: 14, message: "the login failed", sent: false };
    return { ok: false, failure: failure ?? unsent };
  }

  #current(): GrpcChannel {
    if (this.#channel !== undefined && !this.#channel.failed) return this.#channel;
    if (this.#channel !== undefined) this.#member++;
    const { endpoints, tls = {}, clock } = this.#options;
    const url = endpoints[this.#member % endpoints.length] ?? "";
    this.#channel = new GrpcChannel({ url, tls, clock });
    return this.#channel;
  }

  #leave(): void {
    const left = this.#channel;
    if (left === undefined) return;
    this.#options.log.debug("leaving a member of etcd", { url: left.url });
    left.close();
  }
}

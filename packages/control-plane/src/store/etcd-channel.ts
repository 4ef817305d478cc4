/**
 * One connection to one member of etcd: gRPC over Node's own HTTP/2.
 *
 * It knows calls and streams, nothing of etcd. A failed call says whether the other side can have seen it
 * (`sent`), on which everything about unknown outcomes rests. A connection that has failed stays so: whoever
 * holds it makes another (`etcd-client.ts`). A silent member is found out by pings while anything waits.
 */

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { type CancelTimer, type Clock, MIB, SECOND_MS } from "@berth/base";

/** A member that does not accept a connection within this is not there. */
const CONNECT_MS_MAX = 2 * SECOND_MS;
/** How often a connection with something under way is asked whether it lives, and for how long. */
const PING_PERIOD_MS = 2 * SECOND_MS;
const PING_ANSWER_MS_MAX = 2 * SECOND_MS;
/** What a member may send before it waits for us; small windows cost a round trip for each. */
const WINDOW_BYTES = 8 * MIB;
const FRAME_HEAD_BYTES = 5;

/** gRPC's status codes that are told apart. */
export const GRPC_STATUS = {
  ok: 0,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  outOfRange: 11,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** A call that did not end with an answer. No error of ours: the client turns it into one. */
export interface GrpcFailure {
  readonly status: number;
  readonly message: string;
  /** Whether the member can have seen the call. */
  readonly sent: boolean;
  readonly cause?: unknown;
}

export type GrpcReply =
  | { readonly ok: true; readonly message: Buffer }
  | { readonly ok: false; readonly failure: GrpcFailure };

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface GrpcChannelOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  readonly url: string;
  readonly tls: TlsFiles;
  readonly clock: Clock;
}

export interface GrpcStreamHandlers {
  readonly onMessage: (message: Buffer) => void;
  /** Once, however it ends; not after `cancel`. */
  readonly onEnd: (failure: GrpcFailure) => void;
}

export class GrpcChannel {
  readonly url: string;
  readonly #session: ClientHttp2Session;
  readonly #clock: Clock;
  readonly #cancelConnect: CancelTimer;
  #cancelPing: CancelTimer | undefined;
  #connected = false;
  #failed = false;
  #underWay = 0;

  constructor(options: GrpcChannelOptions) {
    this.url = options.url;
    this.#clock = options.clock;
    this.#session = connect(options.url, {
      ...options.tls,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    this.#cancelConnect = options.clock.setTimer(CONNECT_MS_MAX, () => this.#fail());
    this.#session.once("connect", () => {
      this.#connected = true;
      this.#cancelConnect();
      this.#session.setLocalWindowSize(WINDOW_BYTES);
    });
    this.#session.on("error", () => this.#fail());
    this.#session.on("goaway", () => this.#fail());
    this.#session.on("close", () => this.#fail());
    this.#session.unref();
  }

  /** Nothing can be begun on it any more. */
  get failed(): boolean {
    return this.#failed;
  }

  /** One question, one answer. Never rejects. `signal` ends the wait, whatever becomes of the call. */
  call(
    path: string,
    message: Buffer,
    options: {
      readonly token?: string;
      readonly deadlineMs: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<GrpcReply> {
    return new Promise((resolve) => {
      let answer: Buffer | undefined;
      const settle = (reply: GrpcReply) => {
        cancelDeadline();
        options.signal?.removeEventListener("abort", onAbort);
        stream.cancel();
        resolve(reply);
      };
      const stream = this.open(path, options.token, {
        onMessage: (received) => {
          answer = received;
        },
        onEnd: (failure) => {
          if (failure.status === GRPC_STATUS.ok && answer !== undefined) {
            settle({ ok: true, message: answer });
          } else settle({ ok: false, failure });
        },
      });
      const giveUp = (words: string) =>
        settle({
          ok: false,
          failure: { status: GRPC_STATUS.deadlineExceeded, message: words, sent: this.#connected },
        });
      const onAbort = () => giveUp("it was cancelled");
      const cancelDeadline = this.#clock.setTimer(options.deadlineMs, () =>
        giveUp(`no answer within ${options.deadlineMs} ms`),
      );
      options.signal?.addEventListener("abort", onAbort, { once: true });
      stream.send(message);
      stream.finish();
    });
  }

  /** A stream in both directions. */
  open(path: string, token: string | undefined, handlers: GrpcStreamHandlers): GrpcStream {
    const headers = {
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
      ...(token === undefined ? {} : { token }),
    };
    const http =
      this.#failed || this.#session.destroyed ? undefined : this.#session.request(headers);
    this.#begin();
    return new GrpcStream(http, {
      onMessage: handlers.onMessage,
      onEnd: (failure) => handlers.onEnd({ ...failure, sent: failure.sent && this.#connected }),
      onOver: () => this.#over(),
    });
  }

  close(): void {
    this.#fail();
  }

  #fail(): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#cancelConnect();
    this.#cancelPing?.();
    this.#session.destroy();
  }

  /** A session that is idle must not keep the process alive, one that is waited for must. */
  #begin(): void {
    if (this.#underWay++ > 0) return;
    this.#session.ref();
    this.#schedulePing();
  }

  #over(): void {
    if (--this.#underWay > 0) return;
    this.#session.unref();
    this.#cancelPing?.();
  }

  #schedulePing(): void {
    if (this.#failed) return;
    this.#cancelPing = this.#clock.setTimer(PING_PERIOD_MS, () => {
      if (this.#failed || !this.#connected || this.#session.destroyed) return;
      this.#cancelPing = this.#clock.setTimer(PING_ANSWER_MS_MAX, () => this.#fail());
      this.#session.ping((error) => {
        this.#cancelPing?.();
        if (error === null) this.#schedulePing();
        else this.#fail();
      });
    });
  }
}

interface StreamEvents {
  readonly onMessage: (message: Buffer) => void;
  readonly onEnd: (failure: GrpcFailure) => void;
  readonly onOver: () => void;
}

/** Messages in both directions until one side ends it. */
export class GrpcStream {
  readonly #http: ClientHttp2Stream | undefined;
  readonly #events: StreamEvents;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #status: number | undefined;
  #statusMessage = "";
  #error: unknown;
  #ended = false;

  constructor(http: ClientHttp2Stream | undefined, events: StreamEvents) {
    this.#http = http;
    this.#events = events;
    if (http === undefined) {
      queueMicrotask(() => this.#end(false));
      return;
    }
    http.on("response", (headers) => this.#takeStatus(headers));
    http.on("trailers", (headers) => this.#takeStatus(headers));
    http.on("data", (data: Buffer) => this.#take(data));
    http.on("error", (error) => {
      this.#error = error;
    });
    http.on("close", () => this.#end(http.rstCode !== constants.NGHTTP2_REFUSED_STREAM));
  }

  send(message: Buffer): void {
    const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
    head[0] = 0;
    head.writeUInt32BE(message.length, 1);
    this.#http?.write(Buffer.concat([head, message]));
  }

  /** Nothing more will be sent. */
  finish(): void {
    this.#http?.end();
  }

  /** Ends it without a word to its handlers. Idempotent. */
  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#http?.close(constants.NGHTTP2_CANCEL);
    this.#events.onOver();
  }

  #takeStatus(headers: Readonly<Record<string, unknown>>): void {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    this.#status = Number(status);
    this.#statusMessage = decodeURIComponent(String(headers["grpc-message"] ?? ""));
  }

  #take(data: Buffer): void {
    this.#received.push(data);
    this.#receivedBytes += data.length;
    while (!this.#ended) {
      const message = this.#nextMessage();
      if (message === undefined) return;
      this.#events.onMessage(message);
    }
  }

  #nextMessage(): Buffer | undefined {
    if (this.#receivedBytes < FRAME_HEAD_BYTES) return undefined;
    if ((this.#received[0]?.length ?? 0) < FRAME_HEAD_BYTES) this.#join();
    const bytes = FRAME_HEAD_BYTES + (this.#received[0]?.readUInt32BE(1) ?? 0);
    if (this.#receivedBytes < bytes) return undefined;
    const whole = this.#join();
    this.#received = whole.length === bytes ? [] : [whole.subarray(bytes)];
    this.#receivedBytes -= bytes;
    return whole.subarray(FRAME_HEAD_BYTES, bytes);
  }

  #join(): Buffer {
    const [first] = this.#received;
    const whole = this.#received.length === 1 && first ? first : Buffer.concat(this.#received);
    this.#received = [whole];
    return whole;
  }

  #end(sent: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.onOver();
    const status = this.#status ?? GRPC_STATUS.unavailable;
    const message = this.#statusMessage || "the connection ended";
    this.#events.onEnd({ status, message, sent, cause: this.#error });
  }
}

/**
 * Sessions: streams between somebody who asks (exec, logs, statistics) and the agent that can answer, which
 * the server asks to dial in because agents listen nowhere.
 *
 * Invariants: a session is dialled by the agent of its node once, or ends with a deadline; when either end
 * goes, the other is closed; nothing is kept of a session that has ended.
 */

import type { CancelTimer, Clock } from "@berth/base";
import { SECOND_MS, sleep } from "@berth/base";
import {
  asProtocolError,
  type DialRequest,
  type FrameStream,
  ProtocolError,
} from "@berth/protocol";
import type { SessionRelay } from "../servers/session-relay.ts";
import type { WatchHub } from "./watch-hub.ts";

/** An agent that has a stream dials in milliseconds; one that does not in this time is in trouble. */
export const DIAL_TIMEOUT_MS = 10 * SECOND_MS;
/** Each holds two sockets of the 20,000 files that a process may open. */
export const SESSIONS_MAX = 2_000;

/**
 * An agent whose server has gone is connected to another one within two seconds; who asks meanwhile waits so long
 * at most ...
 */
export const COMING_WAIT_MS = 4 * SECOND_MS;
/** ... and looks so often. */
const COMING_PAUSE_MS = 250;

interface Session {
  readonly node: string;
  /** Present until the agent has dialled. */
  dialled: ((stream: FrameStream) => void) | undefined;
  /** Ends the agent's side. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

/** The agent's end of a session. `close` ends the session. */
export type AgentStream = FrameStream;

export class SessionHub {
  readonly #watches: Pick<WatchHub, "dial">;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #relay: SessionRelay | undefined;
  readonly #sessions = new Map<string, Session>();

  constructor(options: {
    readonly watches: Pick<WatchHub, "dial">;
    readonly clock: Clock;
    readonly newId: () => string;
    /** The way to nodes that are connected to other servers. */
    readonly relay?: SessionRelay;
  }) {
    this.#watches = options.watches;
    this.#clock = options.clock;
    this.#newId = options.newId;
    this.#relay = options.relay;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /**
   * The agent's stream for `request`, as soon as the agent of `node` has dialled in. The caller closes it;
   * it is closed when `signal` aborts.
   *
   * @throws ProtocolError `node_unreachable` when the agent has no stream or does not dial in time.
   */
  async open(
    node: string,
    request: DialRequest["request"],
    signal: AbortSignal,
  ): Promise<AgentStream> {
    const until = this.#clock.monotonic() + COMING_WAIT_MS;
    for (;;) {
      try {
        return await this.openHere(node, request, signal);
      } catch (error) {
        if (this.#relay === undefined || !isElsewhere(error)) throw error;
        const stream = await this.#relay.open(node, request, signal);
        if (stream !== undefined) return closing(stream, () => {}, signal);
        if (!this.#relay.isExpected(node) || this.#clock.monotonic() >= until) throw error;
        await sleep(this.#clock, COMING_PAUSE_MS, signal);
      }
    }
  }

  /**
   * As `open`, only by an agent that is connected to this very server: for another server that asks.
   *
   * @throws ProtocolError `node_unreachable`, without `deadlineMs` in its details when the agent has no stream here.
   */
  async openHere(
    node: string,
    request: DialRequest["request"],
    signal: AbortSignal,
  ): Promise<AgentStream> {
    signal.throwIfAborted();
    this.#checkLimit();
    const id = this.#newId();
    const ended = Promise.withResolvers<void>();
    const dialled = Promise.withResolvers<FrameStream>();
    const end = () => {
      this.#sessions.delete(id);
      ended.resolve();
    };
    this.#sessions.set(id, { node, dialled: dialled.resolve, ended: ended.promise, end });
    try {
      if (!this.#watches.dial(node, { session: id, request })) throw unreachable(node);
      const stream = await this.#inTime(node, dialled.promise, signal);
      return closing(stream, end, signal);
    } catch (error) {
      end();
      throw error;
    }
  }

  /**
   * What the agent of `node` does with the stream that it dialled: handed to who asked, until that ends.
   *
   * @throws ProtocolError `not_found` when nobody waits for this session of this node (any more).
   */
  attach(node: string, id: string): (stream: FrameStream) => Promise<void> {
    const session = this.#sessions.get(id);
    if (session?.dialled === undefined || session.node !== node) {
      throw new ProtocolError("not_found", `nobody waits for session ${id}`, { session: id });
    }
    const { dialled, ended } = session;
    session.dialled = undefined;
    return async (stream) => {
      dialled(stream);
      await ended;
    };
  }

  /** Ends every session. */
  close(): void {
    for (const session of [...this.#sessions.values()]) session.end();
  }

  #checkLimit(): void {
    if (this.#sessions.size < SESSIONS_MAX) return;
    const details = { limit: "sessions", maximum: SESSIONS_MAX, retryAfterMs: SECOND_MS };
    throw new ProtocolError("too_many_requests", "too many sessions are open", details);
  }

  #inTime(node: string, dialled: Promise<FrameStream>, signal: AbortSignal): Promise<FrameStream> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        cancel();
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        settle();
        reject(signal.reason);
      };
      const cancel: CancelTimer = this.#clock.setTimer(DIAL_TIMEOUT_MS, () => {
        settle();
        reject(unreachable(node, DIAL_TIMEOUT_MS));
      });
      signal.addEventListener("abort", onAbort, { once: true });
      void dialled.then((stream) => {
        settle();
        resolve(stream);
      });
    });
  }
}

/** The agent has no stream to this server: it was not asked in vain. */
function isElsewhere(error: unknown): boolean {
  const { code, details } = asProtocolError(error);
  return code === "node_unreachable" && details["deadlineMs"] === undefined;
}

function unreachable(node: string, timeoutMs?: number): ProtocolError {
  const message =
    timeoutMs === undefined
      ? `the agent of node ${node} is not connected`
      : `the agent of node ${node} did not answer within ${timeoutMs} ms`;
  return new ProtocolError("node_unreachable", message, {
    node,
    ...(timeoutMs === undefined ? {} : { deadlineMs: timeoutMs }),
  });
}

/** `stream` whose close, or the signal's abort, ends the session. */
function closing(stream: FrameStream, end: () => void, signal: AbortSignal): AgentStream {
  const close = () => {
    signal.removeEventListener("abort", close);
    stream.close();
    end();
  };
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) close();
  return {
    frames: () => stream.frames(),
    send: (kind, payload) => stream.send(kind, payload),
    close,
  };
}

/**
 * Moves frames both ways until either end closes, then closes both. Reading waits for the other side to
 * take what was read: a slow terminal slows the process, and no buffer grows.
 */
export async function joinStreams(left: FrameStream, right: FrameStream): Promise<void> {
  const move = async (from: FrameStream, to: FrameStream) => {
    try {
      for await (const { kind, payload } of from.frames()) await to.send(kind, payload);
    } catch {
      // A side that is gone ends the session; its frames have nowhere to go.
    }
  };
  await Promise.race([move(left, right), move(right, left)]);
  left.close();
  right.close();
}

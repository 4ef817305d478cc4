/**
 * Archives that pass through this server from one node to another: how many at once, and how a stream of frames
 * becomes bytes that either arrive whole or fail.
 *
 * Nothing is kept: a frame is read when the receiver has taken the one before. A stream that ends without its
 * last word was cut off, and is an error.
 */

import {
  asProtocolError,
  type Frame,
  type FrameStream,
  jsonOfFrame,
  ProtocolError,
} from "@berth/protocol";
import { errorOfAnswer } from "@berth/protocol/client/answer-error";

/** Transfers through one server: beyond it they share the same line and only take longer. */
export const TRANSFERS_MAX = 8;
/** Out of one node: its disk and line serve its own copies first. */
export const TRANSFERS_PER_NODE_MAX = 2;
/** A busy server is asked again after this. */
const RETRY_AFTER_MS = 2_000;

export class Transfers {
  readonly #running = new Map<string, number>();

  /** Under way from `node`. */
  of(node: string): number {
    return this.#running.get(node) ?? 0;
  }

  /**
   * Takes a place for a transfer out of `node`. Answers what gives it back, once.
   *
   * @throws ProtocolError `too_many_requests` when there is none.
   */
  begin(node: string): () => void {
    let all = 0;
    for (const count of this.#running.values()) all += count;
    const limit = all >= TRANSFERS_MAX ? TRANSFERS_MAX : TRANSFERS_PER_NODE_MAX;
    if (all >= TRANSFERS_MAX || this.of(node) >= TRANSFERS_PER_NODE_MAX) {
      const details = { limit: "transfers", maximum: limit, retryAfterMs: RETRY_AFTER_MS };
      throw new ProtocolError("too_many_requests", "too many transfers are under way", details);
    }
    this.#running.set(node, this.of(node) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = this.of(node) - 1;
      if (left > 0) this.#running.set(node, left);
      else this.#running.delete(node);
    };
  }
}

/**
 * The bytes that an agent sends, once the first have come: until then every refusal is an ordinary answer.
 * `onEnd` is told of the last word, which may say something about the whole.
 */
export async function receive(
  stream: FrameStream,
  options: {
    readonly what: string;
    /** Called once when the stream is over, however. */
    readonly done: () => void;
    /** Of the one who receives: nobody may ever read what was answered. */
    readonly signal: AbortSignal;
    readonly onEnd?: (word: unknown) => void;
  },
): Promise<AsyncGenerator<Uint8Array, void, undefined>> {
  const frames = stream.frames()[Symbol.asyncIterator]();
  const close = () => {
    options.signal.removeEventListener("abort", close);
    stream.close();
    options.done();
  };
  options.signal.addEventListener("abort", close, { once: true });
  let frame: Frame;
  try {
    frame = await nextFrame(frames, options.what);
  } catch (error) {
    close();
    throw error;
  }
  return bytes();

  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (; frame.kind !== "end"; frame = await nextFrame(frames, options.what)) {
        yield frame.payload;
      }
      options.onEnd?.(jsonOfFrame(frame));
    } finally {
      close();
    }
  }
}

async function nextFrame(frames: AsyncIterator<Frame>, what: string): Promise<Frame> {
  const next = await frames.next();
  if (next.done) throw new ProtocolError("unavailable", `${what}: the other node has gone`);
  if (next.value.kind !== "error") return next.value;
  const problem = Buffer.from(next.value.payload).toString();
  throw asProtocolError(errorOfAnswer(500, problem));
}

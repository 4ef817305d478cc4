/**
 * Two ends of a frame stream within one process: the simulation's upgraded connection.
 *
 * Like a socket: what was sent before the close is still read, senders wait while the peer does not read,
 * and the end of one side ends both.
 */

import {
  FRAME_BYTES_MAX,
  type Frame,
  type FrameKind,
  type FrameStream,
  ProtocolError,
} from "@berth/protocol";

/** Frames that may wait for the reader; a socket's buffers hold about as many small ones. */
const WAITING_FRAMES_MAX = 64;

export function framePair(): readonly [FrameStream, FrameStream] {
  const toLeft = new Lane();
  const toRight = new Lane();
  const close = () => {
    toLeft.close();
    toRight.close();
  };
  return [
    { frames: () => toLeft.read(), send: (kind, payload) => toRight.send(kind, payload), close },
    { frames: () => toRight.read(), send: (kind, payload) => toLeft.send(kind, payload), close },
  ];
}

/** One direction. */
class Lane {
  #frames: Frame[] = [];
  #closed = false;
  #wakers: (() => void)[] = [];

  async send(kind: FrameKind, payload: Uint8Array): Promise<void> {
    for (let start = 0; start === 0 || start < payload.length; start += FRAME_BYTES_MAX) {
      while (!this.#closed && this.#frames.length >= WAITING_FRAMES_MAX) await this.#change();
      if (this.#closed) throw new ProtocolError("unavailable", "the stream has ended");
      // Copied, as bytes on a wire are: the sender may use its buffer again.
      const copy = Uint8Array.from(payload.subarray(start, start + FRAME_BYTES_MAX));
      this.#frames.push({ kind, payload: copy });
      this.#wake();
    }
  }

  async *read(): AsyncGenerator<Frame, void, undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#wake();
        yield frame;
      } else if (this.#closed) return;
      else await this.#change();
    }
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }
}

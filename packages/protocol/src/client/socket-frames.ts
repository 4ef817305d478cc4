/**
 * A socket that was upgraded to `berth-stream/1`, as frames in both directions.
 *
 * Invariants: a frame is handed out whole and once; reading goes no faster than the consumer, sending no
 * faster than the peer; when the stream ends by whatever cause, waiting senders are told. At both ends of
 * every upgraded stream: client, server, agent.
 */

import type { Duplex } from "node:stream";
import { SECOND_MS, systemClock } from "@berth/base";
import type { FrameStream } from "../api/client-port.ts";
import {
  encodeFrame,
  FRAME_BYTES_MAX,
  type Frame,
  FrameDecoder,
  type FrameKind,
} from "../api/frames.ts";
import { ProtocolError } from "../errors.ts";

/** A peer that has not closed by then is gone, or does not want to. */
const LINGER_MS = SECOND_MS;

export class SocketFrames implements FrameStream {
  readonly #socket: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #closed: Promise<void>;
  #reading = false;
  #closing = false;

  /** `head` is what came with the upgrade itself. Takes the socket over. */
  constructor(socket: Duplex, head: Uint8Array = new Uint8Array()) {
    this.#socket = socket;
    // A reset is an end like any other; whoever waits sees the stream closed.
    socket.on("error", () => socket.destroy());
    if (head.length > 0) socket.unshift(head);
    this.#closed = new Promise((resolve) => {
      if (socket.closed || socket.destroyed) resolve();
      else socket.once("close", () => resolve());
    });
  }

  /** Resolves when the stream has ended in both directions. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Frames until the peer closes. Throws when the peer does not speak the protocol. */
  async *frames(): AsyncGenerator<Frame, void, undefined> {
    this.#reading = true;
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        const { frames, malformed } = this.#decoder.push(chunk as Uint8Array);
        yield* frames;
        if (malformed !== undefined) throw this.#refuse(malformed);
      }
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      // Premature close: for the consumer it is the end; frames are never cut, so nothing is half there.
    } finally {
      this.#reading = false;
      if (this.#closing) this.#discard();
    }
  }

  /** Splits payloads over the limit. Resolves when the peer can take more. */
  async send(kind: FrameKind, payload: Uint8Array): Promise<void> {
    for (let start = 0; start === 0 || start < payload.length; start += FRAME_BYTES_MAX) {
      await this.#write(encodeFrame(kind, payload.subarray(start, start + FRAME_BYTES_MAX)));
    }
  }

  /**
   * Lets what was sent go out, then ends the stream. What the peer still sends is thrown away until it has
   * closed too: closing a socket with unread bytes resets it, and the peer would lose our last frames.
   */
  close(): void {
    if (this.#socket.destroyed || this.#closing) return;
    this.#closing = true;
    this.#socket.end();
    const cancel = systemClock.setTimer(LINGER_MS, () => this.#socket.destroy());
    void this.#closed.then(cancel);
    if (!this.#reading) this.#discard();
  }

  #discard(): void {
    this.#socket.resume();
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) throw ended();
    if (this.#socket.write(bytes)) return;
    const drained = Promise.withResolvers<void>();
    this.#socket.once("drain", drained.resolve);
    await Promise.race([drained.promise, this.#closed]);
    this.#socket.off("drain", drained.resolve);
    if (this.#socket.destroyed) throw ended();
  }

  #refuse(malformed: string): ProtocolError {
    this.#socket.destroy();
    return new ProtocolError("invalid_request", `the stream has ${malformed}`, { malformed });
  }
}

function ended(): ProtocolError {
  return new ProtocolError("unavailable", "the stream has ended", { reason: "stream ended" });
}

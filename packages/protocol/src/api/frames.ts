/**
 * Frames of an upgraded stream (`Upgrade: berth-stream/1`): one byte of kind, four bytes of length (big
 * endian), payload. Both ends may send at any time; `end` closes one direction.
 *
 * Used for exec (stdin, stdout, stderr, resize, exit) and for agents' answers to dial requests (data).
 */

export const STREAM_PROTOCOL = "berth-stream/1";

export const FRAME_KINDS = {
  /** Bytes for the process. */
  stdin: 0,
  stdout: 1,
  stderr: 2,
  /** JSON `{columns, rows}`. */
  resize: 3,
  /** JSON `{code}`: the process has ended; nothing follows. */
  exit: 4,
  /** JSON problem document; nothing follows. */
  error: 5,
  /** The sender will send no more stdin. */
  end: 6,
  /** One JSON value: a log line, a figure. */
  data: 7,
} as const;
export type FrameKind = keyof typeof FRAME_KINDS;

export interface Frame {
  readonly kind: FrameKind;
  readonly payload: Uint8Array;
}

/** Larger payloads are split by the sender and refused by the receiver. */
export const FRAME_BYTES_MAX = 1024 * 1024;

const HEADER_BYTES = 5;
const NAMES = new Map<number, FrameKind>(
  (Object.keys(FRAME_KINDS) as FrameKind[]).map((kind) => [FRAME_KINDS[kind], kind]),
);

export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = FRAME_KINDS[kind];
  header.writeUInt32BE(payload.length, 1);
  return Buffer.concat([header, payload]);
}

export function encodeJsonFrame(kind: FrameKind, value: unknown): Buffer {
  return encodeFrame(kind, Buffer.from(JSON.stringify(value)));
}

/** The JSON value of a frame; `undefined` when its payload is none. */
export function jsonOfFrame(frame: Frame): unknown {
  try {
    return JSON.parse(Buffer.from(frame.payload).toString());
  } catch {
    return undefined;
  }
}

/** Cuts a byte stream into frames; holds at most one incomplete frame. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames completed by `chunk`, or `malformed` when the peer does not speak this protocol. */
  push(chunk: Uint8Array): { readonly frames: Frame[]; readonly malformed?: string } {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    while (this.#rest.length >= HEADER_BYTES) {
      const size = this.#rest.readUInt32BE(1);
      if (size > FRAME_BYTES_MAX) return { frames, malformed: `a frame of ${size} bytes` };
      const kind = NAMES.get(this.#rest[0] ?? -1);
      if (kind === undefined) return { frames, malformed: `frame kind ${this.#rest[0]}` };
      if (this.#rest.length < HEADER_BYTES + size) break;
      frames.push({ kind, payload: this.#rest.subarray(HEADER_BYTES, HEADER_BYTES + size) });
      this.#rest = this.#rest.subarray(HEADER_BYTES + size);
    }
    return { frames };
  }
}

/** DNS over TCP: each message after its length in two bytes (RFC 1035, 4.2.2). */

/** Cuts a stream into messages. Holds at most one message (65,535 bytes) and its length. */
export class MessageReader {
  #pending: Buffer = Buffer.alloc(0);

  /** Whether part of a message has come that is not whole yet. */
  get partial(): boolean {
    return this.#pending.length > 0;
  }

  /** All messages that are whole with `chunk`, in order. */
  push(chunk: Buffer): Buffer[] {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const messages: Buffer[] = [];
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      messages.push(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    // Copied, so that a few bytes do not keep a whole chunk alive.
    this.#pending = Buffer.from(rest);
    return messages;
  }
}

/** `message` with its length before it. */
export function frameMessage(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}

/** DNS over TCP: each message after its length in two bytes (RFC 1035, 4.2.2). */

/**
 * Cuts a stream into messages, however it was cut into chunks. Holds at most one message (65,535 bytes) and
 * its length; puts chunks together once a message is whole, so a byte at a time costs no more than all at once.
 */
export class MessageReader {
  #chunks: Buffer[] = [];
  #sizeBytes = 0;

  /** Whether part of a message has come that is not whole yet. */
  get partial(): boolean {
    return this.#sizeBytes > 0;
  }

  /** All messages that are whole with `chunk`, in order. */
  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    const wanted = this.#wanted();
    if (wanted === undefined || this.#sizeBytes < wanted) return [];
    let rest = Buffer.concat(this.#chunks);
    const messages: Buffer[] = [];
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      messages.push(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    // Copied, so that a few bytes do not keep a whole chunk alive.
    this.#chunks = rest.length === 0 ? [] : [Buffer.from(rest)];
    this.#sizeBytes = rest.length;
    return messages;
  }

  /** Bytes of the first message with its length; `undefined` while even that has not come. */
  #wanted(): number | undefined {
    const [first, second] = this.#chunks;
    const high = first?.[0];
    const low = first?.[1] ?? second?.[0];
    return high === undefined || low === undefined ? undefined : 2 + (high << 8) + low;
  }
}

/** `message` with its length before it. */
export function frameMessage(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}

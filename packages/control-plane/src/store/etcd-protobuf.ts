/**
 * Protocol buffers' wire format, as far as etcd's messages use it: varints and length-delimited fields.
 * Written by hand, since the messages are a dozen (`etcd-messages.ts`) and a generator with its run time
 * would be the largest dependency of the server; compared in docs/adr/0035-etcd-client.md.
 *
 * Cost: one pass, no copy of nested messages: their length is written into room that was left for it.
 */

import { assert } from "@berth/base";

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;
/** Room for the length of a nested message: a varint of four bytes, padded; up to 256 MiB. */
const LENGTH_BYTES = 4;
const FIRST_BUFFER_BYTES = 512;
const VARINT_BASE = 128;
const VARINT_MORE = 0x80;

/** Writes the fields of one message, in the order of the calls. Zero and empty are the default: left out. */
export class ProtoWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  #length = 0;

  /** A whole number from 0 to 2^53. */
  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#tag(field, WIRE_VARINT);
    this.#varint(value);
  }

  /** As `uint`, but written when it is 0, too: members of a oneof, whose presence says something. */
  presentUint(field: number, value: number): void {
    this.#tag(field, WIRE_VARINT);
    this.#varint(value);
  }

  flag(field: number, value: boolean): void {
    this.uint(field, value ? 1 : 0);
  }

  text(field: number, value: string): void {
    if (value === "") return;
    this.presentText(field, value);
  }

  /** As `text`, but written when it is empty, too. */
  presentText(field: number, value: string): void {
    const bytes = Buffer.byteLength(value);
    this.#tag(field, WIRE_BYTES);
    this.#varint(bytes);
    this.#room(bytes);
    this.#buffer.write(value, this.#length, bytes, "utf8");
    this.#length += bytes;
  }

  message(field: number, write: (writer: ProtoWriter) => void): void {
    this.#tag(field, WIRE_BYTES);
    this.#room(LENGTH_BYTES);
    const start = this.#length;
    this.#length += LENGTH_BYTES;
    write(this);
    let bytes = this.#length - start - LENGTH_BYTES;
    for (let index = 0; index < LENGTH_BYTES; index++) {
      const more = index < LENGTH_BYTES - 1 ? VARINT_MORE : 0;
      this.#buffer[start + index] = (bytes % VARINT_BASE) | more;
      bytes = Math.floor(bytes / VARINT_BASE);
    }
    assert(bytes === 0, "a nested message's length has its room");
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #tag(field: number, wire: number): void {
    this.#varint(field * 8 + wire);
  }

  #varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= VARINT_BASE) {
      this.#buffer[this.#length++] = (rest % VARINT_BASE) | VARINT_MORE;
      rest = Math.floor(rest / VARINT_BASE);
    }
    this.#buffer[this.#length++] = rest;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** What one field of a message holds. */
export type ProtoValue = number | Buffer;

/**
 * Calls `visit` for each field, in order. Numbers above 2^53 lose their last digits: of etcd's, only
 * identifiers of clusters and members are that large.
 */
export function readFields(
  message: Buffer,
  visit: (field: number, value: ProtoValue) => void,
): void {
  const cursor = { at: 0 };
  while (cursor.at < message.length) {
    const tag = readVarint(message, cursor);
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case WIRE_VARINT:
        visit(field, readVarint(message, cursor));
        break;
      case WIRE_BYTES: {
        const bytes = readVarint(message, cursor);
        assert(cursor.at + bytes <= message.length, "a field ends within its message");
        visit(field, message.subarray(cursor.at, cursor.at + bytes));
        cursor.at += bytes;
        break;
      }
      case WIRE_FIXED64:
        cursor.at += 8;
        break;
      case WIRE_FIXED32:
        cursor.at += 4;
        break;
      default:
        assert(false, "a known wire type");
    }
  }
}

function readVarint(message: Buffer, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = message[cursor.at++];
    assert(byte !== undefined, "a varint ends within its message");
    value += (byte % VARINT_BASE) * scale;
    if (byte < VARINT_BASE) return value;
    scale *= VARINT_BASE;
  }
}

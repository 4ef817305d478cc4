/**
 * Answers of ours as bytes: header, the question as it came, records, EDNS. Owner names that equal the
 * question are two bytes (a pointer to it), so that 25 addresses fit the smallest UDP answer.
 *
 * An answer that is too long loses its additional records first, then as many answers as needed and says
 * so (TC): clients that cannot ask again over TCP (busybox) still get addresses. Cost: O(records).
 */

import {
  CLASS_IN,
  encodeName,
  HEADER_BYTES,
  type Query,
  RCODE,
  TYPE,
  UDP_BYTES_MAX,
  UDP_BYTES_MIN,
} from "./wire.ts";

/** `owner` omitted: the name that was asked. Addresses are numbers (see ipv4.ts). */
export type DnsRecord = { readonly owner?: string; readonly ttlS: number } & (
  | { readonly type: "A"; readonly address: number }
  /** `::1`; the only IPv6 address that we answer ourselves. */
  | { readonly type: "AAAA_LOOPBACK" }
  | { readonly type: "PTR"; readonly target: string }
  | { readonly type: "SRV"; readonly port: number; readonly target: string }
  | { readonly type: "SOA" }
);

export interface DnsAnswer {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

export interface EncodeOptions {
  readonly transport: "udp" | "tcp";
  /** Names that are not ours can be asked: sets RA. */
  readonly recursion: boolean;
}

/** The pointer to the question's name, which always stands right after the header. */
const QUESTION_POINTER = Buffer.of(0xc0, HEADER_BYTES);
const OPT_BYTES = 11;
const TCP_BYTES_MAX = 65_535;
const FLAG = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200, recursion: 0x0080 };

/** What the asker can take, bytes. */
export function answerBytesMax(query: Query, transport: "udp" | "tcp"): number {
  if (transport === "tcp") return TCP_BYTES_MAX;
  const wanted = query.edns?.udpBytes ?? UDP_BYTES_MIN;
  return Math.min(UDP_BYTES_MAX, Math.max(UDP_BYTES_MIN, wanted));
}

export function encodeAnswer(query: Query, answer: DnsAnswer, options: EncodeOptions): Buffer {
  const optBytes = query.edns === undefined ? 0 : OPT_BYTES;
  const limit = answerBytesMax(query, options.transport) - optBytes;
  const answers = answer.answers.map(encodeRecord);
  const authority = answer.authority.map(encodeRecord);
  let additional = answer.additional.map(encodeRecord);
  let sizeBytes = HEADER_BYTES + query.question.length + size(answers) + size(authority);
  let truncated = false;
  if (sizeBytes + size(additional) > limit) additional = [];
  while (sizeBytes > limit) {
    const dropped = answers.pop() ?? authority.pop();
    sizeBytes -= dropped?.length ?? sizeBytes;
    truncated = true;
  }
  const flags =
    FLAG.response |
    (answer.authoritative ? FLAG.authoritative : 0) |
    (truncated ? FLAG.truncated : 0) |
    (options.recursion ? FLAG.recursion : 0);
  const counts = [answers.length, authority.length, additional.length + (optBytes > 0 ? 1 : 0)];
  const head = header(query, flags | (answer.rcode & 15), counts);
  const opt = optBytes > 0 ? [encodeOpt(answer.rcode)] : [];
  return Buffer.concat([head, query.question, ...answers, ...authority, ...additional, ...opt]);
}

/** An answer without a question, to a message whose question could not be read. */
export function encodeError(id: number, opcode: number, rcode: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(FLAG.response | (opcode << 11) | rcode, 2);
  return message;
}

export function failure(rcode: number): DnsAnswer {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}

export const SERVER_FAILURE: DnsAnswer = failure(RCODE.serverFailure);

function size(records: readonly Buffer[]): number {
  return records.reduce((sum, record) => sum + record.length, 0);
}

function header(query: Query, flags: number, counts: readonly number[]): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt16BE(query.id, 0);
  const echoed = (query.recursionDesired ? 0x0100 : 0) | (query.checkingDisabled ? 0x0010 : 0);
  message.writeUInt16BE(flags | echoed, 2);
  message.writeUInt16BE(1, 4);
  for (const [index, count] of counts.entries()) message.writeUInt16BE(count, 6 + 2 * index);
  return message;
}

function encodeOpt(rcode: number): Buffer {
  const record = Buffer.alloc(OPT_BYTES);
  record.writeUInt16BE(TYPE.OPT, 1);
  record.writeUInt16BE(UDP_BYTES_MAX, 3);
  record.writeUInt8(rcode >>> 4, 5);
  return record;
}

function encodeRecord(record: DnsRecord): Buffer {
  const owner = record.owner === undefined ? QUESTION_POINTER : encodeName(record.owner);
  const { type, data } = encodeData(record);
  const frame = Buffer.alloc(10);
  frame.writeUInt16BE(type, 0);
  frame.writeUInt16BE(CLASS_IN, 2);
  frame.writeUInt32BE(record.ttlS, 4);
  frame.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, frame, data]);
}

function encodeData(record: DnsRecord): { readonly type: number; readonly data: Buffer } {
  switch (record.type) {
    case "A": {
      const data = Buffer.alloc(4);
      data.writeUInt32BE(record.address, 0);
      return { type: TYPE.A, data };
    }
    case "AAAA_LOOPBACK":
      return { type: TYPE.AAAA, data: Buffer.from([...new Array<number>(15).fill(0), 1]) };
    case "PTR":
      return { type: TYPE.PTR, data: encodeName(record.target) };
    case "SRV": {
      // Priority and weight 0: every copy alike.
      const data = Buffer.alloc(6);
      data.writeUInt16BE(record.port, 4);
      return { type: TYPE.SRV, data: Buffer.concat([data, encodeName(record.target)]) };
    }
    case "SOA":
      return { type: TYPE.SOA, data: SOA_DATA };
  }
}

/**
 * Primary `ns.berth`, mailbox `hostmaster.berth`: nobody asks them. The serial stays 1 as there are no
 * secondaries; the last number, the negative TTL, is what counts: a name that was missing is asked again
 * after a second.
 */
const SOA_DATA = Buffer.concat([
  encodeName("ns.berth"),
  encodeName("hostmaster.berth"),
  ...[1, 3600, 600, 86_400, 1].map((value) => {
    const field = Buffer.alloc(4);
    field.writeUInt32BE(value);
    return field;
  }),
]);

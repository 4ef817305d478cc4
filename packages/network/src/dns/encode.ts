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
  type MessageError,
  type Query,
  RCODE,
  TYPE,
  UDP_BYTES_MAX,
  UDP_BYTES_MIN,
} from "./wire.ts";

/** `owner` omitted: the name that was asked. IPv4 addresses are numbers (see ipv4.ts). */
export type DnsRecord = { readonly owner?: string; readonly ttlS: number } & (
  | { readonly type: "A"; readonly address: number }
  /** 32 hexadecimal digits. */
  | { readonly type: "AAAA"; readonly address: string }
  | { readonly type: "PTR"; readonly target: string }
  | { readonly type: "SRV"; readonly port: number; readonly target: string }
  | { readonly type: "SOA" }
);

/** Records of one length about the asked name, as bytes, in order. */
export interface PreparedRecords {
  readonly bytes: Buffer;
  readonly count: number;
  readonly recordBytes: number;
}

export interface DnsAnswer {
  readonly rcode: number;
  readonly authoritative: boolean;
  /** Before `answers`: as many as fit, beginning with the one at `first` and going round. */
  readonly prepared?: { readonly records: PreparedRecords; readonly first: number };
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
  const end = answerBytesMax(query, options.transport) - optBytes;
  const start = query.question.copy(scratch, HEADER_BYTES) + HEADER_BYTES;
  const prepared = writePrepared(answer.prepared, start, end);
  const answers = writeRecords(answer.answers, prepared.offset, end);
  const authority = writeRecords(answer.authority, answers.offset, end);
  const additional = writeRecords(answer.additional, authority.offset, end);
  const whole = prepared.count + answers.count + authority.count;
  const wanted = answer.prepared?.records.count ?? 0;
  const truncated = whole < wanted + answer.answers.length + answer.authority.length;
  // Additional records are a courtesy: all of them or none, and their absence is no truncation.
  const courtesy = additional.count === answer.additional.length;
  let offset = courtesy ? additional.offset : authority.offset;
  if (query.edns !== undefined) offset = writeOpt(offset, answer.rcode, query.edns.dnssecOk);
  const flags =
    FLAG.response |
    (answer.authoritative ? FLAG.authoritative : 0) |
    (truncated ? FLAG.truncated : 0) |
    (options.recursion ? FLAG.recursion : 0);
  writeHeader(query, flags | (answer.rcode & 15), [
    prepared.count + answers.count,
    authority.count,
    (courtesy ? additional.count : 0) + (optBytes > 0 ? 1 : 0),
  ]);
  // A copy: the socket sends later, when another answer may already be in the making.
  return Buffer.from(scratch.subarray(0, offset));
}

/** The answer to a message whose question is not to be answered, or could not even be read. */
export function encodeError({ id, flags, rcode, question }: MessageError): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + (question?.length ?? 0));
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(FLAG.response | flags | rcode, 2);
  message.writeUInt16BE(question === undefined ? 0 : 1, 4);
  question?.copy(message, HEADER_BYTES);
  return message;
}

export function failure(rcode: number): DnsAnswer {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}

export const SERVER_FAILURE: DnsAnswer = failure(RCODE.serverFailure);

/** Where every answer is put together: one thread, and nothing waits in between. */
const scratch = Buffer.alloc(TCP_BYTES_MAX);

/** Address records of the asked name, to be sent again and again. */
export function prepareAddresses(
  type: "A" | "AAAA",
  addresses: readonly (number | string)[],
  ttlS: number,
): PreparedRecords {
  const dataBytes = type === "A" ? ADDRESS_BYTES : ADDRESS6_BYTES;
  const recordBytes = QUESTION_POINTER.length + RECORD_FRAME_BYTES + dataBytes;
  const bytes = Buffer.alloc(addresses.length * recordBytes);
  for (const [index, address] of addresses.entries()) {
    const start = index * recordBytes;
    const frame = QUESTION_POINTER.copy(bytes, start) + start;
    bytes.writeUInt16BE(RECORD_TYPE[type], frame);
    bytes.writeUInt16BE(CLASS_IN, frame + 2);
    bytes.writeUInt32BE(ttlS, frame + 4);
    bytes.writeUInt16BE(dataBytes, frame + 8);
    if (typeof address === "number") bytes.writeUInt32BE(address, frame + RECORD_FRAME_BYTES);
    else bytes.write(address, frame + RECORD_FRAME_BYTES, "hex");
  }
  return { bytes, count: addresses.length, recordBytes };
}

/** The answer section as records, the prepared ones with it, in their order: for people and tests. */
export function answerRecords({ prepared, answers }: DnsAnswer): readonly DnsRecord[] {
  if (prepared === undefined) return answers;
  const { bytes, count, recordBytes } = prepared.records;
  const records = Array.from({ length: count }, (_, index): DnsRecord => {
    const start = ((index + prepared.first) % count) * recordBytes;
    const data = bytes.subarray(
      start + recordBytes - bytes.readUInt16BE(start + 10),
      start + recordBytes,
    );
    const ttlS = bytes.readUInt32BE(start + 6);
    if (data.length === ADDRESS_BYTES) return { type: "A", address: data.readUInt32BE(), ttlS };
    return { type: "AAAA", address: data.toString("hex"), ttlS };
  });
  return [...records, ...answers];
}

function writePrepared(
  prepared: DnsAnswer["prepared"],
  start: number,
  end: number,
): { readonly count: number; readonly offset: number } {
  if (prepared === undefined) return { count: 0, offset: start };
  const { bytes, count: all, recordBytes } = prepared.records;
  const count = Math.min(all, Math.floor((end - start) / recordBytes));
  const from = prepared.first * recordBytes;
  const until = Math.min(bytes.length, from + count * recordBytes);
  const offset = start + bytes.copy(scratch, start, from, until);
  const left = count * recordBytes - (until - from);
  return { count, offset: offset + (left > 0 ? bytes.copy(scratch, offset, 0, left) : 0) };
}

/** Writes records while they fit below `end`; returns how many did and where the next may begin. */
function writeRecords(
  records: readonly DnsRecord[],
  start: number,
  end: number,
): { readonly count: number; readonly offset: number } {
  let offset = start;
  for (const [count, record] of records.entries()) {
    const next = writeRecord(record, offset, end);
    if (next === undefined) return { count, offset };
    offset = next;
  }
  return { count: records.length, offset };
}

function writeHeader(query: Query, flags: number, counts: readonly number[]): void {
  scratch.writeUInt16BE(query.id, 0);
  const echoed = (query.recursionDesired ? 0x0100 : 0) | (query.checkingDisabled ? 0x0010 : 0);
  scratch.writeUInt16BE(flags | echoed, 2);
  scratch.writeUInt16BE(1, 4);
  for (const [index, count] of counts.entries()) scratch.writeUInt16BE(count, 6 + 2 * index);
}

/** The space was kept free by the caller. DO comes back as it was asked (RFC 3225); version 0, no options. */
function writeOpt(offset: number, rcode: number, dnssecOk: boolean): number {
  scratch.fill(0, offset, offset + OPT_BYTES);
  scratch.writeUInt16BE(TYPE.OPT, offset + 1);
  scratch.writeUInt16BE(UDP_BYTES_MAX, offset + 3);
  scratch.writeUInt8(rcode >>> 4, offset + 5);
  if (dnssecOk) scratch.writeUInt16BE(0x8000, offset + 7);
  return offset + OPT_BYTES;
}

/** Owner, type, class, TTL, length, data. `undefined` when it does not fit below `end`. */
function writeRecord(record: DnsRecord, start: number, end: number): number | undefined {
  const owner = record.owner === undefined ? QUESTION_POINTER : encodeName(record.owner);
  const data = record.type === "A" ? undefined : dataOf(record);
  const dataBytes = data?.length ?? ADDRESS_BYTES;
  const frame = start + owner.length;
  const dataStart = frame + RECORD_FRAME_BYTES;
  if (dataStart + dataBytes > end) return undefined;
  owner.copy(scratch, start);
  scratch.writeUInt16BE(RECORD_TYPE[record.type], frame);
  scratch.writeUInt16BE(CLASS_IN, frame + 2);
  scratch.writeUInt32BE(record.ttlS, frame + 4);
  scratch.writeUInt16BE(dataBytes, frame + 8);
  if (record.type === "A") scratch.writeUInt32BE(record.address, dataStart);
  else data?.copy(scratch, dataStart);
  return dataStart + dataBytes;
}

const ADDRESS_BYTES = 4;
const ADDRESS6_BYTES = 16;
const RECORD_FRAME_BYTES = 10;
const RECORD_TYPE: Readonly<Record<DnsRecord["type"], number>> = {
  A: TYPE.A,
  AAAA: TYPE.AAAA,
  PTR: TYPE.PTR,
  SRV: TYPE.SRV,
  SOA: TYPE.SOA,
};

function dataOf(record: Exclude<DnsRecord, { type: "A" }>): Buffer {
  switch (record.type) {
    case "AAAA":
      return Buffer.from(record.address, "hex");
    case "PTR":
      return encodeName(record.target);
    case "SRV": {
      // Priority and weight 0: every copy alike.
      const data = Buffer.alloc(6);
      data.writeUInt16BE(record.port, 4);
      return Buffer.concat([data, encodeName(record.target)]);
    }
    case "SOA":
      return SOA_DATA;
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

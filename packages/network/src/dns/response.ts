/**
 * Responses of other servers, kept as the bytes that came: checked once, aged and cut to size for each
 * asker. Not decoded and encoded again, so that record types nobody here has heard of pass unharmed.
 *
 * Cost: O(bytes) to check and to copy.
 */

import { answerBytesMax } from "./encode.ts";
import {
  encodeName,
  HEADER_BYTES,
  type Query,
  RCODE,
  readName,
  readRecord,
  TYPE,
  UDP_BYTES_MAX,
} from "./wire.ts";

export interface CheckedResponse {
  readonly message: Buffer;
  readonly rcode: number;
  readonly truncated: boolean;
  /** Offsets of all TTL fields but that of OPT, whose bits mean something else. */
  readonly ttlOffsets: readonly number[];
  /** Where each record of the answer section ends. */
  readonly answerEnds: readonly number[];
  /** How long it may be kept, seconds; 0: not at all. */
  readonly keepS: number;
}

/** No forwarded answer is kept longer: a wrong one must go away without a restart. */
const KEEP_S_MAX = 3_600;
/** Negative answers (RFC 2308 allows hours): a name that was just created must appear soon. */
const KEEP_NEGATIVE_S_MAX = 60;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const OPT_BYTES = 11;

/** The query as we ask a forwarder, under our own `id`. */
export function forwardedQuery(query: Query, id: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100 | (query.checkingDisabled ? 0x0010 : 0), 2);
  header.writeUInt16BE(1, 4);
  if (query.edns === undefined) return Buffer.concat([header, query.question]);
  header.writeUInt16BE(1, 10);
  return Buffer.concat([header, query.question, opt(query.edns.dnssecOk)]);
}

/** Whether `message` is an answer to this query, and a well-formed one. */
export function checkResponse(
  message: Buffer,
  query: Query,
  id: number,
): CheckedResponse | undefined {
  const questionEnd = HEADER_BYTES + query.question.length;
  if (message.length < questionEnd || message.readUInt16BE(0) !== id) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) === 0 || message.readUInt16BE(4) !== 1) return undefined;
  // The case of the question must come back as well: what an attacker off the path has to guess.
  if (!message.subarray(HEADER_BYTES, questionEnd).equals(query.question)) return undefined;
  return walk(message, questionEnd, flags);
}

function walk(message: Buffer, start: number, flags: number): CheckedResponse | undefined {
  const counts = [6, 8, 10].map((offset) => message.readUInt16BE(offset));
  const [answers = 0, authority = 0, additional = 0] = counts;
  const ttlOffsets: number[] = [];
  const answerEnds: number[] = [];
  let ttlS = KEEP_S_MAX;
  let negativeS = 0;
  let offset = start;
  for (let index = 0; index < answers + authority + additional; index++) {
    const record = readRecord(message, offset);
    if (record === undefined) return undefined;
    if (record.type !== TYPE.OPT) {
      ttlOffsets.push(record.ttlOffset);
      ttlS = Math.min(ttlS, ttlOf(message, record.ttlOffset));
    }
    if (index < answers) answerEnds.push(record.end);
    else if (record.type === TYPE.SOA) negativeS = soaMinimum(message, record.dataOffset);
    offset = record.end;
  }
  const rcode = flags & 15;
  const positive = rcode === RCODE.noError && answers > 0;
  const keepS = positive ? ttlS : Math.min(ttlS, negativeS, KEEP_NEGATIVE_S_MAX);
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  const kept = !truncated && (rcode === RCODE.noError || rcode === RCODE.nameError);
  return { message, rcode, truncated, ttlOffsets, answerEnds, keepS: kept ? keepS : 0 };
}

/** RFC 2181: a TTL with the highest bit set counts as 0. */
function ttlOf(message: Buffer, offset: number): number {
  const value = message.readUInt32BE(offset);
  return value > 0x7fffffff ? 0 : value;
}

function soaMinimum(message: Buffer, dataOffset: number): number {
  const primary = readName(message, dataOffset, true);
  const mailbox = primary && readName(message, primary.end, true);
  if (mailbox === undefined || mailbox.end + 20 > message.length) return 0;
  return message.readUInt32BE(mailbox.end + 16);
}

/** The bytes for this asker: its id, flags and case, TTLs lowered by the age, cut to what it takes. */
export function responseFor(
  response: CheckedResponse,
  query: Query,
  options: { readonly transport: "udp" | "tcp"; readonly ageS: number },
): Buffer {
  const message = Buffer.from(response.message);
  message.writeUInt16BE(query.id, 0);
  const echoed = (query.recursionDesired ? 0x0100 : 0) | (query.checkingDisabled ? 0x0010 : 0);
  // Not authoritative, recursion available; AD is kept out as we have validated nothing.
  message.writeUInt16BE(FLAG_RESPONSE | 0x0080 | echoed | response.rcode, 2);
  query.question.copy(message, HEADER_BYTES);
  for (const offset of response.ttlOffsets) {
    message.writeUInt32BE(Math.max(0, ttlOf(message, offset) - options.ageS), offset);
  }
  const limit = answerBytesMax(query, options.transport);
  return message.length <= limit ? message : cut(message, response, query, limit);
}

/** Names point backwards only, so a message may be cut after any record. */
function cut(message: Buffer, response: CheckedResponse, query: Query, limit: number): Buffer {
  const tail = query.edns === undefined ? Buffer.alloc(0) : opt(query.edns.dnssecOk);
  const fitting = response.answerEnds.filter((end) => end + tail.length <= limit);
  const end = fitting.at(-1) ?? HEADER_BYTES + query.question.length;
  message.writeUInt16BE(message.readUInt16BE(2) | FLAG_TRUNCATED, 2);
  message.writeUInt16BE(fitting.length, 6);
  message.writeUInt16BE(0, 8);
  message.writeUInt16BE(tail.length > 0 ? 1 : 0, 10);
  return Buffer.concat([message.subarray(0, end), tail]);
}

function opt(dnssecOk: boolean): Buffer {
  const record = Buffer.alloc(OPT_BYTES);
  encodeName("").copy(record);
  record.writeUInt16BE(TYPE.OPT, 1);
  record.writeUInt16BE(UDP_BYTES_MAX, 3);
  record.writeUInt16BE(dnssecOk ? 0x8000 : 0, 7);
  return record;
}

/**
 * Aliases that a forwarder leaves open: it answers `CNAME b` to a question for the addresses of `a`, and
 * says nothing about `b`. Clients in containers do not ask on (their resolvers expect whole answers), so we
 * do, and put the pieces together. Recursive resolvers never leave one open; others do.
 *
 * Pure. Only for A and AAAA, whose data holds no names that would have to be unpacked.
 */

import { type CheckedResponse, checkResponse } from "./response.ts";
import {
  CLASS_IN,
  encodeName,
  HEADER_BYTES,
  type Query,
  RCODE,
  readName,
  readRecord,
  TYPE,
} from "./wire.ts";

/** Questions after the first; longer chains are nobody's on purpose (BIND stops at 11 or 16). */
export const CHASES_MAX = 8;

interface AnswerRecord {
  /** Key form. */
  readonly owner: string;
  readonly type: number;
  readonly ttlS: number;
  /** Of a CNAME, key form. */
  readonly target?: string;
  readonly data: Buffer;
}

/** Where the chain of aliases ends without an answer; `undefined` when it does not, or nothing can be done. */
export function openAlias(response: CheckedResponse, query: Query): string | undefined {
  if (query.type !== TYPE.A && query.type !== TYPE.AAAA) return undefined;
  if (response.rcode !== RCODE.noError || response.truncated || query.class !== CLASS_IN) {
    return undefined;
  }
  const records = answersOf(response, query);
  const aliases = new Map(
    records.flatMap(({ owner, target }) => (target === undefined ? [] : [[owner, target]])),
  );
  let name = query.name;
  for (let hops = 0; hops <= aliases.size; hops++) {
    const at = name;
    if (records.some(({ owner, type }) => owner === at && type === query.type)) return undefined;
    const next = aliases.get(name);
    if (next === undefined) break;
    name = next;
  }
  // An escape stands for a byte that no host name has; a circle ends where it began.
  return name === query.name || name.includes("\\") || aliases.has(name) ? undefined : name;
}

/** The question for the end of an open chain. */
export function questionFor(query: Query, name: string): Query {
  const frame = Buffer.alloc(4);
  frame.writeUInt16BE(query.type, 0);
  frame.writeUInt16BE(query.class, 2);
  return { ...query, name, question: Buffer.concat([encodeName(name), frame]) };
}

/**
 * The first answer with those to the chased questions behind it, as one answer to the first question;
 * `undefined` when it cannot be made. Its code is the last one's.
 */
export function joined(
  query: Query,
  parts: readonly { readonly query: Query; readonly response: CheckedResponse }[],
): CheckedResponse | undefined {
  const records = parts.flatMap((part) =>
    answersOf(part.response, part.query).filter(
      ({ type }) => type === TYPE.CNAME || type === query.type,
    ),
  );
  if (records.some(({ owner, target }) => `${owner}${target ?? ""}`.includes("\\")))
    return undefined;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(0x8180 | (parts.at(-1)?.response.rcode ?? 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  const message = Buffer.concat([header, query.question, ...records.map(encodeRecord)]);
  return checkResponse(message, query, 0);
}

function answersOf(response: CheckedResponse, query: Query): AnswerRecord[] {
  const { message, answerEnds } = response;
  let start = HEADER_BYTES + query.question.length;
  return answerEnds.flatMap((end) => {
    const owner = readName(message, start, true);
    const record = readRecord(message, start);
    start = end;
    if (owner === undefined || record === undefined) return [];
    const target =
      record.type === TYPE.CNAME ? readName(message, record.dataOffset, true)?.key : undefined;
    return [
      {
        owner: owner.key,
        type: record.type,
        ttlS: message.readUInt32BE(record.ttlOffset),
        data: message.subarray(record.dataOffset, record.end),
        ...(target === undefined ? {} : { target }),
      },
    ];
  });
}

function encodeRecord({ owner, type, ttlS, target, data }: AnswerRecord): Buffer {
  const bytes = target === undefined ? data : encodeName(target);
  const frame = Buffer.alloc(10);
  frame.writeUInt16BE(type, 0);
  frame.writeUInt16BE(CLASS_IN, 2);
  frame.writeUInt32BE(ttlS, 4);
  frame.writeUInt16BE(bytes.length, 8);
  return Buffer.concat([encodeName(owner), frame, bytes]);
}

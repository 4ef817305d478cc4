/**
 * What other servers may answer to a question that was passed on, and what must hold of what is made of it:
 * nothing throws or loops, what is believed is an answer to the very question, and the asker gets a message that
 * an unrelated library reads, with its own id, within its size. Chains of aliases (also in circles, also over
 * several answers) end.
 *
 * Everything comes from one seed. The other half of the fuzzer: dns-fuzz.ts.
 */

import assert from "node:assert/strict";
import type { Prng } from "@berth/base";
import packet, { type Answer } from "dns-packet";
import { CHASES_MAX, joined, openAlias, questionFor } from "../dns/chase.ts";
import { type CheckedResponse, checkResponse, responseFor } from "../dns/response.ts";
import { parseQuery, type Query, readName } from "../dns/wire.ts";

const NAMES = [
  "a.example",
  "b.example",
  "c.example",
  "d.e.f.example",
  "example",
  `${"y".repeat(63)}.z`,
];
const RECORDS_MAX = 70;
const POINTER = 0xc0;

/** A question, answers to it and to what they leave open, and the reply that the asker gets. */
export function fuzzForwardedOnce(prng: Prng): void {
  const query = randomQuery(prng);
  const sent: Buffer[] = [];
  try {
    const whole = asked(prng, query, sent);
    if (whole !== undefined) judgeReplies(prng, query, whole);
  } catch (error) {
    const messages = sent.map((message) => message.toString("hex")).join(" ");
    const text = error instanceof Error ? error.stack : String(error);
    assert.fail(`question ${query.question.toString("hex")}, answers ${messages}: ${text}`);
  }
}

function randomQuery(prng: Prng): Query {
  const opt = { type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0 } as unknown as Answer;
  const bytes = packet.encode({
    type: "query",
    id: prng.int(0, 65_535),
    questions: [{ name: prng.pick(NAMES), type: prng.pick(["A", "A", "AAAA", "TXT"] as const) }],
    additionals: prng.chance(0.5) ? [opt] : [],
  });
  const parsed = parseQuery(bytes);
  assert.ok(parsed.kind === "query");
  return parsed.query;
}

/** As the forwarder does: asks on for what is left open, and joins the pieces. */
function asked(prng: Prng, query: Query, sent: Buffer[]): CheckedResponse | undefined {
  const first = answerTo(prng, query, sent);
  if (first === undefined) return undefined;
  const parts = [{ query, response: first }];
  const names = new Set([query.name]);
  for (let last = { query, response: first }; parts.length <= CHASES_MAX; ) {
    const end = openAlias(last.response, last.query);
    if (end === undefined || names.has(end)) break;
    names.add(end);
    const next = questionFor(query, end);
    const response = answerTo(prng, next, sent);
    if (response === undefined) break;
    last = { query: next, response };
    parts.push(last);
  }
  return parts.length === 1 ? first : (joined(query, parts) ?? first);
}

function answerTo(prng: Prng, query: Query, sent: Buffer[]): CheckedResponse | undefined {
  const id = prng.int(0, 65_535);
  const message = damaged(prng, response(prng, query, id));
  sent.push(message);
  const checked = checkResponse(message, query, id);
  if (checked === undefined) return undefined;
  const end = 12 + query.question.length;
  assert.equal(message.readUInt16BE(0), id, "believed with another id");
  assert.ok(message.subarray(12, end).equals(query.question), "believed for another question");
  assert.ok(checked.keepS >= 0 && checked.keepS <= 3_600, `kept for ${checked.keepS} s`);
  return checked;
}

function response(prng: Prng, query: Query, id: number): Buffer {
  const count = prng.chance(0.1) ? prng.int(0, RECORDS_MAX) : prng.int(0, 5);
  const message = packet.encode({
    type: "response",
    id,
    flags: prng.chance(0.9)
      ? 0
      : prng.int(0, 15) | (prng.chance(0.3) ? packet.TRUNCATED_RESPONSE : 0),
    answers: Array.from({ length: count }, () => randomRecord(prng, query)),
    authorities: prng.chance(0.3) ? [soa(prng)] : [],
  });
  message.writeUInt16BE(1, 4);
  // The library would write the question in its own case and form: it goes in as it was asked.
  return Buffer.concat([message.subarray(0, 12), query.question, message.subarray(12)]);
}

function randomRecord(prng: Prng, query: Query): Answer {
  const plain = /^[a-z0-9.]+$/.test(query.name) ? query.name : "a.example";
  const name = prng.chance(0.5) ? plain : prng.pick(NAMES);
  const ttl = prng.pick([0, 1, 60, 86_400, 0x7fffffff, 0xffffffff]);
  return prng.pick<() => Answer>([
    () => ({ type: "A", name, ttl, data: `192.0.2.${prng.int(0, 255)}` }),
    () => ({ type: "AAAA", name, ttl, data: "2001:db8::1" }),
    () => ({ type: "CNAME", name, ttl, data: prng.pick(NAMES) }),
    () => ({ type: "CNAME", name, ttl, data: prng.pick(NAMES) }),
    () => ({ type: "TXT", name, ttl, data: "t".repeat(prng.int(1, 200)) }),
  ])();
}

function soa(prng: Prng): Answer {
  const data = { mname: "m.example", rname: "r.example", minimum: prng.int(0, 100_000) };
  return { type: "SOA", name: "example", ttl: 60, data };
}

/** Bytes changed, cut off and added, and pointers that lead anywhere, also to themselves. */
function damaged(prng: Prng, message: Buffer): Buffer {
  if (prng.chance(0.5)) return message;
  const changed = Buffer.from(message);
  for (let edits = prng.int(0, 3); edits > 0; edits--) {
    const at = prng.int(0, changed.length - 2);
    if (prng.chance(0.5)) changed.writeUInt16BE((POINTER << 8) | prng.int(0, changed.length), at);
    else changed[at] = prng.int(0, 255);
  }
  if (prng.chance(0.1)) return changed.subarray(0, prng.int(0, changed.length));
  return prng.chance(0.1) ? Buffer.concat([changed, Buffer.alloc(prng.int(1, 40))]) : changed;
}

function judgeReplies(prng: Prng, query: Query, whole: CheckedResponse): void {
  for (const transport of ["udp", "tcp"] as const) {
    const reply = responseFor(whole, query, { transport, ageS: prng.int(0, 4_000) });
    const limit = transport === "tcp" ? 65_535 : query.edns === undefined ? 512 : 1_232;
    assert.ok(reply.length <= limit, `${reply.length} bytes over ${transport}`);
    assert.equal(reply.readUInt16BE(0), query.id, "the asker's id");
    assert.ok((reply.readUInt16BE(2) & 0x8020) === 0x8000, "QR, and AD never");
    assert.ok(reply.subarray(12, 12 + query.question.length).equals(query.question), "question");
    assertWalks(reply, query);
  }
}

/** Counts and lengths are true: every record is read to its end, by code that shares none with the subject. */
function assertWalks(reply: Buffer, query: Query): void {
  let at = 12 + query.question.length;
  const records = [6, 8, 10].reduce((sum, offset) => sum + reply.readUInt16BE(offset), 0);
  for (let record = 0; record < records; record++) {
    while ((reply[at] ?? 0) > 0 && (reply[at] ?? 0) < POINTER) at += (reply[at] ?? 0) + 1;
    at += (reply[at] ?? 0) >= POINTER ? 2 : 1;
    assert.ok(at + 10 <= reply.length, `record ${record} lies beyond the message`);
    at += 10 + reply.readUInt16BE(at + 8);
  }
  assert.ok(at <= reply.length, "the last record ends within the message");
  assert.ok(readName(reply, 12, false) !== undefined, "the question's name");
}

/** Bytes of strangers: whatever comes, reading ends, stays inside the message and says one of three things. */

import assert from "node:assert/strict";
import { test } from "node:test";
import packet from "dns-packet";
import fc from "fast-check";
import { encodeAnswer, encodeError, failure } from "./encode.ts";
import { checkResponse, responseFor } from "./response.ts";
import { asciiLower, encodeName, parseQuery, RCODE } from "./wire.ts";

const RUNS = { numRuns: 3_000, seed: 20_261_120 };

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join("."));

/** A good query with a few bytes changed, cut or added: reaches deeper than noise. */
const damaged = fc
  .record({
    name,
    edits: fc.array(fc.record({ at: fc.nat(80), to: fc.nat(255) }), { maxLength: 6 }),
    length: fc.nat(120),
    tail: fc.uint8Array({ maxLength: 30 }),
  })
  .map((input) => {
    const good = packet.encode({
      type: "query",
      id: 1,
      questions: [{ name: input.name, type: "A" }],
      additionals: [{ type: "OPT", name: ".", udpPayloadSize: 1232 } as never],
    });
    const bytes = Buffer.concat([good, Buffer.from(input.tail)]).subarray(0, 20 + input.length);
    for (const { at, to } of input.edits) if (at < bytes.length) bytes[at] = to;
    return bytes;
  });

test("any bytes are a query, an error or nothing, and the answer can be encoded", () => {
  const noise = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(noise, damaged), (bytes) => {
      const parsed = parseQuery(bytes);
      if (parsed.kind === "error") {
        const reply = encodeError(parsed);
        assert.equal(reply.length, 12 + (parsed.question?.length ?? 0));
        assert.equal(reply.readUInt16BE(2) & 15, parsed.rcode);
      } else if (parsed.kind === "query") {
        const options = { transport: "udp", recursion: false } as const;
        const reply = encodeAnswer(parsed.query, failure(RCODE.refused), options);
        assert.equal(reply.readUInt16BE(0), parsed.query.id);
        assert.ok(reply.length <= 1232);
      }
    }),
    RUNS,
  );
});

test("a query of the library reads as what was asked, with its case in the question", () => {
  fc.assert(
    fc.property(name, fc.nat(65_535), (asked, id) => {
      const bytes = packet.encode({ type: "query", id, questions: [{ name: asked, type: "SRV" }] });
      const parsed = parseQuery(bytes);
      assert.ok(parsed.kind === "query");
      assert.equal(parsed.query.name, asciiLower(asked));
      assert.equal(parsed.query.type, 33);
      assert.deepEqual(parsed.query.question, bytes.subarray(12));
    }),
    RUNS,
  );
});

test("any bytes of a forwarder are an answer or nothing, never a failure", () => {
  const parsed = parseQuery(
    packet.encode({ type: "query", id: 7, questions: [{ name: "a.example", type: "A" }] }),
  );
  assert.ok(parsed.kind === "query");
  const { query } = parsed;
  const head = Buffer.from([0, 7, 0x81, 0x80, 0, 1]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (rest, answers) => {
      const counts = Buffer.from([0, answers, 0, 0, 0, 0]);
      const bytes = Buffer.concat([head, counts, query.question, Buffer.from(rest)]);
      const response = checkResponse(bytes, query, 7);
      if (response === undefined) return;
      const reply = responseFor(response, query, { transport: "udp", ageS: 3 });
      assert.ok(reply.length <= 512);
    }),
    RUNS,
  );
});

test("a dot inside a label cannot pass for two labels", () => {
  const question = Buffer.concat([
    Buffer.from([3]),
    Buffer.from("a.b"),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  const header = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const parsed = parseQuery(Buffer.concat([header, question]));
  assert.ok(parsed.kind === "query");
  assert.equal(parsed.query.name, "a\\.b");
});

test("pointers in a query, two questions, other opcodes and responses are refused or dropped", () => {
  const question = Buffer.concat([encodeName("a"), Buffer.from([0, 1, 0, 1])]);
  const header = (flags: number, count: number) =>
    Buffer.from([0, 9, flags, 0, 0, count, 0, 0, 0, 0, 0, 0]);
  const kinds = [
    [Buffer.concat([header(0, 1), Buffer.from([0xc0, 12, 0, 1, 0, 1])]), RCODE.formatError],
    [Buffer.concat([header(0, 2), question, question]), RCODE.formatError],
    [Buffer.concat([header(0x28, 1), question]), RCODE.notImplemented],
  ] as const;
  for (const [bytes, rcode] of kinds) {
    const parsed = parseQuery(bytes);
    assert.equal(parsed.kind === "error" && parsed.rcode, rcode);
  }
  assert.equal(parseQuery(Buffer.concat([header(0x80, 1), question])).kind, "drop");
  assert.equal(parseQuery(Buffer.alloc(11)).kind, "drop");
});

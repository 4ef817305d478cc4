/** Forwarded answers: what is believed, how long it is kept, how it is made the asker's. */

import assert from "node:assert/strict";
import { test } from "node:test";
import packet, { type Answer } from "dns-packet";
import { type CheckedResponse, checkResponse, responseFor } from "./response.ts";
import { ResponseCache } from "./response-cache.ts";
import { parseQuery, type Query } from "./wire.ts";

function queryFor(name: string, id = 7, edns = false): Query {
  const opt = { type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0 } as unknown as Answer;
  const bytes = packet.encode({
    type: "query",
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: "A" }],
    additionals: edns ? [opt] : [],
  });
  const parsed = parseQuery(bytes);
  assert.ok(parsed.kind === "query");
  return parsed.query;
}

function responseTo(name: string, ttls: readonly number[], id = 7): Buffer {
  return packet.encode({
    type: "response",
    id,
    questions: [{ name, type: "A" }],
    answers: ttls.map((ttl, index) => ({ type: "A", name, ttl, data: `192.0.2.${index}` })),
  });
}

function checked(name: string, ttls: readonly number[]): CheckedResponse {
  const response = checkResponse(responseTo(name, ttls), queryFor(name), 7);
  assert.ok(response !== undefined);
  return response;
}

test("only an answer to the very question, with our id, is believed", () => {
  const query = queryFor("a.example");
  assert.ok(checkResponse(responseTo("a.example", [30]), query, 7) !== undefined);
  assert.equal(checkResponse(responseTo("a.example", [30], 8), query, 7), undefined);
  assert.equal(checkResponse(responseTo("b.example", [30]), query, 7), undefined);
  assert.equal(checkResponse(responseTo("A.example", [30]), query, 7), undefined);
  const question = packet.encode({
    type: "query",
    id: 7,
    questions: [{ name: "a.example", type: "A" }],
  });
  assert.equal(checkResponse(question, query, 7), undefined);
  assert.equal(checkResponse(responseTo("a.example", [30]).subarray(0, -1), query, 7), undefined);
});

test("it is kept for the smallest TTL, an hour at most, not at all for 0", () => {
  assert.equal(checked("a.example", [300, 20]).keepS, 20);
  assert.equal(checked("a.example", [86_400]).keepS, 3_600);
  assert.equal(checked("a.example", [300, 0]).keepS, 0);
  assert.equal(checked("a.example", []).keepS, 0);
});

test("the asker gets its own id and case, and the time that is left", () => {
  const reply = responseFor(checked("a.example", [30]), queryFor("A.exAMple", 99), {
    transport: "udp",
    ageS: 12,
  });
  const decoded = packet.decode(reply);
  assert.equal(decoded.id, 99);
  assert.equal(decoded.questions?.[0]?.name, "A.exAMple");
  assert.equal(decoded.answers?.[0]?.type === "A" && decoded.answers[0].ttl, 18);
});

test("an answer that does not fit is cut after a record, with TC and the right counts", () => {
  const response = checked("a.example", new Array(60).fill(30));
  for (const edns of [false, true]) {
    const reply = responseFor(response, queryFor("a.example", 1, edns), {
      transport: "udp",
      ageS: 0,
    });
    assert.ok(reply.length <= (edns ? 1232 : 512));
    const decoded = packet.decode(reply);
    assert.ok((decoded.flags ?? 0) & packet.TRUNCATED_RESPONSE);
    assert.ok((decoded.answers?.length ?? 0) > 15);
    assert.equal(decoded.additionals?.length, edns ? 1 : 0);
  }
  const whole = responseFor(response, queryFor("a.example"), { transport: "tcp", ageS: 0 });
  assert.equal(packet.decode(whole).answers?.length, 60);
});

test("the cache forgets with time and keeps its bounds, the least used first", () => {
  const cache = new ResponseCache();
  cache.put("a", checked("a.example", [10]), 0);
  assert.equal(cache.get("a", 9_999)?.ageS, 9);
  assert.equal(cache.get("a", 10_000), undefined);
  assert.equal(cache.sizeBytes, 0);
  const response = checked("a.example", [3_600]);
  for (let index = 0; index < 10_000; index++) {
    cache.put(`k${index}`, response, 0);
    assert.ok(cache.get("k0", 0) !== undefined, "what is used stays");
  }
  assert.ok(cache.count <= 8_192);
  assert.ok(cache.sizeBytes <= 4 * 1024 * 1024);
  assert.equal(cache.get("k1", 0), undefined);
  cache.put("none", checked("a.example", [0]), 0);
  assert.equal(cache.get("none", 0), undefined);
});

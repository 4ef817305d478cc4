/** Aliases that a forwarder leaves open are followed to their end, and answered as one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import packet, { type Answer } from "dns-packet";
import { joined, openAlias, questionFor } from "./chase.ts";
import { checkResponse, responseFor } from "./response.ts";
import { parseQuery, type Query } from "./wire.ts";

function queryFor(name: string): Query {
  const parsed = parseQuery(packet.encode({ type: "query", questions: [{ name, type: "A" }] }));
  assert.ok(parsed.kind === "query");
  return parsed.query;
}

const alias = (name: string, data: string): Answer => ({ type: "CNAME", name, ttl: 60, data });
const address = (name: string, data: string): Answer => ({ type: "A", name, ttl: 30, data });

function responseTo(query: Query, answers: Answer[]) {
  const questions = [{ name: query.name, type: "A" as const }];
  const message = packet.encode({ type: "response", id: 0, questions, answers });
  const response = checkResponse(message, query, 0);
  assert.ok(response !== undefined);
  return response;
}

test("an open chain ends at its last name; a closed one, a circle and a plain answer are left", () => {
  const query = queryFor("a.example");
  const endOf = (answers: Answer[]) => openAlias(responseTo(query, answers), query);
  assert.deepEqual(
    [
      endOf([alias("a.example", "b.example")]),
      endOf([alias("a.example", "b.example"), alias("b.example", "c.example")]),
      endOf([alias("a.example", "b.example"), address("b.example", "192.0.2.1")]),
      endOf([alias("a.example", "b.example"), alias("b.example", "a.example")]),
      endOf([alias("a.example", "a.example")]),
      endOf([address("a.example", "192.0.2.1")]),
      endOf([]),
    ],
    ["b.example", "c.example", undefined, undefined, undefined, undefined, undefined],
  );
});

test("the pieces are one answer, kept as long as the shortest of them", () => {
  const query = queryFor("a.example");
  const next = questionFor(query, "b.example");
  const whole = joined(query, [
    { query, response: responseTo(query, [alias("a.example", "b.example")]) },
    { query: next, response: responseTo(next, [address("b.example", "192.0.2.7")]) },
  ]);
  assert.ok(whole !== undefined);
  assert.equal(whole.keepS, 30);
  const reply = packet.decode(responseFor(whole, query, { transport: "udp", ageS: 10 }));
  assert.deepEqual(
    reply.answers?.map((each) => [
      each.name,
      "ttl" in each && each.ttl,
      "data" in each && each.data,
    ]),
    [
      ["a.example", 50, "b.example"],
      ["b.example", 20, "192.0.2.7"],
    ],
  );
});

/** Identities in certificates. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Identity, identityUri, parseIdentity } from "./identity.ts";

test("an identity is read from among other names", () => {
  const identities: Identity[] = [
    { kind: "server", cluster: "c0ffee00" },
    { kind: "node", cluster: "c0ffee00", node: "node-2", member: "0a1b2c" },
  ];
  for (const identity of identities) {
    const uri = identityUri(identity);
    assert.deepEqual(parseIdentity(`URI:${uri}`), identity);
    assert.deepEqual(parseIdentity(`IP Address:10.0.0.1, URI:${uri}, DNS:x.example`), identity);
  }
});

test("what speaks for nobody is nobody's", () => {
  for (const names of [
    undefined,
    "",
    "DNS:c0ffee00",
    'DNS:"x, URI:berth://c0ffee00/server"',
    "DNS:berth://c0ffee00/server",
    "URI:berth://c0ffee00/serverx",
    "URI:berth://c0ffee00/node/../x",
    "URI:https://berth://c0ffee00/server",
  ]) {
    assert.equal(parseIdentity(names), undefined, String(names));
  }
});

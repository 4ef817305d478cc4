import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { checkHostDns, hostDnsOf } from "./host-dns.ts";
import { defaultSettings } from "./settings.ts";

test("names for the host are on a port that goes with the API's, unless one was chosen", () => {
  const of = (changes: object) => hostDnsOf({ ...defaultSettings(), ...changes });
  assert.deepEqual(
    [of({}), of({ port: 7_720 }), of({ hostDns: "127.0.7.53:53" }), of({ hostDns: "off" })],
    [
      { address: "127.0.0.1", port: 7_753 },
      { address: "127.0.0.1", port: 7_763 },
      { address: "127.0.7.53", port: 53 },
      undefined,
    ],
  );
});

test("what is no loopback address with a port is refused, with what was expected", () => {
  for (const text of [
    "",
    "10.0.0.1:53",
    "127.0.0.1",
    "127.0.0.1:0",
    "127.0.0.1:53:1",
    "[::1]:53",
  ]) {
    assert.throws(
      () => checkHostDns(text),
      (error) => error instanceof ProtocolError && /127\.0\.0\.0\/8/.test(error.message),
      text,
    );
  }
  assert.equal(checkHostDns("off"), "off");
});

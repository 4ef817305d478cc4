/** What `ip` lists about the host's addresses and the way to the server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddresses, parseSource } from "./underlay.ts";

test("addresses of interfaces that are up, with what they carry", () => {
  const list = [
    { ifname: "lo", mtu: 65_536, flags: ["LOOPBACK", "UP"], addr_info: [{ local: "127.0.0.1" }] },
    { ifname: "eth0", mtu: 1_500, flags: ["UP"], addr_info: [{ local: "192.0.2.7" }, {}] },
    { ifname: "eth1", mtu: 9_000, flags: [], addr_info: [{ local: "192.0.2.8" }] },
  ];
  assert.deepEqual(parseAddresses(JSON.stringify(list)), [
    { interface: "lo", address: "127.0.0.1", mtu: 65_536 },
    { interface: "eth0", address: "192.0.2.7", mtu: 1_500 },
  ]);
  assert.deepEqual(parseAddresses(""), []);
});

test("the source of a way that leaves the host", () => {
  const way = { dst: "198.51.100.1", gateway: "192.0.2.254", dev: "eth0", prefsrc: "192.0.2.7" };
  assert.equal(parseSource(JSON.stringify([way])), "192.0.2.7");
  assert.equal(parseSource(JSON.stringify([{ ...way, dev: "lo" }])), undefined);
  assert.equal(parseSource("RTNETLINK answers: Network is unreachable"), undefined);
});

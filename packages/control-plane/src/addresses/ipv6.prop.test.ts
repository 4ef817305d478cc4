/** IPv6 text and ranges against the standard library's own reading. */

import assert from "node:assert/strict";
import { SocketAddress } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  embedAddress,
  formatAddress6,
  gatewayOf6,
  parseAddress6,
  parseRange6,
  ranges6Overlap,
  rangesOfNetwork,
} from "./ipv6.ts";

const number = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
/** With runs of zeros, which the short form is about. */
const sparse = fc
  .array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => groups.reduce((sum, group) => sum * 0x10000n + group, 0n));

test("text and number are each other's, and the text is the standard library's", () => {
  fc.assert(
    fc.property(fc.oneof(number, sparse), (address) => {
      const text = formatAddress6(address);
      assert.equal(parseAddress6(text), address);
      // The library writes some addresses with a dotted tail, which nobody needs here.
      const standard = new SocketAddress({ address: text, family: "ipv6" }).address;
      if (!standard.includes(".")) assert.equal(text, standard);
    }),
  );
});

test("what is no address or range is refused", () => {
  const bad = ["", "::1::", "1:2:3", "g::", "1:2:3:4:5:6:7:8:9", "12345::", "fd00::%eth0"];
  for (const text of bad) assert.equal(parseAddress6(text), undefined, text);
  for (const text of ["fd00::1/64", "fd00::/129", "fd00::", "fd00::/97", "fd00::/8"]) {
    assert.equal(parseRange6(text), undefined, text);
  }
});

test("a network's ranges are its own, and hold what is embedded in them", () => {
  const { subnet6, serviceRange6 } = rangesOfNetwork("c1", "0a1b2c3d");
  assert.deepEqual(rangesOfNetwork("c1", "0a1b2c3d"), { subnet6, serviceRange6 });
  assert.notEqual(rangesOfNetwork("c2", "0a1b2c3d").subnet6, subnet6);
  const [copies, services] = [parseRange6(subnet6), parseRange6(serviceRange6)];
  assert.ok(copies !== undefined && services !== undefined);
  assert.equal(ranges6Overlap(copies, services), false);
  const address = parseAddress6(embedAddress(subnet6, "10.64.0.2"));
  assert.equal(address, copies.base + 0x0a400002n);
  assert.equal(parseAddress6(gatewayOf6(subnet6)), copies.base + 1n);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { digitsOfReverse, ipv6InRange, parseIpv6, parseIpv6Range } from "./address6.ts";

test("every spelling of an address is the same digits", () => {
  const spelt = (text: string) => [text, parseIpv6(text)];
  assert.deepEqual(
    ["::", "::1", "fd00::1", "FD00:0:0:0:0:0:0:1", "fd00:1:2:3:4:5:6:7"].map(spelt),
    [
      ["::", "0".repeat(32)],
      ["::1", `${"0".repeat(31)}1`],
      ["fd00::1", `fd00${"0".repeat(27)}1`],
      ["FD00:0:0:0:0:0:0:1", `fd00${"0".repeat(27)}1`],
      ["fd00:1:2:3:4:5:6:7", "fd000001000200030004000500060007"],
    ],
  );
  assert.equal(parseIpv6("::ffff:10.0.0.1"), `${"0".repeat(20)}ffff0a000001`);
  assert.equal(parseIpv6("fe80::1%eth0"), `fe80${"0".repeat(27)}1`);
  assert.deepEqual(
    ["10.0.0.1", "", ":::", "fd00::1/64"].map(parseIpv6),
    new Array(4).fill(undefined),
  );
});

test("ranges and reverse names go by leading digits", () => {
  const range = parseIpv6Range("fd00:1::/64");
  assert.ok(range !== undefined);
  const isIn = (text: string) => ipv6InRange(parseIpv6(text) ?? "", range);
  assert.deepEqual(["fd00:1::5", "fd00:1:0:0:1::", "fd00:1:0:1::", "fd00::1"].map(isIn), [
    ...[true, true, false, false],
  ]);
  assert.equal(digitsOfReverse("0.0.d.f"), "fd00");
  assert.deepEqual(
    ["0.0.dd.f", "x", "", "0..f"].map(digitsOfReverse),
    new Array(4).fill(undefined),
  );
});

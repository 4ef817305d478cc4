import assert from "node:assert/strict";
import { test } from "node:test";
import { checkClusterRange, checkServiceRange, isInRange } from "./address-ranges.ts";

test("ranges that have room are taken as they are", () => {
  assert.equal(checkClusterRange("10.64.0.0/12"), "10.64.0.0/12");
  assert.equal(checkClusterRange("10.0.0.0/20"), "10.0.0.0/20");
  assert.equal(checkServiceRange("192.168.9.0/28"), "192.168.9.0/28");
});

test("what is no range, or has no room, is refused with what was expected", () => {
  const refused = [
    ["10.64.0.0", '"10.64.0.0" cannot be used: expected an IPv4 range of /8 to /20'],
    ["10.64.0.0/33", "expected an IPv4 range"],
    ["10.64.0.0/24", "expected an IPv4 range of /8 to /20, as 10.64.0.0/12"],
    ["10.64.1.0/12", "; 10.64.0.0/12 begins where such a range does"],
    ["fd00::/8", "expected an IPv4 range"],
  ] as const;
  for (const [text, words] of refused) {
    assert.throws(
      () => checkClusterRange(text),
      (error: Error) => error.message.includes(words),
      text,
    );
  }
  assert.throws(() => checkServiceRange("10.80.0.0/30"), /of \/8 to \/28, as 10\.80\.0\.0\/16/);
});

test("an address is in a range or not", () => {
  assert.equal(isInRange("10.79.255.255", "10.64.0.0/12"), true);
  assert.equal(isInRange("10.80.0.0", "10.64.0.0/12"), false);
});

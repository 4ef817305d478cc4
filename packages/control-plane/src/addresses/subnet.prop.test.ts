/** Ranges against a slow obvious oracle: sets of addresses. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { macOfAddress } from "./mac.ts";
import {
  carve,
  containsAddress,
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  prefixFor,
  type Subnet,
  sizeOf,
  subnetsOverlap,
} from "./subnet.ts";

const OPTIONS = { seed: 64, numRuns: 300 } as const;
const RANGE: Subnet = { base: parseAddress("10.64.0.0") ?? 0, prefix: 22 };

/** A range inside `RANGE`. */
const inner = fc
  .record({ prefix: fc.integer({ min: 23, max: 29 }), at: fc.nat(1_023) })
  .map(({ prefix, at }): Subnet => {
    const size = sizeOf(prefix);
    return { base: RANGE.base + Math.floor(at / size) * size, prefix };
  });

function addresses({ base, prefix }: Subnet): Set<number> {
  return new Set(Array.from({ length: sizeOf(prefix) }, (_, index) => base + index));
}

test("two ranges overlap exactly when they have an address in common", () => {
  fc.assert(
    fc.property(inner, inner, (a, b) => {
      const common = [...addresses(a)].some((address) => addresses(b).has(address));
      assert.equal(subnetsOverlap(a, b), common);
    }),
    OPTIONS,
  );
});

test("what is carved is the first free aligned range, or there is none", () => {
  fc.assert(
    fc.property(
      fc.array(inner, { maxLength: 12 }),
      fc.integer({ min: 23, max: 29 }),
      (taken, prefix) => {
        const size = sizeOf(prefix);
        let first: Subnet | undefined;
        for (let base = RANGE.base; base < RANGE.base + sizeOf(RANGE.prefix); base += size) {
          const candidate = { base, prefix };
          if (taken.every((other) => !subnetsOverlap(candidate, other))) {
            first = candidate;
            break;
          }
        }
        assert.deepEqual(carve(RANGE, prefix, taken), first);
      },
    ),
    OPTIONS,
  );
});

test("text and numbers say the same", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.integer({ min: 8, max: 29 }), (address, prefix) => {
      assert.equal(parseAddress(formatAddress(address)), address);
      const subnet = { base: Math.floor(address / sizeOf(prefix)) * sizeOf(prefix), prefix };
      assert.deepEqual(parseSubnet(formatSubnet(subnet)), subnet);
    }),
    OPTIONS,
  );
});

test("what is no range is refused", () => {
  for (const text of [
    "10.0.0.1/24",
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0/24",
    "a/24",
    "10.0.0.0/2x",
  ]) {
    assert.equal(parseSubnet(text), undefined, text);
  }
});

test("network, gateway and broadcast are given to nobody", () => {
  const subnet = { base: RANGE.base, prefix: 29 };
  const free = Array.from({ length: 8 }, (_, index) => `10.64.0.${index}`).filter((address) =>
    containsAddress(subnet, address),
  );
  assert.deepEqual(free, ["10.64.0.2", "10.64.0.3", "10.64.0.4", "10.64.0.5", "10.64.0.6"]);
});

test("a network has room for what it may have to hold", () => {
  assert.equal(prefixFor(10, 24), 24);
  assert.equal(prefixFor(253, 24), 24);
  assert.equal(prefixFor(254, 24), 23);
  assert.equal(prefixFor(4_000, 24), 20);
});

test("the MAC is the address in other words", () => {
  assert.equal(macOfAddress("10.64.3.7"), "02:42:0a:40:03:07");
});

test("ranges go round: from a place on, and from the start when nothing is left behind it", () => {
  const range: Subnet = { base: RANGE.base, prefix: 22 };
  const block = sizeOf(24);
  const at = (index: number) => ({ base: range.base + index * block, prefix: 24 });
  assert.deepEqual(carve(range, 24, [], range.base + block), at(1));
  assert.deepEqual(carve(range, 24, [at(1), at(2)], range.base + block), at(3));
  assert.deepEqual(carve(range, 24, [at(1), at(2), at(3)], range.base + block), at(0));
  assert.deepEqual(carve(range, 24, [at(0), at(1), at(2), at(3)], range.base + block), undefined);
});

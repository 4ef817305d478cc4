import assert from "node:assert/strict";
import { test } from "node:test";
import { type PortUse, underlayFinding } from "./underlay-checks.ts";

const FREE: PortUse = { port: 4789, isFree: true, foreign: [], own: 0 };

const ROWS: readonly (readonly [string, Partial<PortUse>, string, RegExp])[] = [
  ["nobody has it", {}, "ok", /UDP 4789 is free/],
  ["our networks have it", { isFree: false, own: 2 }, "ok", /carries 2 of our networks/],
  ["a program has it", { isFree: false, program: "openvpn" }, "error", /taken by openvpn/],
  [
    "somebody else's VXLAN beside ours",
    { isFree: false, own: 1, foreign: ["flannel.1"] },
    "warning",
    /shared with VXLAN of somebody else \(flannel\.1\)/,
  ],
  ["the kernel, for another namespace", { isFree: false }, "warning", /held by the kernel/],
];

for (const [what, change, level, words] of ROWS) {
  test(`of the port of VXLAN the doctor says: ${what}`, () => {
    const finding = underlayFinding({ ...FREE, ...change });
    assert.equal(finding.level, level);
    assert.match(finding.message, words);
    assert.equal(finding.advice === "", level === "ok");
  });
}

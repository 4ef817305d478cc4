import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { PROCESS_FLAGS } from "./process-table.ts";

/** What compiled code is kept for: V8's version and the flags that change what code is made of. */
function setOf(flags: readonly string[]): string {
  const question = "require('node:v8').cachedDataVersionTag()";
  return execFileSync(process.execPath, [...flags, "-p", question], { encoding: "utf8" }).trim();
}

describe("flags of our processes", () => {
  const plain = setOf([]);
  for (const name of ["server", "agent", "supervise"] as const) {
    const flags = PROCESS_FLAGS[name];
    it(`let the ${name} use the compiled code of Node's own modules`, () => {
      assert.equal(setOf(flags), plain, flags.join(" "));
    });
  }
  it("does not let net: less memory is worth more there", () => {
    assert.notEqual(setOf(PROCESS_FLAGS.net), plain);
  });
});

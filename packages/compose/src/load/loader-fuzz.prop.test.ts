/** The short form of the fuzzer (packages/compose/fuzz): some thousand inputs of one seed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkInput } from "../../fuzz/check-input.ts";
import { stackInputs } from "../../fuzz/stack-inputs.ts";

const INPUTS = 1_500;
const SEED = 20_261;

test("no input crashes the loader, takes long, or prints what does not load again", () => {
  let loaded = 0;
  let count = 0;
  for (const input of stackInputs(SEED)) {
    if (++count > INPUTS) break;
    const finding = checkInput(input);
    assert.equal(finding.wrong, undefined, JSON.stringify({ input, seed: SEED, count }));
    if (finding.loaded) loaded++;
  }
  // An input that never loads tests nothing of what is printed.
  assert.ok(loaded > INPUTS / 20, String(loaded));
});

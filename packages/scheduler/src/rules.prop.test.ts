/**
 * Rule for rule: with the rule removed, the checks of `testing/plan-checks.ts` catch a plan that breaks it.
 * So every rule is needed, and the oracle would notice if one stopped working.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Filter } from "./filter.ts";
import { FILTERS } from "./pipeline.ts";
import { RULES } from "./plan.ts";
import { makeOptions } from "./testing/fixtures.ts";
import { planOffences } from "./testing/plan-checks.ts";
import { randomScene } from "./testing/random-scene.ts";
import { schedule } from "./transaction.ts";

/** Scenes enough for the rarest rule to matter in some. */
const scenes = fc.sample(randomScene, { numRuns: 2_000, seed: 20_261_120 });

function firstOffence(): string | undefined {
  for (const scene of scenes) {
    const offences = planOffences(scene, schedule(scene.cluster, scene.asks, makeOptions(scene)));
    if (offences[0] !== undefined) return offences[0];
  }
  return undefined;
}

test("the filters stand under the names of their rules", () => {
  assert.deepEqual(Object.keys(FILTERS), [...RULES]);
  for (const rule of RULES) assert.equal(FILTERS[rule].rule, rule);
});

for (const rule of RULES) {
  test(`a plan without the rule "${rule}" is caught`, () => {
    const filter = FILTERS[rule] as { prepare: Filter["prepare"] };
    const { prepare } = filter;
    try {
      filter.prepare = () => [];
      // Devices that nobody checked cannot be handed out: the engine says so by itself.
      if (rule === "devices") assert.throws(firstOffence, /devices on/);
      else assert.notEqual(firstOffence(), undefined);
    } finally {
      filter.prepare = prepare;
    }
  });
}

test("with all rules the same scenes are clean", () => {
  assert.equal(firstOffence(), undefined);
});

/** Seeds that found something: they stay clean. */

import { testSeed } from "../src/seed-runs.ts";
import seeds from "./seeds.json" with { type: "json" };

for (const { seed, what } of seeds.found) testSeed(seed, `seed ${seed}: ${what}`);

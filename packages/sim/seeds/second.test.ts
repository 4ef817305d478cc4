/** The other half of the fixed seeds. */

import { testSeeds } from "../src/seed-runs.ts";

testSeeds(151, 300);

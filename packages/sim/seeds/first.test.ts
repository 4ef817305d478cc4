/** Half of the fixed seeds; the other half is in another file, for another processor. */

import { testSeeds } from "../src/seed-runs.ts";

testSeeds(1, 150);

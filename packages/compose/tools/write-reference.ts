/**
 * Writes docs/reference/compose.md and docs/reference/compose.schema.json from the code.
 */

import { writeFileSync } from "node:fs";
import { referencePage, stackSchema } from "../src/reference.ts";

const folder = new URL("../../../docs/reference/", import.meta.url);
writeFileSync(new URL("compose.md", folder), referencePage());
writeFileSync(
  new URL("compose.schema.json", folder),
  `${JSON.stringify(stackSchema(), undefined, 2)}\n`,
);

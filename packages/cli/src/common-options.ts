/** Options that every command takes. */

import type { OptionDescription } from "./command.ts";

export const COMMON_OPTIONS: readonly OptionDescription[] = [
  { flags: "--json", summary: "print JSON, one value a line" },
  { flags: "--project <name>", summary: "project (default: the context's, else default)" },
  { flags: "--env <name>", summary: "environment (default: the context's, else main)" },
  { flags: "--context <name>", summary: "which server to talk to (see berth context ls)" },
];

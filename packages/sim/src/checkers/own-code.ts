/**
 * No process of ours finds its own code wrong: no assertion fails, no loop throws what is not an operating
 * error. Speaks when one is logged.
 */

import type { Checker } from "./checker.ts";

export function ownCodeChecker(): Checker {
  return {
    name: "own-code",
    onProgrammerError(who, error, speak) {
      speak(`${who}: ${error.name}: ${error.message}\n${error.stack ?? ""}`);
    },
  };
}

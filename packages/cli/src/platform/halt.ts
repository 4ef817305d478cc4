/**
 * Stops the agent where a kill test wants it: at a boundary of one of its operations, so that the test can
 * kill any process of the platform at just that moment and let the agent go on.
 *
 * The test writes `create before` into the file that `BERTH_HALT_FILE` names. The agent takes the file away
 * when it comes to that boundary, which tells the test, and stops itself (SIGSTOP) until it is told to go on.
 */

import { readFileSync, renameSync } from "node:fs";
import type { AgentOptions } from "@berth/agent/agent-options";

export const HALT_VARIABLE = "BERTH_HALT_FILE";

/** The hook for the agent; none unless the variable is set. */
export function haltHook(): AgentOptions["onBoundary"] {
  const file = process.env[HALT_VARIABLE];
  if (file === undefined) return undefined;
  return (_task, operation, when) => {
    if (wishOf(file) !== `${operation} ${when}`) return;
    renameSync(file, `${file}.taken`);
    process.kill(process.pid, "SIGSTOP");
  };
}

function wishOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

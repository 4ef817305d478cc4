/**
 * The log of a simulated process: warnings become lines of the trace, and an error that is no operating
 * error is a finding: the driver would only log it and go on.
 */

import type { LogFields, Logger } from "@berth/base";
import type { Trace } from "./trace.ts";

export interface ProcessLogOptions {
  readonly who: string;
  readonly trace: Trace;
  readonly onProgrammerError: (who: string, error: Error) => void;
}

export function processLog(options: ProcessLogOptions): Logger {
  const { who, trace, onProgrammerError } = options;
  const warn = (message: string, fields: LogFields = {}) => {
    const { error } = fields;
    const words = error instanceof Error ? `: ${error.message}` : "";
    trace.note(who, "W ", `${message}${words}`.replaceAll("\n", " "));
    const wrong = ownFault(error);
    if (wrong !== undefined) onProgrammerError(who, wrong);
  };
  const log: Logger = {
    debug: () => {},
    info: () => {},
    warn,
    error: warn,
    with: () => log,
  };
  return log;
}

/** What only wrong code throws, also as the cause of something else. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  "AssertionError",
  "TypeError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
]);

function ownFault(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  return OWN_FAULTS.has(error.name) ? error : ownFault(error.cause);
}

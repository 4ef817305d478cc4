/**
 * The log of a simulated process: warnings become lines of the trace, and an error that is no operating
 * error is a finding: the driver would only log it and go on.
 */

import type { LogFields, Logger } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
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
    if (error instanceof Error && !isOperating(error)) onProgrammerError(who, error);
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

/** Whether the error is one that a peer, a disk or a cancellation can cause. */
function isOperating(error: Error): boolean {
  if (error instanceof ProtocolError) return error.code !== "internal" || isCausedOutside(error);
  return error.name === "AbortError";
}

function isCausedOutside({ cause }: Error): boolean {
  return cause === undefined || (cause instanceof Error && isOperating(cause));
}

/** The checker port: asks one thing of one container, once. Implemented for real and by the simulation. */

import type { ProbeCheck } from "@berth/protocol";
import type { CheckResult } from "./probe-progress.ts";

export interface CheckRequest {
  readonly check: ProbeCheck;
  /** Of the container, as its host reaches it. */
  readonly address: string | undefined;
  readonly containerId: string;
  readonly timeoutMs: number;
}

/** Never rejects but with the signal's reason: what goes wrong is a failed check. */
export type Checker = (request: CheckRequest, signal: AbortSignal) => Promise<CheckResult>;

/** Words of a failed check are shown to people: longer ones help nobody. */
export const CHECK_MESSAGE_MAX = 200;

export function failedCheck(words: string): CheckResult {
  return { isGood: false, message: words.trim().slice(0, CHECK_MESSAGE_MAX) };
}

export const GOOD_CHECK: CheckResult = { isGood: true };

/** What happened to a connection, in words. */
export function socketWords(error: unknown, port: number, signal: AbortSignal): string {
  if (signal.aborted) return `port ${port} did not answer in time`;
  const words = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : words;
  return code === "ECONNREFUSED" ? `nothing listens on port ${port}` : `port ${port}: ${code}`;
}

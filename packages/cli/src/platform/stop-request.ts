/**
 * How the command line asks the agent of this machine to stop its containers: a file with until when, a signal,
 * and a file with the answer. Both lie in the run directory, which only the platform's user may open.
 */

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "@berth/base";
import type { PlatformPaths } from "./paths.ts";

/** Tells the agent that a request lies there. */
export const STOP_REQUEST_SIGNAL = "SIGUSR2";

/** Time for all containers of the machine, unless another is given: what systemd gives a unit. */
export const STOP_TASKS_MS = 90_000;

/** The answer is there at the latest so much after the time that was asked for. */
const ANSWER_SLACK_MS = 5_000;
const POLL_MS = 100;

type StopPaths = Pick<PlatformPaths, "run">;

function requestFile({ run }: StopPaths): string {
  return join(run, "stop-tasks");
}

function answerFile({ run }: StopPaths): string {
  return join(run, "stopped-tasks");
}

/** Until when (wall time) the containers are to be stopped. */
export function readStopRequest(paths: StopPaths, now: number): number {
  const until = Number(readOr(requestFile(paths), ""));
  return Number.isFinite(until) && until > 0 ? until : now + STOP_TASKS_MS;
}

export function answerStopRequest(paths: StopPaths, left: number): void {
  writeAtOnce(answerFile(paths), String(left));
}

/** Asks the agent with process `pid`. Answers how many containers still live; `undefined`: it said nothing. */
export async function requestStop(
  paths: StopPaths,
  clock: Clock,
  options: { readonly pid: number; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const { pid, timeoutMs, signal } = options;
  rmSync(answerFile(paths), { force: true });
  writeAtOnce(requestFile(paths), String(clock.now() + timeoutMs));
  process.kill(pid, STOP_REQUEST_SIGNAL);
  const deadline = clock.monotonic() + timeoutMs + ANSWER_SLACK_MS;
  while (!existsSync(answerFile(paths))) {
    if (clock.monotonic() > deadline) return undefined;
    await sleep(clock, POLL_MS, signal);
  }
  rmSync(requestFile(paths), { force: true });
  return Number(readOr(answerFile(paths), ""));
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

function writeAtOnce(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

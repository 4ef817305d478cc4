/**
 * A range of seeds on several processors: hands one seed after the other to processes of its own and gathers what
 * they found. A seed's run does not depend on which process runs it, nor on the seeds before it.
 */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert } from "@berth/base";
import type { RunResult } from "./run-seed.ts";
import type { ScaleName } from "./scale.ts";

export interface RangeOptions {
  readonly first: number;
  readonly last: number;
  readonly scale: ScaleName;
  readonly machines?: number;
  /** 1 and more. */
  readonly processes: number;
  /** No further seed is begun after this, real milliseconds; those that run are waited for. */
  readonly limitMs?: number;
  readonly onResult: (result: RunResult) => void;
}

/** What a process is asked for, and what it answers: the result without its trace, or the words of an error. */
export interface SeedRequest {
  readonly seed: number;
  readonly scale: ScaleName;
  readonly machines?: number;
}
export type SeedAnswer =
  | { readonly kind: "done"; readonly result: RunResult }
  | { readonly kind: "failed"; readonly seed: number; readonly error: string };

const WORKER = fileURLToPath(new URL("./seed-process.ts", import.meta.url));

/** Runs the seeds in order of their number, as processes become free. Resolves when all have ended. */
export async function runRange(options: RangeOptions): Promise<void> {
  const start = performance.now();
  let next = options.first;
  const take = (): number | undefined => {
    const isOver = performance.now() - start > (options.limitMs ?? Number.POSITIVE_INFINITY);
    return isOver || next > options.last ? undefined : next++;
  };
  assert(options.processes >= 1, "at least one process");
  await Promise.all(Array.from({ length: options.processes }, () => work(take, options)));
}

async function work(take: () => number | undefined, options: RangeOptions): Promise<void> {
  let child = fork(WORKER, { execArgv: process.execArgv });
  try {
    for (let seed = take(); seed !== undefined; seed = take()) {
      const { scale, machines } = options;
      const asked: SeedRequest = { seed, scale, ...(machines === undefined ? {} : { machines }) };
      if (!child.connected) child = fork(WORKER, { execArgv: process.execArgv });
      const answer = await ask(child, asked);
      options.onResult(answer.kind === "done" ? answer.result : brokenRun(answer));
    }
  } finally {
    if (child.connected) child.disconnect();
  }
}

function ask(child: ChildProcess, request: SeedRequest): Promise<SeedAnswer> {
  const { seed } = request;
  return new Promise((resolve) => {
    // An error that nobody awaited, for one: in life it would end a process of ours.
    const onExit = (code: number | null) =>
      resolve({ kind: "failed", seed, error: `its process ended with code ${code}, see above` });
    child.once("exit", onExit);
    child.once("message", (answer) => {
      child.off("exit", onExit);
      resolve(answer as SeedAnswer);
    });
    child.send(request);
  });
}

/** A run that came to no end is a finding like any other. */
function brokenRun({ seed, error }: Extract<SeedAnswer, { kind: "failed" }>): RunResult {
  const statistics = {
    ...{ machines: 0, virtualMs: 0, calmMs: 0, timers: 0, commits: 0, tasks: 0 },
    ...{ faults: {}, operator: {}, seen: {} },
  };
  const violations = [{ checker: "run", sentence: error, atMs: 0 }];
  return { seed, violations, trace: [], digest: "", statistics };
}

/** Commands of the file that run inside the container: after its start, before its stop. */

import { type Hook, hookOf } from "@berth/protocol";
import type { TaskPorts } from "./task-ports.ts";

/** A post-start command that takes longer has failed: nothing reaches the task meanwhile. */
export const HOOK_TIMEOUT_MS = 60_000;

export interface HookRun {
  readonly containerId: string;
  readonly hooks: readonly (readonly string[] | Hook)[];
  readonly signal: AbortSignal;
  /** For all of them together. `HOOK_TIMEOUT_MS` each when absent. */
  readonly budgetMs?: number;
}

/** Runs the commands one after another. Answers the first failure in words; nothing when all was well. */
export async function runHooks(ports: TaskPorts, run: HookRun): Promise<string | undefined> {
  const begun = ports.clock.monotonic();
  for (const form of run.hooks) {
    const used = ports.clock.monotonic() - begun;
    const timeoutMs = run.budgetMs === undefined ? HOOK_TIMEOUT_MS : run.budgetMs - used;
    if (timeoutMs <= 0) return "the grace period was over";
    const failure = await runHook(ports, run, hookOf(form), timeoutMs);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

async function runHook(
  ports: TaskPorts,
  { containerId, signal }: HookRun,
  { command, ...how }: Hook,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    const options = { ...how, timeoutMs, signal };
    const { exitCode, output } = await ports.runtime.runInside(containerId, command, options);
    return exitCode === 0 ? undefined : `code ${exitCode}: ${output.trim()}`;
  } catch (error) {
    signal.throwIfAborted();
    // A container that ends during its hook is no failure of the agent.
    return error instanceof Error ? error.message : String(error);
  }
}

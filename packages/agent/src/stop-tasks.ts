/** Stops containers of this node: all of them for the host's sake, or single ones at the server's word. */

import { type Clock, type Logger, sleep } from "@berth/base";
import type { AgentState } from "./state/agent-state.ts";
import type { TaskRoster } from "./task/roster.ts";

/** Ends are also told by the engine; this only looks whether all of them have come. */
const LOOK_PERIOD_MS = 100;

/**
 * The server does not know these tasks, or gave them up: those that were to run are to stop. Never rejects: where the
 * disk refuses, the word holds until this process ends, and the server says it again to the next.
 */
export async function stopTold(
  agent: {
    readonly state: Pick<AgentState, "told" | "putTold">;
    readonly roster: Pick<TaskRoster, "follow">;
    readonly log: Logger;
  },
  tasks: readonly string[],
): Promise<void> {
  const { state, roster, log } = agent;
  const told = tasks.flatMap((task) => {
    const known = state.told.get(task);
    const isToRun = known?.intent === "run";
    return isToRun ? [{ ...known, intent: "stop" as const }] : [];
  });
  if (told.length === 0) return;
  await state.putTold(told).catch((error: unknown) => {
    log.warn("the word to stop tasks could not be written down, and is followed", { error });
  });
  roster.follow(told.map(({ assignment }) => assignment.task.id));
}

/** Resolves with the number of containers that still live: 0, or what is left at `untilMs` (wall time). */
export async function stopTasks(
  roster: TaskRoster,
  clock: Clock,
  untilMs: number,
): Promise<number> {
  const hurryAt = roster.stopWithHost(untilMs);
  let isHurried = false;
  for (;;) {
    const left = roster.living;
    if (left === 0 || clock.now() >= untilMs) return left;
    if (!isHurried && clock.now() >= hurryAt) {
      isHurried = true;
      roster.reconsiderAll();
    }
    await sleep(clock, LOOK_PERIOD_MS);
  }
}

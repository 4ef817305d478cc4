/** Stops containers of this node: all of them for the host's sake, or single ones at the server's word. */

import { type Clock, sleep } from "@berth/base";
import type { AgentState } from "./state/agent-state.ts";
import type { TaskRoster } from "./task/roster.ts";

/** Ends are also told by the engine; this only looks whether all of them have come. */
const LOOK_PERIOD_MS = 100;

/** Tasks that were to run are to stop. Answers which of `tasks` that changes, once it is written down. */
export async function stopTold(
  state: Pick<AgentState, "told" | "putTold">,
  tasks: readonly string[],
): Promise<readonly string[]> {
  const told = tasks.flatMap((task) => {
    const known = state.told.get(task);
    const isToRun = known?.intent === "run";
    return isToRun ? [{ ...known, intent: "stop" as const }] : [];
  });
  if (told.length > 0) await state.putTold(told);
  return told.map(({ assignment }) => assignment.task.id);
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

/** Stops the containers of this node for the host's sake, and tells how many are left when the time is over. */

import { type Clock, sleep } from "@berth/base";
import type { TaskRoster } from "./task/roster.ts";

/** Ends are also told by the engine; this only looks whether all of them have come. */
const LOOK_PERIOD_MS = 100;

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

/** A virtual clock whose time passes by itself while nothing else happens: for tests that await things. */

import { ManualClock } from "@berth/base";

export interface FlowingClock {
  readonly clock: ManualClock;
  /** Time stands still from here on; without it the process would not end. */
  stop(): void;
}

/** Fires one timer a turn of the event loop, so that everything that an instant causes happens in it. */
export function flowingClock(): FlowingClock {
  const clock = new ManualClock();
  let open = true;
  const turn = () => {
    if (!open) return;
    clock.fireNext();
    setImmediate(turn);
  };
  setImmediate(turn);
  return {
    clock,
    stop: () => {
      open = false;
    },
  };
}

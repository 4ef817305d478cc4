/** What tasks write, captured into the node's log store, as the runner uses it. */

import { type Clock, SECOND_MS, sleep } from "@berth/base";
import type { Assignment } from "@berth/protocol";
import type { LogCapture } from "../logs/capture.ts";
import { logKeyOf } from "../logs/key.ts";
import type { LogStore } from "../logs/store.ts";
import type { TaskLogsPort } from "./task-ports.ts";

/**
 * How long the next attempt waits for the last lines of an ended one: they are there within milliseconds,
 * and a log that hangs must not keep a service down.
 */
const FINISH_MS_MAX = SECOND_MS / 5;

export function taskLogs(clock: Clock, capture: LogCapture, store: LogStore): TaskLogsPort {
  return {
    attach({ task, spec }: Assignment, attempt, containerId) {
      capture.follow({ containerId, key: logKeyOf(task), attempt, limits: spec.log });
    },
    async finish(containerId, signal) {
      const over = new AbortController();
      const late = sleep(clock, FINISH_MS_MAX, AbortSignal.any([signal, over.signal]));
      try {
        await Promise.race([capture.drained(containerId), late]);
      } finally {
        over.abort(FINISHED);
        await late.catch(() => {});
      }
    },
    tail: ({ task }, attempt, lines) => store.tail(task.id, attempt, lines),
  };
}

const FINISHED = new Error("the output is stored");

/**
 * No overcommit: when a task is given to a node, what all its live tasks ask for is within what the node says
 * that it has, less what is kept for the system.
 *
 * Live is a task that was not reported as ended and has no verdict: one that is leaving holds its room. Speaks
 * at the commit that gives one too many; a node that shrinks is nobody's fault.
 */

import { isFinal, keys, parseKey, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import type { Checker } from "./checker.ts";

export function roomChecker(): Checker {
  return {
    name: "room",
    onWritten(written, { cluster: { facts } }, speak) {
      const given = new Set<string>();
      for (const { key, value, previous } of written) {
        if (parseKey(key)?.kind !== "task" || value === undefined || previous !== undefined)
          continue;
        given.add((JSON.parse(value) as Task).node);
      }
      for (const node of given) {
        const status = facts.nodeStatus.get(keys.nodeStatus(node));
        if (status === undefined) continue;
        for (const resource of ["cpuMillis", "memoryBytes"] as const) {
          const room = status.capacity[resource] - status.reserved[resource];
          const asked = liveOn(node, facts).reduce((sum, task) => sum + task.requests[resource], 0);
          if (asked > room) speak(`tasks on ${node} ask for ${asked} ${resource} of ${room}`);
        }
      }
    },
  };
}

function liveOn(node: string, facts: StoreFacts): Task[] {
  return [...facts.task.values()].filter((task) => {
    if (task.node !== node || task.verdict !== undefined) return false;
    const state = facts.statusOf(task.id)?.state;
    return state === undefined || !isFinal(state);
  });
}

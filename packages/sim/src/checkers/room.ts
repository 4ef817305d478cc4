/**
 * No overcommit: when a task is given to a node, what all its live tasks ask for is within what the node says
 * that it has, less what is kept for the system.
 *
 * Live is a task that was not reported as ended and has no verdict: one that is leaving holds its room. Speaks
 * at the commit that gives one too many; a node that shrinks is nobody's fault.
 */

import { isFinal, keys, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import { TaskGroups } from "../task-groups.ts";
import type { Checker } from "./checker.ts";

export function roomChecker(): Checker {
  const onNodes = new TaskGroups((task, facts) => (isLive(task, facts) ? [task.node] : []));
  return {
    name: "room",
    onWritten(written, { cluster: { facts } }, speak) {
      onNodes.follow(written, facts);
      const given = new Set<string>();
      for (const each of written) {
        if (each.kind !== "task" || each.previous !== undefined) continue;
        given.add(each.now<Task>()?.node ?? "");
      }
      for (const node of given) {
        const status = facts.nodeStatus.get(keys.nodeStatus(node));
        if (status === undefined) continue;
        for (const resource of ["cpuMillis", "memoryBytes"] as const) {
          const room = status.capacity[resource] - status.reserved[resource];
          const asked = [...onNodes.of(node)].reduce(
            (sum, task) => sum + task.requests[resource],
            0,
          );
          if (asked > room) speak(`tasks on ${node} ask for ${asked} ${resource} of ${room}`);
        }
      }
    },
  };
}

function isLive(task: Task, facts: StoreFacts): boolean {
  if (task.verdict !== undefined) return false;
  const state = facts.statusOf(task.id)?.state;
  return state === undefined || !isFinal(state);
}

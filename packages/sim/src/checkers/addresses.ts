/**
 * No address in use twice: no two tasks of which neither is known to have ended hold one address of one network.
 * Members of a pod share that of its main.
 *
 * A verdict frees no address: a lost node may still use it. But of a copy that only one may run of: it gets the
 * verdict by somebody's word that the old one is dead, and whether that is true is what `exclusive` looks at. That
 * checker looks at containers that run; this one at what is given out, before anything has started. Speaks at the
 * commit that gives an address a second time.
 */

import { isFinal, type Task } from "@berth/protocol";
import type { StoreFacts } from "../store-facts.ts";
import { TaskGroups } from "../task-groups.ts";
import type { Checker } from "./checker.ts";

export function addressesChecker(): Checker {
  const holders = new TaskGroups((task, facts) =>
    hasEnded(task, facts) || isFenced(task)
      ? []
      : task.attachments.map(({ networkId, address }) => `${address} of ${networkId}`),
  );
  return {
    name: "addresses",
    onWritten(written, { cluster: { facts } }, speak) {
      for (const place of holders.follow(written, facts)) {
        const [first, ...others] = holders.of(place);
        for (const other of others) {
          if (first === undefined || podOf(first) === podOf(other)) continue;
          speak(`${place} is held by ${first.id.slice(0, 4)} and ${other.id.slice(0, 4)}`);
        }
      }
    },
  };
}

function hasEnded(task: Task, facts: StoreFacts): boolean {
  const state = facts.statusOf(task.id)?.state;
  return state !== undefined && isFinal(state);
}

function isFenced({ exclusive, verdict }: Task): boolean {
  return exclusive && verdict?.kind === "lost";
}

function podOf(task: Task): string {
  return task.podTask ?? task.id;
}

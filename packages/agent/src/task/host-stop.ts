/**
 * The containers of this node stop because the host shuts down: in order of dependency, within a stated time.
 *
 * Who needs a service stops before it: a task waits while one lives whose service names its service under
 * `depends_on`, or that joined its pod. From three quarters of the time on nobody is waited for any more,
 * neither in order nor for open connections: the last quarter is for the processes to end. A task that stops
 * so is still wanted, and begins its next attempt with the next life of the agent.
 *
 * Pure but for `HostStop`, which remembers until when. Cost: O(tasks) a question.
 * Design page: docs/design/draining.md
 */

import { type Assignment, type DependencySpec, stackKey } from "@berth/protocol";

/**
 * Whether a task stops for a reason of its host: `later` while somebody who needs it lives, `hurry` near the end;
 * `isolated` because no server was reached for too long, and another node may be given what it uses alone.
 */
export type HostStopFact = "no" | "later" | "now" | "hurry" | "isolated";

/** Neither order nor open connections are waited for. */
export function hurries(fact: HostStopFact): boolean {
  return fact === "hurry" || fact === "isolated";
}

/** Share of the time in which order and connections count. */
const ORDERLY_SHARE = 3 / 4;

export interface HostStopTask {
  readonly assignment: Assignment;
  /** Its process lives. */
  readonly isAlive: boolean;
}

/** Whether a living task needs `task` to run. */
export function isNeeded(task: Assignment, others: Iterable<HostStopTask>): boolean {
  for (const { assignment, isAlive } of others) {
    if (isAlive && needs(assignment, task)) return true;
  }
  return false;
}

function needs({ task, spec }: Assignment, other: Assignment): boolean {
  if (task.id === other.task.id) return false;
  if (task.podTask === other.task.id) return true;
  const dependencies: Readonly<Record<string, DependencySpec>> = spec.dependsOn;
  return stackKey(task) === stackKey(other.task) && Object.hasOwn(dependencies, other.task.service);
}

/** Until when the containers of this node have to be stopped, once that was asked for. Wall time. */
export class HostStop {
  #until: number | undefined;
  #hurryAt = Number.POSITIVE_INFINITY;

  get isUnderWay(): boolean {
    return this.#until !== undefined;
  }

  /** Connections are not waited for after it; infinite while the host goes on. */
  get hurryAt(): number {
    return this.#hurryAt;
  }

  begin(now: number, until: number): void {
    this.#until = until;
    this.#hurryAt = now + Math.max(0, until - now) * ORDERLY_SHARE;
  }

  factOf(task: Assignment, others: () => Iterable<HostStopTask>, now: number): HostStopFact {
    if (this.#until === undefined) return "no";
    if (now >= this.#hurryAt) return "hurry";
    return isNeeded(task, others()) ? "later" : "now";
  }
}

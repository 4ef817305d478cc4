/** A task as the state of the cluster keeps it. */

import type { Claims, DeviceAssignment } from "./model.ts";
import { sparedBy } from "./overcommit.ts";
import type { Need, Needs } from "./resources.ts";

export interface Held {
  readonly claims: Claims;
  readonly needs: Needs;
  /** Id of its node, which may be unknown. */
  readonly node: string;
  readonly devices: readonly DeviceAssignment[];
  readonly leaving: boolean;
  /** What of its requests it does not keep by its measured use (`overcommit.ts`). */
  readonly spared: readonly Need[] | undefined;
  /** Position among the tasks of its node and of its service; written by these lists only. */
  onNode: number;
  inService: number;
}

/** A task that is in no list yet. */
export function heldTask(task: Omit<Held, "spared" | "onNode" | "inService">): Held {
  const { claims, needs, node, devices, leaving } = task;
  const spared = sparedBy(claims, needs);
  return { claims, needs, node, devices, leaving, spared, onNode: -1, inService: -1 };
}

/** A task as the state of the cluster keeps it. */

import type { Claims, DeviceAssignment } from "./model.ts";
import type { Needs } from "./resources.ts";

export interface Held {
  readonly claims: Claims;
  readonly needs: Needs;
  /** Id of its node, which may be unknown. */
  readonly node: string;
  readonly devices: readonly DeviceAssignment[];
  readonly leaving: boolean;
  /** Position among the tasks of its node and of its service; written by these lists only. */
  onNode: number;
  inService: number;
}

/** A task that is in no list yet. */
export function heldTask(task: Omit<Held, "onNode" | "inService">): Held {
  const { claims, needs, node, devices, leaving } = task;
  return { claims, needs, node, devices, leaving, onNode: -1, inService: -1 };
}

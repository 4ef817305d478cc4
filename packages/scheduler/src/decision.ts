import type { DeviceAssignment } from "./model.ts";
import type { Refusal } from "./plan.ts";

/** What became of one ask. */
export interface Decision {
  readonly ask: string;
  /** `undefined` when it was refused. */
  readonly node: string | undefined;
  readonly devices: readonly DeviceAssignment[];
  /** Why it was refused, measured when it is called: at once, for later the cluster is another. */
  readonly refusal: (() => Refusal) | undefined;
  /** Why there, in words, where the engine tells. */
  readonly why?: string;
  /** Tasks that had to go for it: they have no place any more. */
  readonly victims?: readonly string[];
}

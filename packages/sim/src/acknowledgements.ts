/**
 * What users were promised: every write that was acknowledged, and what follows from it for the end of the
 * run. One user works on one stack, one request after the other, and repeats a request under the same
 * idempotency key until there is an answer: so what the stack must be is known at any moment.
 */

import type { Deployment, Scale, Stack } from "@berth/protocol";
import type { DrawnSpec } from "./stack-specs.ts";

/** An answer that says "done", as the user got it. */
export type Acknowledged =
  | { readonly kind: "deployed"; readonly stack: string; readonly answer: Deployment }
  | { readonly kind: "scaled"; readonly stack: string; readonly answer: Scale }
  | {
      readonly kind: "restarted";
      readonly stack: string;
      readonly service: string;
      readonly answer: Stack;
    }
  | { readonly kind: "rolled-back"; readonly stack: string; readonly answer: Stack }
  | { readonly kind: "removed"; readonly stack: string; readonly answer: Stack };

/** What a user may rely on for a stack. */
export interface Promised {
  /** The stack was deployed and not removed since; undefined before the first deployment. */
  present: boolean;
  /** The last deployment that was accepted, with what nobody told the platform: whether it can work. */
  last: { readonly deployment: string; readonly drawn: DrawnSpec } | undefined;
  /** Copies that were set by hand since the last deployment, by service. */
  readonly scales: Map<string, number>;
  /** Restarts that were acknowledged in this life of the stack, by service. */
  readonly restarts: Map<string, number>;
}

export function newPromise(): Promised {
  return { present: false, last: undefined, scales: new Map(), restarts: new Map() };
}

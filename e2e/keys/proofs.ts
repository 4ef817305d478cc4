/** Which check proves which key of the stack file. */

import { BUILD } from "./build-stack.ts";
import { FAILING, LIFE } from "./life-stack.ts";
import { NETWORK, NETWORK_OWNER } from "./network-stack.ts";
import { PROCESS } from "./process-stack.ts";
import type { KeyStack } from "./scene.ts";
import { STORAGE } from "./storage-stack.ts";

/** Stacks that are deployed once, with the checks that look at them. */
export const KEY_STACKS: readonly KeyStack[] = [
  PROCESS,
  NETWORK_OWNER,
  NETWORK,
  STORAGE,
  BUILD,
  FAILING,
  LIFE,
];

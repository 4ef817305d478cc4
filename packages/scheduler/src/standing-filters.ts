/**
 * The rules that ask what a node is, not what is left of it: they hold or not whatever else is placed.
 * Spread counts the domains in which they hold.
 */

import type { Filter } from "./filter.ts";
import { constraints } from "./filters/constraints.ts";
import { draining } from "./filters/draining.ts";
import { pinned } from "./filters/pinned.ts";
import { platform } from "./filters/platform.ts";
import { readiness } from "./filters/readiness.ts";
import { taints } from "./filters/taints.ts";

/** Those among them that hold for ever: models of nodes do not change while decisions are made. */
export const LASTING_FILTERS: readonly Filter[] = [pinned, platform, constraints, taints];

export const STANDING_FILTERS: readonly Filter[] = [readiness, draining, ...LASTING_FILTERS];

/**
 * `x-berth` of a volume and of the stack.
 */

import { field, record } from "../codec/record-codec.ts";
import { bool, oneOf } from "../codec/scalar-codecs.ts";
import { STRATEGY_WISHES, type StackWishes, type VolumeWishes } from "../model/berth-model.ts";
import { parameters } from "./berth-parameter-codec.ts";
import { weights } from "./berth-service-codec.ts";

/** `volumes.*.x-berth`. */
export const volumeWishes = record<VolumeWishes>(
  {
    mode: field("mode", oneOf(["exclusive", "shared"])),
    perCopy: field("per_copy", bool),
  },
  { closed: true, misplaced: { shared: "mode: shared", exclusive: "mode: exclusive" } },
);

/** `x-berth` at the top. */
export const stackWishes = record<StackWishes>(
  {
    engine: field("engine", oneOf(["native", "swarm", "kubernetes"])),
    strategy: field("strategy", oneOf(STRATEGY_WISHES)),
    weights: field("weights", weights),
    parameters: field("parameters", parameters),
  },
  { closed: true },
);

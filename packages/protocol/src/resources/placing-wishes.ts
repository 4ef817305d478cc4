/** What a service or a project wishes about the choice of its nodes: strategy, weights, class of service, devices. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

/** How nodes are chosen among those that will do, by the word that files and commands use. */
export const STRATEGY_WORDS = {
  tightest: "as few nodes as possible",
  room: "the emptiest node",
  balanced: "room, with processor and memory evenly used",
  cheapest: "the lowest price first, then nodes that are in use",
} as const satisfies Readonly<Record<string, string>>;
export type StrategyWord = keyof typeof STRATEGY_WORDS;
export const StrategyWord = Type.Enum(
  Object.keys(STRATEGY_WORDS) as [StrategyWord, ...StrategyWord[]],
);

/** Scores that tell nodes apart, by the word that files and commands use. */
export const WEIGHT_WORDS = {
  fit: "what the strategy is about",
  spread: "copies of the service apart",
  affinity: "preferred nodes",
  images: "images that are there already",
  stability: "the node where the copy ran last",
  taints: "away from nodes that others should have",
  failures: "away from nodes where the copy failed",
} as const satisfies Readonly<Record<string, string>>;
export type WeightWord = keyof typeof WEIGHT_WORDS;

/** Above it a score decides alone. */
export const WEIGHT_MAX = 100;

const Weight = Type.Optional(Type.Integer({ minimum: 0, maximum: WEIGHT_MAX }));
/** How much the scores of nodes count; a score that is absent counts as its strategy says. */
export const ScoreWeights = Type.Object(
  {
    fit: Weight,
    spread: Weight,
    affinity: Weight,
    images: Weight,
    stability: Weight,
    taints: Weight,
    failures: Weight,
  } satisfies Readonly<Record<WeightWord, unknown>>,
  { additionalProperties: false },
);
export type ScoreWeights = Of<typeof ScoreWeights>;

/** Classes of service, by the word that files and commands use. */
export const CLASS_WORDS = {
  guaranteed: "what it requests is there for it, whatever others use",
  burstable:
    "may be placed where others leave unused what they requested, as far as the project's policy goes",
  "best-effort":
    "likewise, with a limit of its own, and the first to be ended when memory runs out",
} as const satisfies Readonly<Record<string, string>>;
export type ClassWord = keyof typeof CLASS_WORDS;
export const ClassWord = Type.Enum(Object.keys(CLASS_WORDS) as [ClassWord, ...ClassWord[]]);

/** Different wishes for devices in one service: more are a mistake. */
export const DEVICE_WISHES_MAX = 16;

/** Devices of the nodes that each copy needs, whole or in part. */
export const DeviceWish = Type.Object({
  kind: Type.String({ minLength: 1, maxLength: 64 }),
  count: Type.Integer({ minimum: 1, maximum: 256 }),
  /** Thousandths of each of them; 1,000 is shared with nobody. */
  shareMillis: Type.Integer({ minimum: 1, maximum: 1_000 }),
  /** As nodes tell them; any when empty. */
  models: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), { maxItems: 32 }),
});
export type DeviceWish = Of<typeof DeviceWish>;

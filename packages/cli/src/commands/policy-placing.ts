/** Weights and overcommit as `berth project policy` takes and shows them. */

import {
  type ClassOvercommit,
  type OvercommitClass,
  type OvercommitPolicy,
  ProtocolError,
  type ScoreWeights,
  WEIGHT_MAX,
  WEIGHT_WORDS,
  type WeightWord,
} from "@berth/protocol";

const WEIGHTS = Object.keys(WEIGHT_WORDS) as WeightWord[];
const CLASSES: readonly OvercommitClass[] = ["burstable", "best-effort"];
const RESOURCES = ["cpu", "memory"] as const;
const PERCENT = { min: 100, max: 1_000 } as const;

/** `weights` with the words of `--weight` in them: `spread=30`, `spread=default`. */
export function weightsAfter(before: ScoreWeights, words: readonly string[]): ScoreWeights {
  const after = new Map(Object.entries(before));
  for (const text of words) {
    const [, name = "", value = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const word = WEIGHTS.find((each) => each === name);
    const weight = /^\d+$/.test(value) ? Number(value) : undefined;
    const isWeight = value === "default" || (weight !== undefined && weight <= WEIGHT_MAX);
    if (word === undefined || !isWeight) {
      const message = `--weight ${text}: expected SCORE=0 to ${WEIGHT_MAX}, or =default, with a score of ${WEIGHTS.join(", ")}`;
      throw new ProtocolError("invalid_request", message);
    }
    if (weight === undefined) after.delete(word);
    else after.set(word, weight);
  }
  return Object.fromEntries(after);
}

/** `overcommit` with the words of `--overcommit` in it: `burstable.cpu=150`, `burstable.cpu=none`. */
export function overcommitAfter(
  before: OvercommitPolicy,
  words: readonly string[],
): OvercommitPolicy {
  let after = before;
  for (const text of words) {
    const [, className = "", name = "", value = ""] = /^([^.=]+)\.([^=]+)=(.+)$/.exec(text) ?? [];
    const serviceClass = CLASSES.find((each) => each === className);
    const resource = RESOURCES.find((each) => each === name);
    const percent = /^\d+$/.test(value) ? Number(value) : undefined;
    const isPercent = percent !== undefined && percent >= PERCENT.min && percent <= PERCENT.max;
    if (serviceClass === undefined || resource === undefined || !(isPercent || value === "none")) {
      const message = `--overcommit ${text}: expected CLASS.RESOURCE=${PERCENT.min} to ${PERCENT.max} (hundredths of what a node can give), or =none, with a class of ${CLASSES.join(", ")} and cpu or memory`;
      throw new ProtocolError("invalid_request", message);
    }
    const { [resource]: _before, ...others } = after[serviceClass] ?? {};
    const row: ClassOvercommit =
      percent === undefined ? others : { ...others, [resource]: percent };
    const { [serviceClass]: _row, ...rest } = after;
    after = Object.keys(row).length === 0 ? rest : { ...rest, [serviceClass]: row };
  }
  return after;
}

/** Lines for people. */
export function placingLines(weights: ScoreWeights, overcommit: OvercommitPolicy): string[] {
  const tuned = Object.entries(weights).map(([name, weight]) => `${name} ${weight}`);
  const classes = CLASSES.flatMap((name) => {
    const row = overcommit[name];
    if (row === undefined) return [];
    const parts = RESOURCES.flatMap((resource) =>
      row[resource] === undefined ? [] : [`${resource} up to ${row[resource]} %`],
    );
    return [`${name} ${parts.join(" and ")}`];
  });
  return [
    `weights    ${tuned.length === 0 ? "as the strategy has them" : tuned.join(", ")}`,
    `overcommit ${classes.length === 0 ? "none" : classes.join("; ")}`,
  ];
}

/**
 * The one place where placements and refusals become words.
 *
 * Each rule words its own part (`filters/`); here they are put together. `nameOf` turns ids into what the
 * reader knows, for nodes and tasks alike.
 */

import type { RuleFinding } from "./pipeline.ts";
import { FILTERS } from "./pipeline.ts";
import type { Hint, Placement, Refusal, RuleCount } from "./plan.ts";

/** Id of a node or task to what a reader calls it; the id itself by default. */
export type NameOf = (id: string) => string;

/** A reader does not take in more reasons than this at once; the rest is counted. */
export const REASONS_SAID_MAX = 8;

/**
 * One line: `0 of 12 nodes fit: 7 lack memory (need 2 GiB, most free is 1.4 GiB), 5 do not match
 * node.labels.zone==a`. The most frequent reason first.
 */
export function explainRefusal(refusal: Refusal, nameOf: NameOf = identity): string {
  const reasons = explainRules(refusal, nameOf).map(({ count, words }) => `${count} ${words}`);
  const said = reasons.slice(0, REASONS_SAID_MAX);
  const unsaid = reasons.length - said.length;
  const rest = unsaid === 0 ? [] : [`and ${unsaid} more reasons`];
  const nodes =
    refusal.nodesTotal === 0
      ? "there are no nodes"
      : `0 of ${refusal.nodesTotal} nodes fit: ${[...said, ...rest].join(", ")}`;
  return `${prefix(refusal, nameOf)}${nodes}`;
}

/** The reasons one by one, for a table: how many nodes, and the words; the most frequent first. */
export function explainRules(
  refusal: Refusal,
  nameOf: NameOf = identity,
): readonly { readonly count: number; readonly words: string }[] {
  return [...refusal.rules]
    .sort((a, b) => b.count - a.count)
    .map((rule) => ({
      count: rule.count,
      words: FILTERS[rule.rule].describe(named(rule, nameOf)),
    }));
}

/** What would make it fit, to be read after "would fit if"; the smallest change first. */
export function explainHints(refusal: Refusal, nameOf: NameOf = identity): readonly string[] {
  return refusal.hints.map((hint) => explainHint(hint, nameOf));
}

/** `node-3: 1460 points, best of 5 (fit 46 x 10, affinity 50 x 20)`; who was displaced follows. */
export function explainPlacement(placement: Placement, nameOf: NameOf = identity): string {
  const { node, score, candidates, reasons } = placement;
  const place = candidates === 1 ? "the only one that fits" : `best of ${candidates}`;
  const parts = reasons.map(({ score: name, points, weight, usualWeight }) => {
    return `${name} ${points} x ${weight}${usualWeight === undefined ? "" : ` tuned from ${usualWeight}`}`;
  });
  const why = parts.length === 0 ? "" : ` (${parts.join(", ")})`;
  const more = `${overcommitted(placement)}${displaced(placement, nameOf)}`;
  return `${nameOf(node)}: ${score} points, ${place}${why}${more}`;
}

/** `, overcommitted by measured use: memory at 113 %`. */
function overcommitted({ overcommitted: resources }: Placement): string {
  if (resources === undefined) return "";
  const said = Object.entries(resources).map(([name, percent]) => `${name} at ${percent} %`);
  return `, overcommitted by measured use: ${said.join(", ")}`;
}

/** `, in place of batch.1, batch.2 and 3 more`. */
function displaced({ victims = [] }: Placement, nameOf: NameOf): string {
  if (victims.length === 0) return "";
  const said = victims.slice(0, REASONS_SAID_MAX).map(nameOf).join(", ");
  const unsaid = victims.length - REASONS_SAID_MAX;
  return `, in place of ${said}${unsaid > 0 ? ` and ${unsaid} more` : ""}`;
}

/** What speaks against one node (`Transaction.verify`), in the words of the refusal. */
export function explainFinding(finding: RuleFinding, nameOf: NameOf = identity): string {
  const { available, missing, ...rest } = finding;
  const best = available === undefined ? {} : { bestAvailable: available };
  const rule: RuleCount = { ...rest, ...best, count: 1, nodes: [] };
  return FILTERS[rule.rule].describe(named(rule, nameOf));
}

function prefix({ ask, together }: Refusal, nameOf: NameOf): string {
  if (together === undefined) return "";
  const { kind, key, size, blocking } = together;
  const whole = `${kind} ${key} needs all ${size} placed${kind === "pod" ? " on one node" : ""}`;
  const other = blocking === undefined || blocking === ask ? undefined : blocking;
  return other === undefined ? `${whole}; ` : `${whole}, ${nameOf(other)} has no place: `;
}

function explainHint(hint: Hint, nameOf: NameOf): string {
  if (hint.kind === "another-node") return `a node like ${nameOf(hint.node)} joined`;
  const node = nameOf(hint.node);
  return FILTERS[hint.rule].remedy({ ...named(hint, nameOf), node });
}

function named<T extends { readonly holder?: string }>(item: T, nameOf: NameOf): T {
  return item.holder === undefined ? item : { ...item, holder: nameOf(item.holder) };
}

function identity(id: string): string {
  return id;
}

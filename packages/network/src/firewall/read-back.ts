/**
 * Whether the kernel has the table that it was given: compares `nft -j list table` with the ruleset.
 *
 * The digest in the table's version chain says which rules were loaded; the counts say that nobody has
 * taken any of them away since. Pure; cost O(size of the listing).
 */

import type { Ruleset } from "./ruleset.ts";

/** Why the table is not what it should be, or `undefined` when it is. */
export function tableMismatch(listing: unknown, wanted: Ruleset): string | undefined {
  const counts = countRules(listing);
  if (counts === undefined) return "the listing cannot be read";
  for (const [chain, count] of wanted.rulesByChain) {
    const found = counts.get(chain);
    if (found === undefined) return `chain ${chain} is missing`;
    if (found !== count) return `chain ${chain} has ${found} rules instead of ${count}`;
  }
  return undefined;
}

function countRules(listing: unknown): ReadonlyMap<string, number> | undefined {
  if (!hasKey(listing, "nftables") || !Array.isArray(listing.nftables)) return undefined;
  const counts = new Map<string, number>();
  for (const item of listing.nftables as readonly unknown[]) {
    if (hasKey(item, "chain") && hasKey(item.chain, "name")) {
      counts.set(String(item.chain.name), 0);
    } else if (hasKey(item, "rule") && hasKey(item.rule, "chain")) {
      const chain = String(item.rule.chain);
      counts.set(chain, (counts.get(chain) ?? 0) + 1);
    }
  }
  return counts;
}

function hasKey<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === "object" && value !== null && key in value;
}

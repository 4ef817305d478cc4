/** What a listing of nft says about the chains of a table: which there are, and their rules. Pure. */

export interface FoundChain {
  /** Rules of the chain, where the listing has rules. */
  rules: number;
}

/** Chains of `table` in a listing as JSON; none when it cannot be read. */
export function readTable(listing: string, table: string): ReadonlyMap<string, FoundChain> {
  const chains = new Map<string, FoundChain>();
  for (const item of itemsOf(listing)) {
    const chain = named(item, "chain");
    if (chain?.["table"] === table) chains.set(String(chain["name"]), { rules: 0 });
    const rule = named(item, "rule");
    if (rule?.["table"] !== table) continue;
    const found = chains.get(String(rule["chain"]));
    if (found !== undefined) found.rules++;
  }
  return chains;
}

type Row = Readonly<Record<string, unknown>>;

function itemsOf(listing: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(listing);
    const items = isRow(parsed) ? parsed["nftables"] : undefined;
    return Array.isArray(items) ? items : [];
  } catch {
    return [];
  }
}

function named(item: unknown, key: string): Row | undefined {
  const value = isRow(item) ? item[key] : undefined;
  return isRow(value) ? value : undefined;
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null;
}

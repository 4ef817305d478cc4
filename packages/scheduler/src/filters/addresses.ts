/** A fixed address works only on nodes that carry its pool, and for one task at a time. */

import type { ClusterState } from "../cluster-state.ts";
import { type Check, type Filter, type Finding, holdersOf, verb, whoHolds } from "../filter.ts";
import type { FixedAddress } from "../model.ts";

export const addresses: Filter = {
  rule: "addresses",
  prepare: ({ ask, cluster }) => (ask.addresses ?? []).flatMap((fixed) => checksOf(fixed, cluster)),
  looksBeyond: ({ ask }) => (ask.addresses ?? []).length > 0,
  only: ({ ask, cluster }) => {
    const taken = (ask.addresses ?? []).some(
      ({ address }) => cluster.addressHolders(address).length > 0,
    );
    return taken ? [] : undefined;
  },
  // What is left is the pool, which is the node's own.
  reaches: () => [],
  describe: ({ count, about, holder, holders }) =>
    holder === undefined
      ? `${verb(count, "does", "do")} not carry the address pool ${about}`
      : `cannot use address ${about} (${whoHolds(holder, holders)} ${verb(holders ?? 1, "holds", "hold")} it)`,
  remedy: ({ about, holder, holders, node }) =>
    holder === undefined
      ? `${node} carried the pool ${about}`
      : `${whoHolds(holder, holders)} let go of ${about}`,
};

/** Two checks: nobody holds the address, and the node carries its pool. */
function checksOf({ address, pool }: FixedAddress, cluster: ClusterState): readonly Check[] {
  const holders = cluster.addressHolders(address).map((held) => held.claims.id);
  const taken: Finding = { about: address, ...holdersOf(holders) };
  const foreign: Finding = { about: pool };
  return [
    () => (holders.length === 0 ? undefined : taken),
    (node) => ((node.model.pools ?? []).includes(pool) ? undefined : foreign),
  ];
}

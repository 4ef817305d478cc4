/** A fixed address works only on nodes that carry its pool, and for one task at a time. */

import { type ClusterState, compareText } from "../cluster-state.ts";
import { type Check, type Filter, type Finding, verb } from "../filter.ts";
import type { FixedAddress } from "../model.ts";

export const addresses: Filter = {
  rule: "addresses",
  prepare: ({ ask, cluster }) => (ask.addresses ?? []).map((fixed) => checkOf(fixed, cluster)),
  describe: ({ count, about, holder }) =>
    holder === undefined
      ? `${verb(count, "does", "do")} not carry the address pool ${about}`
      : `cannot use address ${about} (${holder} holds it)`,
  remedy: ({ about, holder, node }) =>
    holder === undefined ? `${node} carried the pool ${about}` : `${holder} let go of ${about}`,
};

function checkOf({ address, pool }: FixedAddress, cluster: ClusterState): Check {
  const holders = cluster.addressHolders(address).map((held) => held.claims.id);
  const holder = holders.sort(compareText)[0];
  if (holder !== undefined) {
    const taken: Finding = { about: address, holder };
    return () => taken;
  }
  const foreign: Finding = { about: pool };
  return (node) => ((node.model.pools ?? []).includes(pool) ? undefined : foreign);
}

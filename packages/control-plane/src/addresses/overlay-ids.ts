/**
 * VXLAN identifiers: one for each network that several nodes take part in, kept until the network goes. The
 * claim is the record, as with addresses of services.
 *
 * The search begins at a function of the network's own identifier, which is chance: identifiers that were given
 * back are not used again at once, when a node may still be taking the network down. Cost: O(1) while the
 * range is not crowded.
 */

import { keys } from "@berth/protocol";
import type { ClaimHolder } from "../state/claim-holder.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { addressOfClaim } from "./service-addresses.ts";

/** VXLAN has 24 bits, and 0 is nobody's: more than networks of the widest range. */
export const OVERLAY_ID_MAX = 16_777_215;

/** The claim of the network's identifier; `undefined` while one node at most has it. */
export function overlayClaimOf(
  view: ClusterView,
  network: string,
): Entity<ClaimHolder> | undefined {
  return view.claims.by("overlay", network)[0];
}

/** The network's identifier. */
export function overlayIdOf(view: ClusterView, network: string): number | undefined {
  const claim = overlayClaimOf(view, network);
  return claim === undefined ? undefined : Number(addressOfClaim(claim.key));
}

/** Key of the claim of a free identifier; `undefined` when all are taken. `planned`: taken by this plan. */
export function chooseOverlayId(
  view: ClusterView,
  network: string,
  planned: ReadonlySet<string>,
): string | undefined {
  const start = Number.parseInt(network, 16) % OVERLAY_ID_MAX;
  for (let step = 0; step < OVERLAY_ID_MAX; step++) {
    const id = ((start + step) % OVERLAY_ID_MAX) + 1;
    const key = keys.claim({ kind: "overlay-id", id });
    if (!planned.has(key) && view.claims.get(key) === undefined) return key;
  }
  return undefined;
}

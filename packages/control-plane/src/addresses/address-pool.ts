/**
 * Free addresses of networks while one plan is made: from the claims that exist, without those that the
 * plan itself has given out. The claim's transaction is what makes an address unique; this only finds one
 * that is likely to be free. Cost: one pass over a network's claims, then O(1) amortised an address.
 */

import { keys } from "@berth/protocol";
import { claimNameOf } from "../release/claims.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { formatAddress, gatewayOf, parseAddress, parseSubnet, sizeOf } from "./subnet.ts";

/** An address with its claim as it was read. */
export interface FoundAddress {
  readonly address: string;
  readonly claimKey: string;
  /** Revision of a claim that has run out; absent when there is none. */
  readonly claimRevision: number | undefined;
}

interface Range {
  next: number;
  readonly end: number;
  readonly claims: ReadonlyMap<number, Entity<ClaimHolder>>;
}

export class AddressPool {
  readonly #view: ClusterView;
  readonly #now: number;
  readonly #ranges = new Map<string, Range>();

  constructor(view: ClusterView, now: number) {
    this.#view = view;
    this.#now = now;
  }

  /** The next free address of a network; `undefined` when it is full. */
  take(networkId: string, subnet: string): FoundAddress | undefined {
    const range = this.#rangeOf(networkId, subnet);
    while (range.next < range.end) {
      const number = range.next++;
      const claim = range.claims.get(number);
      const freeAt = claim?.value.freeAt;
      if (claim !== undefined && (freeAt === undefined || freeAt > this.#now)) continue;
      return this.#found(networkId, formatAddress(number));
    }
    return undefined;
  }

  /** A fixed address, whoever has it: whether it is free is for the claim's holder to say. */
  fixed(networkId: string, address: string): FoundAddress {
    return this.#found(networkId, address);
  }

  #found(networkId: string, address: string): FoundAddress {
    const claimKey = keys.claim({ kind: "address", networkId, address });
    return { address, claimKey, claimRevision: this.#view.claims.get(claimKey)?.revision };
  }

  #rangeOf(networkId: string, subnetText: string): Range {
    const known = this.#ranges.get(networkId);
    if (known !== undefined) return known;
    const subnet = parseSubnet(subnetText);
    const claims = new Map<number, Entity<ClaimHolder>>();
    for (const claim of this.#view.claims.by("network", networkId)) {
      const number = parseAddress(claimNameOf(claim.key)[2] ?? "");
      if (number !== undefined) claims.set(number, claim);
    }
    const range: Range =
      subnet === undefined
        ? { next: 0, end: 0, claims }
        : { next: gatewayOf(subnet) + 1, end: subnet.base + sizeOf(subnet.prefix) - 1, claims };
    this.#ranges.set(networkId, range);
    return range;
  }
}

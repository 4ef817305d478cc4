/**
 * Free addresses of networks while one plan is made: from the claims that exist, without those that the
 * plan itself has given out. The claim's transaction is what makes an address unique; this only finds one
 * that is likely to be free. Cost: one pass over a network's claims, then O(1) amortised an address.
 */

import { keys, type Network } from "@berth/protocol";
import { claimNameOf } from "../release/claims.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { formatAddress, parseAddress, parsePart, parseSubnet, sizeOf } from "./subnet.ts";

/** An address with its claim as it was read. */
export interface FoundAddress {
  readonly address: string;
  readonly claimKey: string;
  /** Revision of a claim that has run out; absent when there is none. */
  readonly claimRevision: number | undefined;
}

/** What of a network says which addresses tasks can have. */
export type AddressNetwork = Pick<Network, "id" | "subnet" | "gateway" | "ipRange" | "reserved">;

interface Range {
  next: number;
  end: number;
  readonly reserved: ReadonlySet<number>;
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
  take(network: AddressNetwork): FoundAddress | undefined {
    const range = this.#rangeOf(network);
    while (range.next < range.end) {
      const number = range.next++;
      if (this.#isFree(range, number)) return this.#found(network.id, formatAddress(number));
    }
    return undefined;
  }

  /** As `take`, from the end: nodes have theirs apart from tasks. `avoid`: addresses that files name. */
  takeLast(network: AddressNetwork, avoid: ReadonlySet<string>): FoundAddress | undefined {
    const range = this.#rangeOf(network);
    while (range.next < range.end) {
      const number = --range.end;
      if (!this.#isFree(range, number) || avoid.has(formatAddress(number))) continue;
      return this.#found(network.id, formatAddress(number));
    }
    return undefined;
  }

  /** A fixed address, whoever has it: whether it is free is for the claim's holder to say. */
  fixed(networkId: string, address: string): FoundAddress {
    return this.#found(networkId, address);
  }

  #isFree({ reserved, claims }: Range, number: number): boolean {
    if (reserved.has(number)) return false;
    const claim = claims.get(number)?.value;
    return claim === undefined || (claim.freeAt !== undefined && claim.freeAt <= this.#now);
  }

  #found(networkId: string, address: string): FoundAddress {
    const claimKey = keys.claim({ kind: "address", networkId, address });
    return { address, claimKey, claimRevision: this.#view.claims.get(claimKey)?.revision };
  }

  #rangeOf(network: AddressNetwork): Range {
    const known = this.#ranges.get(network.id);
    if (known !== undefined) return known;
    const claims = new Map<number, Entity<ClaimHolder>>();
    for (const claim of this.#view.claims.by("network", network.id)) {
      const number = parseAddress(claimNameOf(claim.key)[2] ?? "");
      if (number !== undefined) claims.set(number, claim);
    }
    const range = { ...addressesOf(network), claims };
    this.#ranges.set(network.id, range);
    return range;
  }
}

/** The first address that may be given out, the one after the last, and those in between that may not. */
export function addressesOf({ subnet: text, gateway, ipRange, reserved = [] }: AddressNetwork): {
  next: number;
  readonly end: number;
  readonly reserved: ReadonlySet<number>;
} {
  const subnet = parseSubnet(text);
  const part = ipRange === undefined ? subnet : parsePart(ipRange);
  if (subnet === undefined || part === undefined) return { next: 0, end: 0, reserved: new Set() };
  return {
    next: Math.max(part.base, subnet.base + 1),
    end: Math.min(part.base + sizeOf(part.prefix), subnet.base + sizeOf(subnet.prefix) - 1),
    reserved: new Set([gateway, ...reserved].flatMap((each) => parseAddress(each) ?? [])),
  };
}

/**
 * Tells when bridges have to be looked at: a bridge has come, or a copy has become ready whose port may lack
 * something. A port that the agent made lacks nothing, so that a hundred starts cost no look.
 */

import { madePortName } from "../interfaces.ts";
import type { EndpointModel, NetworkModel } from "../model.ts";

export interface BridgeUsers {
  readonly networks: readonly Pick<NetworkModel, "id" | "bridge">[];
  readonly endpoints: readonly Pick<
    EndpointModel,
    "taskId" | "networkId" | "address" | "state" | "remote"
  >[];
}

export class BridgeNews {
  /** Bridges and ready copies for which nothing is left to do. */
  #bridges: ReadonlySet<string> = new Set();
  #copies: ReadonlySet<string> = new Set();

  /** `interfaces` is asked only when there is something new. */
  hasCome(users: BridgeUsers, interfaces: () => ReadonlySet<string>): boolean {
    const bridges = users.networks.filter(({ bridge }) => !this.#bridges.has(bridge));
    const copies = readyHere(users).filter((copy) => !this.#copies.has(keyOf(copy)));
    if (bridges.length === 0 && copies.length === 0) return false;
    const present = interfaces();
    // One that is not there yet has no ports either.
    if (bridges.some(({ bridge }) => present.has(bridge))) return true;
    const bridgeOf = new Map(users.networks.map(({ id, bridge }) => [id, bridge]));
    return copies.some(({ networkId, address }) => {
      const bridge = bridgeOf.get(networkId);
      return bridge === undefined || !present.has(madePortName(bridge, address));
    });
  }

  /** All is in order for those of `users`; `present` are the interfaces from before it was brought there. */
  settle(users: BridgeUsers, present: ReadonlySet<string>): void {
    const bridges = users.networks.map(({ bridge }) => bridge);
    this.#bridges = new Set(bridges.filter((bridge) => present.has(bridge)));
    this.#copies = new Set(readyHere(users).map(keyOf));
  }

  /** No look was needed: bridges that are known stay so while they are used. */
  follow(users: BridgeUsers): void {
    this.settle(users, this.#bridges);
  }
}

function readyHere({ endpoints }: BridgeUsers) {
  return endpoints.filter(({ state, remote }) => state === "ready" && remote !== true);
}

function keyOf({ taskId, networkId, address }: BridgeUsers["endpoints"][number]): string {
  return `${taskId} ${networkId} ${address}`;
}

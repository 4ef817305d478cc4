/** What one plan is made from, and what it has decided so far. Lives for one synchronous pass. */

import type { Network, Release, Stack, Task, Volume } from "@berth/protocol";
import type { Reservations } from "@berth/scheduler";
import { AddressPool } from "../addresses/address-pool.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import type { InFlight } from "./in-flight.ts";
import type { StandingCluster } from "./standing-cluster.ts";
import type { Unit } from "./unit.ts";

/** Where new identifiers come from: chance, so that they are never used twice. */
export interface Identifiers {
  /** Twelve lower-case letters and digits. */
  readonly identifier: () => string;
  /** Eight hexadecimal digits. */
  readonly networkId: () => string;
  /** Where the last network's range ended, as a number; 0 while none was given. In memory only. */
  readonly subnetEnd: () => number;
  readonly noteSubnetEnd: (end: number) => void;
}

export interface PlanInput {
  readonly view: ClusterView;
  readonly stack: Entity<Stack>;
  readonly release: Release;
  readonly now: number;
  readonly settings: ControlPlaneSettings;
  readonly ids: Identifiers;
  readonly inFlight: InFlight;
  /** The scheduler's model of `view`, where one is kept; it is made for this plan otherwise. */
  readonly standing?: StandingCluster;
  /** What is held for asks that waited long; nothing when absent. */
  readonly reservations?: Reservations;
}

/** Something waited for that stands in the way of one copy. */
export interface Obstacle {
  readonly kind: "obstacle";
  readonly wait: "network" | "address" | "volume" | "device";
  readonly message: string;
}

export function obstacle(wait: Obstacle["wait"], message: string): Obstacle {
  return { kind: "obstacle", wait, message };
}

export class PlanContext {
  readonly input: PlanInput;
  readonly addresses: AddressPool;
  /** Networks and volumes that this plan makes, by key. */
  readonly networks = new Map<string, Network>();
  readonly volumes = new Map<string, Volume>();
  /** Tasks that this plan makes. */
  readonly planned = new Set<Task>();
  /** Keys of claims of service addresses that this plan takes, by service and network. */
  readonly serviceAddresses = new Map<string, string>();
  /** Likewise of overlays' identifiers, by network, and of nodes' addresses, by network and node. */
  readonly overlays = new Map<string, string>();
  readonly nodeAddresses = new Map<string, string>();
  /** Nodes of networks that had no identifier when they were looked at, by network. */
  readonly carriers = new Map<string, Set<string>>();

  constructor(input: PlanInput) {
    this.input = input;
    this.addresses = new AddressPool(input.view, input.now);
  }

  /** A unit is not written: what it would have made does not come to be. */
  forget(unit: Unit): void {
    for (const task of unit.tasks) this.planned.delete(task);
    for (const key of unit.operations.keys()) {
      this.networks.delete(key);
      this.volumes.delete(key);
    }
    for (const claims of [this.serviceAddresses, this.overlays, this.nodeAddresses]) {
      for (const [term, key] of claims) if (unit.operations.has(key)) claims.delete(term);
    }
  }
}

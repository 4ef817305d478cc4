/**
 * Bridges of this node: made before the first container of a network, or for routes into it, and removed after its
 * last use.
 *
 * Making and removing take turns, and use is looked up inside the turn: a network that is being removed
 * while a task comes is made again before that task goes on.
 */

import type { Driver, Loop } from "@berth/base";
import { type Network, ProtocolError } from "@berth/protocol";
import type { NetworkRequest, Runtime } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import type { NetworksPort } from "../task/task-ports.ts";
import { bridgeName } from "./node-network-model.ts";
import { ingressNetworks, mtuOf, peersOf } from "./overlay-model.ts";

/** A redeployment brings the network back within seconds: waiting spares making it anew. */
const REMOVE_AFTER_MS = 2_000;
/** Between looks whether bridges in use still stand: one small file of the kernel's. */
const LOOK_PERIOD_MS = 5_000;

export interface NodeNetworksOptions {
  readonly runtime: Runtime;
  readonly state: AgentState;
  readonly cluster: () => string;
  readonly node: string;
  readonly driver: Driver;
  /** A bridge is there on the host. */
  readonly hasBridge: (name: string) => boolean;
  /** All tasks of this node are known: a network without one is of no use. */
  readonly isKnown: () => boolean;
  /** A bridge was made: what leads through it can be. */
  readonly onMade: () => void;
  readonly mtu?: number;
}

export class NodeNetworks implements NetworksPort {
  readonly #options: NodeNetworksOptions;
  readonly #made = new Set<string>();
  readonly #loop: Loop;
  readonly #bridges: Loop;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: NodeNetworksOptions) {
    this.#options = options;
    this.#bridges = options.driver.add({
      name: "node-bridges",
      purpose: "Makes bridges for routes, and anew those that somebody removed.",
      periodMs: LOOK_PERIOD_MS,
      run: (signal) => this.#mend(signal),
    });
    this.#loop = options.driver.add({
      name: "node-networks",
      purpose: "Removes bridges of networks that no task of this node uses.",
      gatherMs: REMOVE_AFTER_MS,
      run: (signal) => this.#inTurn(() => this.#removeUnused(signal)),
    });
  }

  async ensure(network: Network, signal: AbortSignal): Promise<void> {
    if (this.#made.has(network.id)) return;
    await this.#inTurn(async () => {
      if (this.#made.has(network.id)) return;
      await this.#make(this.#requestOf(network), signal);
      this.#made.add(network.id);
      this.#options.onMade();
    });
  }

  /**
   * The server gives a removed network's range to the next one as soon as its last task is gone, which may
   * be before the old bridge is: then that goes first.
   */
  async #make(request: NetworkRequest, signal: AbortSignal): Promise<void> {
    const { runtime } = this.#options;
    try {
      await runtime.ensureNetwork(request, signal);
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.code !== "claim_taken") throw error;
      await this.#removeUnused(signal);
      await runtime.ensureNetwork(request, signal);
    }
  }

  /** Whether a bridge is one of this cluster's, by its name. */
  isOwn(bridge: string): boolean {
    return bridge.startsWith(bridgeName(this.#options.cluster(), ""));
  }

  /** The engine takes bridges of directly started containers for unused (`docker network prune`). */
  async #mend(signal: AbortSignal): Promise<void> {
    const { state, cluster, hasBridge } = this.#options;
    for (const id of this.#used()) {
      const network = state.networks.get(id);
      if (network === undefined || hasBridge(bridgeName(cluster(), id))) continue;
      this.#made.delete(id);
      await this.ensure(network, signal);
    }
  }

  released(): void {
    this.#loop.wake();
  }

  /** Others may be the networks whose routes this node answers. */
  routed(): void {
    this.#bridges.wake();
    this.#loop.wake();
  }

  /** The engine restarted or lost things: what it has is not known any more. */
  forget(): void {
    this.#made.clear();
  }

  #requestOf(network: Network): NetworkRequest {
    const cluster = this.#options.cluster();
    const mtu = this.#options.mtu ?? this.#mtuOf(network);
    const { id, subnet, gateway, internal, labels = {} } = network;
    const bridge = bridgeName(cluster, id);
    const { subnet6, gateway6 } = network;
    const request = {
      ...{ id, cluster, bridge, subnet, gateway, internal, labels },
      ...(subnet6 === undefined || gateway6 === undefined ? {} : { subnet6, gateway6 }),
    };
    return mtu === undefined ? request : { ...request, mtu };
  }

  /** Its own, but no more than passes between hosts: it may have been made when the cluster had one node. */
  #mtuOf({ id, mtu }: Network): number | undefined {
    const peers = peersOf(this.#options.state.peers.values(), id);
    const sizes = [mtu, peers.length === 0 ? undefined : mtuOf(peers)];
    const known = sizes.filter((size) => size !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  async #removeUnused(signal: AbortSignal): Promise<void> {
    const { runtime, cluster, isKnown } = this.#options;
    if (!isKnown()) return;
    for (const { id } of await runtime.listNetworks(cluster(), signal)) {
      if (this.#used().has(id)) continue;
      // Before the call: it may take effect and fail nevertheless, and making it again does no harm.
      this.#made.delete(id);
      await runtime.removeNetwork(id, cluster(), signal);
    }
  }

  #used(): ReadonlySet<string> {
    const { state, node } = this.#options;
    const { told, records } = state;
    const used = new Set(ingressNetworks(state.peers.values(), node));
    for (const { assignment, intent } of told.values()) {
      const record = records.get(assignment.task.id);
      const isGone = record?.state === "removed" || (record === undefined && intent !== "run");
      if (isGone) continue;
      for (const { networkId } of assignment.task.attachments) used.add(networkId);
    }
    return used;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work, work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

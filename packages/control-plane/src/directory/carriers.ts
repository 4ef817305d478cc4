/**
 * Which node carries which network: it has a task there, from the plan's commit until the task is gone
 * from the store, or an address of its own, for which routes are reason enough. Knows what was so before the batch that is being followed.
 *
 * Cost: O(networks of the task) a change.
 */

import type { Task } from "@berth/protocol";
import type { ClaimHolder } from "../state/claim-holder.ts";

interface Use {
  readonly node: string;
  readonly networks: readonly string[];
}

const NOBODY: ReadonlySet<string> = new Set();

export class Carriers {
  readonly #uses = new Map<string, Use>();
  /** By network and node: how many tasks. */
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #nodes = new Map<string, Set<string>>();
  readonly #networks = new Map<string, Set<string>>();
  /** Networks whose nodes changed since `settle`, with the nodes as they were. */
  readonly #before = new Map<string, ReadonlySet<string>>();

  /** The task of `key` is this one now, or gone. */
  take(key: string, task: Task | undefined): void {
    const networks = task?.attachments.map(({ networkId }) => networkId) ?? [];
    this.#use(key, task && { node: task.node, networks });
  }

  /** The claim of `key` on an address in `network` is this one now, or gone. */
  takeClaim(key: string, network: string, claim: ClaimHolder | undefined): void {
    const { node, freeAt } = claim ?? {};
    const isHeld = node !== undefined && freeAt === undefined;
    this.#use(key, isHeld ? { node, networks: [network] } : undefined);
  }

  #use(key: string, use: Use | undefined): void {
    const known = this.#uses.get(key);
    if (use === undefined) this.#uses.delete(key);
    else {
      this.#uses.set(key, use);
      for (const network of use.networks) this.#count(network, use.node, 1);
    }
    for (const network of known?.networks ?? []) this.#count(network, known?.node ?? "", -1);
  }

  nodesOf(network: string): ReadonlySet<string> {
    return this.#nodes.get(network) ?? NOBODY;
  }

  /** Before the batch. */
  nodesBefore(network: string): ReadonlySet<string> {
    return this.#before.get(network) ?? this.nodesOf(network);
  }

  networksOf(node: string): ReadonlySet<string> {
    return this.#networks.get(node) ?? NOBODY;
  }

  /** By network: nodes that carry it since this batch, or no more. */
  takeMoves(): ReadonlyMap<string, ReadonlySet<string>> {
    const moves = new Map<string, ReadonlySet<string>>();
    for (const [network, before] of this.#before) {
      const moved = before.symmetricDifference(this.nodesOf(network));
      if (moved.size > 0) moves.set(network, moved);
    }
    return moves;
  }

  /** The batch is over. */
  settle(): void {
    this.#before.clear();
  }

  #count(network: string, node: string, by: 1 | -1): void {
    const counts = this.#counts.get(network) ?? new Map<string, number>();
    const count = (counts.get(node) ?? 0) + by;
    if (count === 0) counts.delete(node);
    else counts.set(node, count);
    if (counts.size === 0) this.#counts.delete(network);
    else this.#counts.set(network, counts);
    if (by === 1 && count === 1) this.#move(network, node, "add");
    if (count === 0) this.#move(network, node, "delete");
  }

  #move(network: string, node: string, how: "add" | "delete"): void {
    if (!this.#before.has(network)) this.#before.set(network, new Set(this.nodesOf(network)));
    for (const [map, from, to] of [
      [this.#nodes, network, node],
      [this.#networks, node, network],
    ] as const) {
      const set = map.get(from) ?? new Set<string>();
      set[how](to);
      if (set.size === 0) map.delete(from);
      else map.set(from, set);
    }
  }
}

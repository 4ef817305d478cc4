/**
 * A network with tasks on several nodes has one identifier, and each of these nodes has an address in it: from the
 * commit on that makes the second one's task. Tasks that are known to have ended or were given up, and nodes that are
 * gone, do not count.
 *
 * Looks at the networks that a commit touched.
 */

import type { ClaimHolder } from "@berth/control-plane/state/claim-holder";
import { isFinal, parseKey } from "@berth/protocol";
import type { Written } from "../store-journal.ts";
import { TaskGroups } from "../task-groups.ts";
import type { Checker } from "./checker.ts";

export function reachChecker(): Checker {
  const claims = new Claims();
  const tasks = new TaskGroups((task, facts) => {
    const state = facts.statusOf(task.id)?.state;
    const hasEnded = state !== undefined && isFinal(state);
    const isOver = hasEnded || task.verdict !== undefined;
    return isOver ? [] : task.attachments.map(({ networkId }) => networkId);
  });
  return {
    name: "reach",
    onWritten(written, { cluster: { facts } }, speak) {
      const touched = new Set([...claims.follow(written), ...tasks.follow(written, facts)]);
      for (const network of touched) {
        const names = [...tasks.of(network)].map(({ node }) => node);
        const nodes = new Set(names.filter((name) => facts.nodeOf(name) !== undefined));
        if (nodes.size < 2) continue;
        const short = network.slice(0, 4);
        if (claims.identifiers(network) !== 1) speak(`network ${short} has no one identifier`);
        for (const node of nodes) {
          if (!claims.has(network, node)) speak(`${node} has no address in ${short}`);
        }
      }
    },
  };
}

/** Identifiers of networks, and addresses that nodes hold in them. */
class Claims {
  readonly #identifiers = new Map<string, number>();
  readonly #addresses = new Set<string>();

  identifiers(network: string): number {
    return this.#identifiers.get(network) ?? 0;
  }

  has(network: string, node: string): boolean {
    return this.#addresses.has(`${network} ${node}`);
  }

  /** Takes a commit in; returns the networks whose claims it changed. */
  follow(written: readonly Written[]): ReadonlySet<string> {
    const touched = new Set<string>();
    const own = written.filter(({ kind }) => kind === "claim");
    // What a commit gives back it may give out again.
    for (const each of own) this.#count(each.key, each.before<ClaimHolder>(), -1, touched);
    for (const each of own) this.#count(each.key, each.now<ClaimHolder>(), 1, touched);
    return touched;
  }

  #count(key: string, holder: ClaimHolder | undefined, by: 1 | -1, touched: Set<string>): void {
    const [kind, network = ""] = parseKey(key)?.name ?? [];
    if (kind === "overlay-id" && holder?.network !== undefined) {
      this.#identifiers.set(holder.network, this.identifiers(holder.network) + by);
      touched.add(holder.network);
    }
    if (kind !== "address" || holder?.node === undefined || holder.freeAt !== undefined) return;
    const name = `${network} ${holder.node}`;
    if (by === 1) this.#addresses.add(name);
    else this.#addresses.delete(name);
    touched.add(network);
  }
}

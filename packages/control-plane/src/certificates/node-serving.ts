/**
 * What each node's data plane has said that it serves with: in memory only, because it is asked for seconds
 * after it was said, and said again by every agent that connects.
 */

import type { NodeCertificatesRequest } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";

type Serving = NonNullable<NodeCertificatesRequest["serving"]>;

export class NodeServing {
  readonly #byNode = new Map<string, Serving>();

  note(node: string, serving: Serving): void {
    this.#byNode.set(node, serving);
  }

  /** The version of certificate `id` that each node serves with. */
  versionsOf(id: string): { readonly node: string; readonly version: string }[] {
    return [...this.#byNode].flatMap(([node, { versions }]) => {
      const version = versions[id];
      return version === undefined ? [] : [{ node, version }];
    });
  }

  /** Nodes in contact that do not answer challenges with `thumbprint` yet. */
  unconfirmed(view: ClusterView, thumbprint: string): string[] {
    return view.nodes
      .all()
      .filter(({ value }) => value.contact === "up")
      .map(({ value }) => value.name)
      .filter((node) => this.#byNode.get(node)?.thumbprint !== thumbprint);
  }
}

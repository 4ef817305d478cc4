/** The domains of the nodes at each level that somebody named, and the nodes of each domain in their order. */

import { domainOf } from "../attribute.ts";
import type { NodeModel } from "../model.ts";
import { Interner } from "./interner.ts";

/** The nodes as one level divides them. */
export interface Level {
  readonly name: string;
  /** Domain by node; -1 where it lies in none. */
  readonly domainOf: Int32Array;
  readonly domains: number;
  /** By node its domain, or `domains` where it lies in none. */
  readonly laneOf: Int32Array;
  /** Nodes by lane, ascending; empty at the level of nodes, where each would be a list of one. */
  readonly lanes: readonly Int32Array[];
  /** Place of a node within its lane. */
  readonly placeOf: Int32Array;
}

/** Every node is its own domain. */
export const NODE_LEVEL = 0;

export class Levels {
  readonly #nodes: readonly NodeModel[];
  readonly #byName = new Interner();
  readonly #levels: Level[] = [];

  /** `nodes` in their order. */
  constructor(nodes: readonly NodeModel[]) {
    this.#nodes = nodes;
    this.idOf("node");
  }

  /** O(nodes) the first time. */
  idOf(name: string): number {
    const id = this.#byName.idOf(name);
    if (id === this.#levels.length) this.#levels.push(levelOf(name, this.#nodes));
    return id;
  }

  /** The name of the domain in which the node lies; empty where it lies in none. */
  nameOfDomain(level: string, node: number): string {
    const model = this.#nodes[node];
    return (model && domainOf(model, level)) ?? "";
  }

  at(id: number): Level {
    const level = this.#levels[id];
    if (level === undefined) throw new RangeError(`no level ${id}`);
    return level;
  }
}

function levelOf(name: string, nodes: readonly NodeModel[]): Level {
  const names = new Interner();
  const domains = Int32Array.from(nodes, (node) => {
    const domain = domainOf(node, name);
    return domain === undefined ? -1 : names.idOf(domain);
  });
  const laneOf = domains.map((domain) => (domain < 0 ? names.size : domain));
  const lists: number[][] = Array.from({ length: name === "node" ? 0 : names.size + 1 }, () => []);
  const placeOf = laneOf.map((lane, node) => (lists[lane]?.push(node) ?? 1) - 1);
  const lanes = lists.map((list) => Int32Array.from(list));
  return { name, domainOf: domains, domains: names.size, laneOf, lanes, placeOf };
}

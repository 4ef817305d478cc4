/**
 * A trace in the words that operations on whole clusters know: pods become one ask each, and ports of the host a
 * resource of which every node has one.
 *
 * So a host port is held by one task of a node at a time, and the members of a pod move together, without a rule of
 * their own in the engine of typed arrays. A port that is asked for on single addresses of a host counts as asked for
 * on all of them: careful, never too hopeful. Distances that others keep from a pod are kept from its first member's service. Cost: O(nodes × ports named + asks).
 */

import { assert } from "@berth/base";
import type { Ask, HostPort, NodeModel, Requests } from "../model.ts";

export interface WholeAsks {
  readonly nodes: readonly NodeModel[];
  /** In the order of the first member of each. */
  readonly asks: readonly Ask[];
  /** Id of the ask that stands for it, for each ask that came in. */
  readonly unitOf: ReadonlyMap<string, string>;
}

/** Cores and bytes are sums, rules those of all members; id, service and slot are the first member's. */
export function wholeAsks(nodes: readonly NodeModel[], asks: readonly Ask[]): WholeAsks {
  const units = Map.groupBy(asks, ({ id, pod }) =>
    pod === undefined ? `ask ${id}` : `pod ${pod}`,
  );
  const ports = new Set(asks.flatMap((ask) => (ask.ports ?? []).map(portName)));
  const joined = [...units.values()].map((members) => ({ members, ask: joinedAsk(members) }));
  return {
    nodes: ports.size === 0 ? nodes : nodes.map((node) => withPorts(node, ports)),
    asks: joined.map(({ ask }) => ask),
    unitOf: new Map(
      joined.flatMap(({ members, ask }) => members.map(({ id }) => [id, ask.id] as const)),
    ),
  };
}

/** `port 8080/tcp`: the name of the resource, which refusals show. */
function portName({ port, protocol }: HostPort): string {
  return `port ${port}/${protocol}`;
}

function withPorts(node: NodeModel, ports: ReadonlySet<string>): NodeModel {
  const taken = new Set((node.portsTaken ?? []).map(portName));
  const free = [...ports].map((name) => [name, taken.has(name) ? 0 : 1] as const);
  return { ...node, resources: { ...node.resources, ...Object.fromEntries(free) } };
}

function joinedAsk(members: readonly Ask[]): Ask {
  const [first] = members;
  assert(first !== undefined, "a group of asks has members");
  const { ports: _ports, pod: _pod, ...own } = first;
  if (members.length === 1 && first.ports === undefined) return own;
  const constraints = members.flatMap((ask) => ask.constraints ?? []);
  const affinities = members.flatMap((ask) => ask.affinities ?? []);
  const antiAffinities = members.flatMap((ask) => ask.antiAffinities ?? []);
  const pinned = members.find(({ pinnedNode }) => pinnedNode !== undefined)?.pinnedNode;
  return {
    ...own,
    requests: joinedRequests(members),
    ...(constraints.length === 0 ? {} : { constraints }),
    ...(affinities.length === 0 ? {} : { affinities }),
    ...(antiAffinities.length === 0 ? {} : { antiAffinities }),
    ...(pinned === undefined ? {} : { pinnedNode: pinned }),
  };
}

function joinedRequests(members: readonly Ask[]): Requests {
  const sum = (name: "cpuMillis" | "memoryBytes" | "diskBytes" | "pids") =>
    members.reduce((total, { requests }) => total + (requests[name] ?? 0), 0);
  const resources: Record<string, number> = {};
  for (const { requests, ports } of members) {
    for (const [name, amount] of Object.entries(requests.resources ?? {})) {
      resources[name] = (resources[name] ?? 0) + amount;
    }
    for (const port of ports ?? []) resources[portName(port)] = 1;
  }
  return {
    cpuMillis: sum("cpuMillis"),
    memoryBytes: sum("memoryBytes"),
    diskBytes: sum("diskBytes"),
    pids: sum("pids"),
    resources,
    devices: members.flatMap(({ requests }) => requests.devices ?? []),
  };
}

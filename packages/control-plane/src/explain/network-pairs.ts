/**
 * Which ways between nodes can be tried, and by which copy: a running one on the other node, on a network that
 * both take part in. Pure; cost: O(tasks of the nodes and their networks).
 */

import {
  type NetworkCheckPair,
  type NetworkCheckTarget,
  overlayMtu,
  servedPorts,
  type Task,
  taskName,
} from "@berth/protocol";
import { peerOf } from "../directory/declared.ts";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

/** A way, with what the first node is to reach; without a target it says why there is none. */
export type WantedCheck = Pick<NetworkCheckPair, "from" | "to"> &
  (
    | { readonly target: NetworkCheckTarget; readonly network: string }
    | { readonly target?: undefined; readonly message: string }
  );

/** The ways between all of `nodes`, or those that are left with `from` and `to`, in both directions. */
export function pairsOf(
  nodes: readonly string[],
  { from, to }: { readonly from?: string | undefined; readonly to?: string | undefined },
): [string, string][] {
  const named = new Set([from, to]);
  const isWanted = (name: string) => (from === undefined && to === undefined) || named.has(name);
  return nodes.flatMap((a) =>
    nodes.flatMap((b): [string, string][] => {
      if (a === b) return [];
      const both = from !== undefined && to !== undefined;
      const holds = both ? isWanted(a) && isWanted(b) : isWanted(a) || isWanted(b);
      return holds ? [[a, b]] : [];
    }),
  );
}

/** What `from` is to try. Of a network's copies on `to` a ready one comes first. */
export function wantedCheck(view: ClusterView, from: string, to: string): WantedCheck {
  const ends = [from, to].map((name) => {
    return view.nodes.all().find(({ value }) => value.name === name)?.value;
  });
  const away = ends.find((node) => node?.contact !== "up");
  if (away !== undefined) return { from, to, message: `node ${away.name} is down` };
  const running = view.tasks
    .by("node", to)
    .map(({ value }) => value)
    .filter(({ id }) => statusOf(view, id)?.state === "running");
  const isReady = ({ id }: Task) => statusOf(view, id)?.ready === true;
  for (const task of running.sort((a, b) => Number(isReady(b)) - Number(isReady(a)))) {
    for (const { networkId, address } of task.attachments) {
      const network = view.networks.by("id", networkId)[0]?.value;
      const peers = [from, to].flatMap((node) => peerOf(view, networkId, node) ?? []);
      if (network === undefined || peers.length < 2) continue;
      const { project, environment, stack, service } = task;
      const spec = specOfTask(view, task)?.service.spec;
      const served = spec === undefined ? [] : servedPorts(spec);
      return {
        ...{ from, to, network: `${network.stack}/${network.name}` },
        target: {
          ...{ project, environment, stack, service, copy: `${stack}/${taskName(task)}`, address },
          ports: served.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port),
          ready: isReady(task),
          mtu: overlayMtu(mtusOf(view, networkId)),
        },
      };
    }
  }
  const message = `no network has running copies on ${to} and reaches ${from}: deploy one that has copies on both`;
  return { from, to, message };
}

/** Of all nodes in the network. */
function mtusOf(view: ClusterView, networkId: string): number[] {
  return view.claims
    .by("network", networkId)
    .flatMap(({ value }) => (value.node === undefined ? [] : [value.node]))
    .flatMap((node) => peerOf(view, networkId, node)?.underlay.mtu ?? []);
}

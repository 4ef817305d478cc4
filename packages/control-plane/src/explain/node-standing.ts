/** A node as a person asks about one: its copies, and for each what it waits for and what would free it. */

import { keys, type Node, type NodeStanding, stackKey, type Task } from "@berth/protocol";
import { exclusiveReason } from "../release/exclusive.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

/** Cost: O(tasks of the node). `undefined` when there is no such node. */
export function nodeStanding(
  view: ClusterView,
  name: string,
  { leaseMs }: Pick<ControlPlaneSettings, "leaseMs">,
): NodeStanding | undefined {
  const node = view.nodes.get(keys.node(name))?.value;
  if (node === undefined) return undefined;
  const status = view.nodeStatuses.get(keys.nodeStatus(name))?.value;
  const member = view.members.get(keys.member(name))?.value;
  return {
    node,
    ...(status === undefined ? {} : { status }),
    ...(member === undefined ? {} : { member: memberView(member) }),
    leaseMs,
    copies: liveTasks(view, name).map((task) => copyStanding(view, node, task)),
  };
}

function memberView({ joinedAt, address, notAfter }: NonNullable<NodeStanding["member"]>) {
  return { joinedAt, address, notAfter };
}

/** Tasks of a node that count: not given up, and their end not confirmed. */
export function liveTasks(view: ClusterView, node: string): Task[] {
  return view.tasks
    .by("node", node)
    .map(({ value }) => value)
    .filter(({ id, verdict }) => {
      const state = statusOf(view, id)?.state;
      return verdict === undefined && state !== "ended" && state !== "removed";
    });
}

function copyStanding(view: ClusterView, node: Node, task: Task): NodeStanding["copies"][number] {
  const { project, environment, stack, service, slot, id } = task;
  const bound = boundTo(view, task);
  const waits = waitOf(node, bound);
  return {
    ...{ project, environment, task: id, copy: `${stack}/${service}-${slot}` },
    state: statusOf(view, id)?.state ?? "assigned",
    ...(bound === undefined ? {} : { bound }),
    ...(waits === undefined ? {} : { waits }),
  };
}

/** Why the copy cannot be started elsewhere while this node may still run it; `undefined` for a free one. */
function boundTo(view: ClusterView, task: Task): string | undefined {
  const home = task.volumes.find(({ engineName }) => {
    const [volume] = view.volumes.by("engineName", engineName);
    return volume?.value.node !== undefined;
  });
  if (home !== undefined) return `volume ${home.volume} lies on ${task.node}`;
  if (!task.exclusive) return undefined;
  const release = view.releases
    .by("stack", stackKey(task))
    .find(({ value }) => value.number === task.release);
  const reason = release && exclusiveReason(release.value, task.service);
  return reason?.text ?? "only one copy may run at a time";
}

function waitOf(node: Node, bound: string | undefined): string | undefined {
  if (node.contact === "down") {
    if (bound === undefined) return "is replaced on another node";
    return `waits until ${node.name} is back (${bound})`;
  }
  if (node.availability !== "draining") return undefined;
  return bound === undefined ? "moves to another node" : `stays: ${bound}`;
}

/**
 * The cluster as a trace, for `berth sim --from-cluster`: nodes, then the copies that are to stay, each with the ask
 * that its service makes of a node.
 *
 * What a trace has no words for becomes what it does have: a volume with a home binds its copy to that node; what runs
 * once on each node is part of the node's reserve, for it moves nowhere. Copies that are being stopped are left
 * out: the question is about the state that the cluster is going to.
 * Cost: O(nodes + tasks), spread over the reading: a line is made when it is asked for.
 */

import { type ClusterTraceLine, isFinal, keys, serviceKey, type Task } from "@berth/protocol";
import type { NodeModel } from "@berth/scheduler";
import { askLine, nodeLine } from "@berth/scheduler/trace/write-lines";
import { deviceKinds } from "../plan/countables.ts";
import { nodeModel } from "../plan/node-model.ts";
import { measuredUse } from "../plan/placing-wishes.ts";
import { askOfTask, podHolders, type RunningAsk } from "../plan/running-ask.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

/** The lines, nodes first. */
export function* clusterTrace(
  view: ClusterView,
  settings: Pick<ControlPlaneSettings, "defaultRequests">,
): Generator<ClusterTraceLine, void, undefined> {
  const tasks = view.tasks.all().flatMap(({ value }) => (stays(view, value) ? [value] : []));
  const context = { view, settings, podHolders: podHolders(tasks) };
  const taken = new Set<string>();
  const running = tasks.map((task) => ({
    task,
    ...askOfTask(task, idOf(task, taken), context),
  }));
  const daemons = Map.groupBy(
    running.filter(({ onEveryNode }) => onEveryNode),
    ({ task }) => task.node,
  );
  const kinds = deviceKinds(view);
  for (const { value } of view.nodes.all()) {
    const status = view.nodeStatuses.get(keys.nodeStatus(value.name))?.value;
    const model = withDaemons(nodeModel(value, status, kinds), daemons.get(value.name) ?? []);
    yield { kind: "node", row: nodeLine(model) };
  }
  for (const { task, ask, onEveryNode } of running) {
    if (onEveryNode) continue;
    const { volumes = [], ...rest } = ask;
    const home = volumes.find(({ node }) => node !== undefined)?.node;
    const measured = measuredUse(view, task);
    const asked = measured === undefined ? rest : { ...rest, measured };
    const bound = home === undefined ? asked : { ...asked, pinnedNode: home };
    yield { kind: "task", row: askLine(bound), node: task.node };
  }
}

function stays(view: ClusterView, task: Task): boolean {
  const state = statusOf(view, task.id)?.state;
  const isOver = state !== undefined && isFinal(state);
  return !isOver && task.desired === "running" && task.verdict === undefined;
}

/** `default/main/shop/web-1`; of two copies in one slot, as a rollout has them, the second has its task behind. */
function idOf(task: Task, taken: Set<string>): string {
  const name = `${serviceKey(task)}-${task.slot}`;
  const id = taken.has(name) ? `${name}/${task.id}` : name;
  taken.add(id);
  return id;
}

/** What runs once on each node takes its part of this one for good. */
function withDaemons(node: NodeModel, daemons: readonly RunningAsk[]): NodeModel {
  if (daemons.length === 0) return node;
  const reserved = { ...node.reserved };
  for (const { ask } of daemons) {
    reserved.cpuMillis += ask.requests.cpuMillis ?? 0;
    reserved.memoryBytes += ask.requests.memoryBytes ?? 0;
    reserved.diskBytes += ask.requests.diskBytes ?? 0;
  }
  const portsTaken = daemons.flatMap(({ ask }) => ask.ports ?? []);
  return { ...node, reserved, ...(portsTaken.length === 0 ? {} : { portsTaken }) };
}

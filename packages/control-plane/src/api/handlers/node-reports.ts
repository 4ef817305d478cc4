/**
 * What agents tell: of their host, their tasks, their operations; and the secrets that they need.
 *
 * Reports may come twice, late or out of order: the sequence number decides, and a task's position never
 * goes back. A task that the server does not know, or has given up, is answered "stop".
 */

import { MINUTE_MS } from "@berth/base";
import {
  type FloatingPart,
  FORMAT_LEVEL_FIRST,
  keys,
  type Node,
  type NodeStatus,
  PROTOCOL_VERSION,
  ProtocolError,
  secretsOfRoutes,
  type Task,
} from "@berth/protocol";
import { leaseMsFor } from "../../controllers/lease-length.ts";
import { becomeHeard, type ContactSettings } from "../../controllers/node-contact.ts";
import { formatLevel, tooOld } from "../../formats/format-standing.ts";
import { floatingParts } from "../../reconcile/floating-addresses.ts";
import { ingressNetwork, servesRoutes } from "../../reconcile/ingress-nodes.ts";
import { accept, type Decision, unchangedSince } from "../../release/refusal.ts";
import { specOfTask } from "../../release/spec-of-task.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { encode } from "../../state/decode.ts";
import type { Operation as StoreOperation } from "../../store/port.ts";
import { secretReferences } from "../assignment.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { acceptStatuses } from "../task-reports.ts";
import { clusterId } from "./platform.ts";

/** An unchanged report is written again after this: `reportedAt` shall say roughly the truth. */
const UNCHANGED_WRITE_MS = MINUTE_MS;
/** Statuses of one transaction: each takes two conditions of the 128. */
const STATUSES_PER_TXN = 60;

export const reportNode: Handler<"reportNode"> = async (request, context) => {
  const { params, body } = request;
  const cluster = clusterId(context);
  if (body.cluster !== undefined && body.cluster !== cluster) {
    const message = `the agent belongs to cluster ${body.cluster}, this is ${cluster}`;
    throw new ProtocolError("foreign_cluster", message, { cluster, agent: body.cluster });
  }
  if (body.status.name !== params.node) {
    const message = `the report of ${body.status.name} came as that of ${params.node}`;
    throw new ProtocolError("invalid_request", message);
  }
  const { control, clock, settings, state } = context;
  refuseOldAgent(state.view, params.node, body.status);
  // Before the write as well: between both the node is in contact, and its lease must not look as if it were over.
  control.renewLease(params.node);
  await commitDecision(context, request, { route: "reportNode" }, (view) =>
    withStatus(view, body.status, clock.now(), settings),
  );
  context.control.renewLease(params.node);
  return { cluster, leaseMs: leaseMsOf(context), protocol: PROTOCOL_VERSION };
};

/**
 * The node as reported; it joins with its first report. One that was silent is in contact with the same write:
 * what its agent lists after it shows every copy that was given up before, and none is given up after it.
 */
function withStatus(
  view: ClusterView,
  status: NodeStatus,
  now: number,
  settings: ContactSettings,
): Decision<NodeStatus> {
  const nodeKey = keys.node(status.name);
  const statusKey = keys.nodeStatus(status.name);
  const node = view.nodes.get(nodeKey);
  const known = view.nodeStatuses.get(statusKey);
  const operations: StoreOperation[] = [];
  if (node === undefined) {
    const joined: Node = {
      name: status.name,
      labels: {},
      availability: "active",
      joinedAt: now,
      contact: "up",
      contactChangedAt: now,
    };
    operations.push({ kind: "put", key: nodeKey, value: encode(joined) });
  } else if (node.value.contact === "down") {
    const heard = becomeHeard(node.value, now, settings);
    operations.push({ kind: "put", key: nodeKey, value: encode(heard) });
  }
  if (known === undefined || !isSameReport(known.value, status)) {
    operations.push({ kind: "put", key: statusKey, value: encode(status) });
  }
  return accept(
    status,
    [unchangedSince(nodeKey, node?.revision), unchangedSince(statusKey, known?.revision)],
    operations,
  );
}

function isSameReport(known: NodeStatus, status: NodeStatus): boolean {
  if (status.reportedAt - known.reportedAt >= UNCHANGED_WRITE_MS) return false;
  return encode({ ...known, reportedAt: 0 }) === encode({ ...status, reportedAt: 0 });
}

/** What the server tells it may be in formats that it cannot read. */
function refuseOldAgent(view: ClusterView, node: string, status: NodeStatus | undefined): void {
  const level = formatLevel(view);
  if (status === undefined || level === FORMAT_LEVEL_FIRST) return;
  const { agentVersion: version, format = FORMAT_LEVEL_FIRST } = status;
  if (format < level) throw tooOld(level, { who: `the agent of node ${node}`, version, format });
}

function leaseMsOf({ state, settings }: ApiContext): number {
  return leaseMsFor(state.view.nodes.size, settings);
}

export const renewLease: Handler<"renewLease"> = ({ params }, context) => {
  const { view } = context.state;
  refuseOldAgent(view, params.node, view.nodeStatuses.get(keys.nodeStatus(params.node))?.value);
  if (view.nodes.get(keys.node(params.node)) === undefined) {
    // The agent answers this with a full report, by which it joins (again).
    throw new ProtocolError("not_found", `there is no node ${params.node}`);
  }
  context.control.renewLease(params.node);
  return { leaseMs: leaseMsOf(context), ...floatingOf(context.state.view, params.node) };
};

export const reportTasks: Handler<"reportTasks"> = async (request, context) => {
  const { params, body } = request;
  context.control.renewLease(params.node);
  const stop: string[] = [];
  for (let start = 0; start < body.statuses.length; start += STATUSES_PER_TXN) {
    const statuses = body.statuses.slice(start, start + STATUSES_PER_TXN);
    const answered = await commitDecision(context, request, { route: "reportTasks" }, (view) =>
      acceptStatuses(view, params.node, statuses, context.log),
    );
    stop.push(...answered);
  }
  return { stop, ...floatingOf(context.state.view, params.node) };
};

/** What renews the lease says it: nothing costs nothing. */
function floatingOf(view: ClusterView, node: string): { readonly floating?: FloatingPart[] } {
  const floating = floatingParts(view, node);
  return floating.length === 0 ? {} : { floating };
}

const FINISHED: ReadonlySet<string> = new Set(["done", "failed"]);

export const reportOperation: Handler<"reportOperation"> = (request, context) => {
  const { params, body } = request;
  return commitDecision(context, request, { route: "reportOperation" }, (view) => {
    const key = keys.operation(params.node, params.operation);
    const known = view.operations.get(key);
    if (known === undefined) {
      throw new ProtocolError("not_found", `there is no operation ${params.operation}`);
    }
    // A repeated report of one that has ended changes nothing.
    if (FINISHED.has(known.value.state)) return accept(known.value, [], []);
    const value = { ...known.value, ...body, updatedAt: context.clock.now() };
    const put = { kind: "put", key, value: encode(value) } as const;
    return accept(value, [unchangedSince(key, known.revision)], [put]);
  });
};

export const getTaskSecrets: Handler<"getTaskSecrets"> = async ({ params, signal }, context) => {
  const { view } = context.state;
  const [task] = view.tasks.by("id", params.task);
  const isOwn = task?.value.node === params.node;
  if (task === undefined || !(isOwn || answersFor(view, task.value, params.node))) {
    throw new ProtocolError("not_found", `node ${params.node} has no task ${params.task}`);
  }
  // The spec by which the task runs now: routes change without a new container, and their users with them.
  const found = specOfTask(view, task.value);
  const release = found?.release;
  const spec = found?.service.spec;
  const atTheDoor = () => secretsOfRoutes(spec?.routes ?? []).map((name) => ({ name }));
  const wanted = isOwn && spec !== undefined ? secretReferences(spec) : atTheDoor();
  const contents: Record<string, string> = {};
  for (const { name } of wanted) {
    const version = release?.secrets[name]?.version;
    if (version === undefined) continue;
    contents[name] = await contentOf(context, keys.secret(task.value, name, version), signal);
  }
  return contents;
};

/** Of a task elsewhere a node that answers its routes may know who may pass them, and nothing else. */
function answersFor(view: ClusterView, task: Task, node: string): boolean {
  const release = specOfTask(view, task)?.release;
  const network = release && ingressNetwork(view, release, task.service);
  return network !== undefined && servesRoutes(view, network, node) === true;
}

async function contentOf(context: ApiContext, key: string, signal: AbortSignal): Promise<string> {
  const { entry } = await context.store.get(key, { signal });
  if (entry === undefined) {
    throw new ProtocolError("internal", "a secret that a release refers to is missing", { key });
  }
  return Buffer.from(context.secrets.open(entry.value, key)).toString("base64");
}

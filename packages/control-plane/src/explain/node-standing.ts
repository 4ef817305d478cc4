/** A node as a person asks about one: its copies, and for each what it waits for and what would free it. */

import { formatDuration } from "@berth/base";
import {
  type Fence,
  keys,
  type Node,
  type NodeStanding,
  type ServiceScope,
  serviceKey,
  stackKey,
  type Task,
  type Wait,
} from "@berth/protocol";
import { leaseMsFor } from "../controllers/lease-length.ts";
import { fencedBy, liveTasks } from "../reconcile/fenced.ts";
import { exclusiveReason } from "../release/exclusive.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { placesElsewhere } from "./places-elsewhere.ts";

/** Services of which is asked what they wait for; a node with more says of the others that they move. */
const SERVICES_EXPLAINED_MAX = 50;

export interface NodeQuestion {
  readonly view: ClusterView;
  readonly settings: Pick<
    ControlPlaneSettings,
    "leaseMs" | "leaseRenewalsPerSecondMax" | "defaultRequests"
  >;
  readonly now: number;
  readonly hasFenceHook: boolean;
  /** Also where each copy that may move would go. */
  readonly elsewhere: boolean;
  /** What a service waits for, as a controller would find it now. */
  readonly waitsOf: (scope: ServiceScope) => readonly Wait[];
}

/**
 * Cost: O(tasks of the node), and one evaluation for each service with a copy that is to move; with `elsewhere`
 * that of a plan for them in the whole cluster.
 * `undefined` when there is no such node.
 */
export function nodeStanding(question: NodeQuestion, name: string): NodeStanding | undefined {
  const { view, settings } = question;
  const node = view.nodes.get(keys.node(name))?.value;
  if (node === undefined) return undefined;
  const status = view.nodeStatuses.get(keys.nodeStatus(name))?.value;
  const member = view.members.get(keys.member(name))?.value;
  const explain = explainer(question);
  const { now, hasFenceHook } = question;
  const copies = liveTasks(view, name).map((task) =>
    copyStanding(view, { node, task, now, hasFenceHook }, explain),
  );
  return {
    node,
    ...(status === undefined ? {} : { status }),
    ...(member === undefined ? {} : { member: memberView(member) }),
    leaseMs: leaseMsFor(view.nodes.size, settings),
    fenceHook: hasFenceHook,
    copies: question.elsewhere ? withPlaces(question, name, copies) : copies,
  };
}

/** The copies with the places that those which may move would find. */
function withPlaces(
  { view, settings }: NodeQuestion,
  node: string,
  copies: NodeStanding["copies"],
): NodeStanding["copies"] {
  const staying = new Set(copies.flatMap(({ task, stays }) => (stays === undefined ? [] : [task])));
  const tasks = liveTasks(view, node);
  // A pod stays as a whole.
  const pods = new Set(tasks.flatMap((task) => (staying.has(task.id) ? [podOf(task)] : [])));
  const movable = tasks.filter((task) => !pods.has(podOf(task)));
  const places = placesElsewhere(view, node, movable, settings);
  return copies.map((copy) => {
    const elsewhere = places.get(copy.task);
    return elsewhere === undefined ? copy : { ...copy, elsewhere };
  });
}

function podOf({ id, podTask }: Task): string {
  return podTask ?? id;
}

type Explain = (task: Task) => string | undefined;

/** What keeps the copy of a task from being replaced, in the words of its service; each service is asked once. */
function explainer({ waitsOf }: NodeQuestion): Explain {
  const known = new Map<string, readonly Wait[]>();
  return (task) => {
    const key = serviceKey(task);
    let waits = known.get(key);
    if (waits === undefined) {
      if (known.size >= SERVICES_EXPLAINED_MAX) return undefined;
      waits = waitsOf(task);
      known.set(key, waits);
    }
    const own = waits.find(({ slot }) => slot === task.slot);
    return (own ?? waits.find(({ slot }) => slot === undefined) ?? waits[0])?.message;
  };
}

function memberView({ joinedAt, address, notAfter }: NonNullable<NodeStanding["member"]>) {
  return { joinedAt, address, notAfter };
}

/** What is asked about one copy. */
interface CopyQuestion {
  readonly node: Node;
  readonly task: Task;
  readonly now: number;
  readonly hasFenceHook: boolean;
}

function copyStanding(
  view: ClusterView,
  question: CopyQuestion,
  explain: Explain,
): NodeStanding["copies"][number] {
  const { task } = question;
  const { project, environment, stack, service, slot, id } = task;
  const stays = homeOf(view, task);
  const bound = stays ?? aloneBecause(view, task);
  const waits = waitOf({ ...question, bound, stays }, explain);
  return {
    ...{ project, environment, task: id, copy: `${stack}/${service}-${slot}` },
    state: statusOf(view, id)?.state ?? "assigned",
    ...(bound === undefined ? {} : { bound }),
    ...(stays === undefined ? {} : { stays }),
    ...(waits === undefined ? {} : { waits }),
  };
}

/** The volume that binds the copy to its node, whatever the node does. */
function homeOf(view: ClusterView, task: Task): string | undefined {
  const home = task.volumes.find(({ engineName }) => {
    const [volume] = view.volumes.by("engineName", engineName);
    return volume?.value.node !== undefined;
  });
  return home === undefined ? undefined : `volume ${home.volume} lies on ${task.node}`;
}

/** Why the copy cannot be started elsewhere while this node may still run it; `undefined` for a free one. */
function aloneBecause(view: ClusterView, task: Task): string | undefined {
  if (!task.exclusive) return undefined;
  const release = view.releases
    .by("stack", stackKey(task))
    .find(({ value }) => value.number === task.release);
  const reason = release && exclusiveReason(release.value, task.service);
  return reason?.text ?? "only one copy may run at a time";
}

function waitOf(
  copy: CopyQuestion & {
    readonly bound: string | undefined;
    readonly stays: string | undefined;
  },
  explain: Explain,
): string | undefined {
  const { node, task, bound, stays } = copy;
  const because = (words: string) => {
    const why = explain(task);
    return why === undefined ? words : `${words}: ${why}`;
  };
  if (node.contact === "down") {
    if (node.evictionPausedUntil !== undefined && node.fence?.state !== "done") {
      const left = formatDuration(Math.max(0, node.evictionPausedUntil - copy.now));
      return `waits: too many nodes are silent at once, nothing is moved for ${left} more`;
    }
    if (stays !== undefined) return `waits until ${node.name} is back: ${stays}`;
    if (bound === undefined || fencedBy(node, task) !== undefined) {
      return because("is replaced on another node");
    }
    return `waits (${bound}) until ${node.name} is back, or ${freedBy(copy).join(", or ")}`;
  }
  if (node.availability !== "draining") return undefined;
  if (stays !== undefined) return `stays: ${stays}`;
  if (task.desired === "stopped") return "is about to leave";
  return because("moves to another node");
}

/** What would say that a copy which only one may run of is dead with its node. */
function freedBy({ node, task, now, hasFenceHook }: CopyQuestion): string[] {
  const { fence, name, contactChangedAt } = node;
  const deadlineMs = task.isolation && contactChangedAt + task.isolation.waitMs - now;
  return [
    hasFenceHook ? `the fence hook ${hookWords(fence, now)}` : undefined,
    deadlineMs === undefined
      ? undefined
      : `its agent has ended it, which is sure in ${formatDuration(Math.max(0, deadlineMs))}`,
    `a person says that the host is dead: berth node fenced ${name}`,
  ].filter((words) => words !== undefined);
}

function hookWords(fence: Fence | undefined, now: number): string {
  if (fence === undefined) return "succeeds";
  if (fence.state === "running") return `succeeds (it runs for ${formatDuration(now - fence.at)})`;
  const again = formatDuration(Math.max(0, (fence.nextAttemptAt ?? now) - now));
  return `succeeds (tried ${fence.attempts} times, again in ${again}; last: ${fence.message ?? "no words"})`;
}

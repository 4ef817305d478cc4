/**
 * The scheduler's model of the cluster, kept from one plan to the next: a plan pays for what has changed since the
 * last one instead of reading every node and every task.
 *
 * It answers as a model that is made anew from the same view (the scheduler's own property, and a test here). A
 * change of a node other than its readiness makes it anew. Cost: O(changed) a plan, O(nodes + tasks) where it is made
 * anew; memory O(nodes + tasks).
 */

import { isFinal, keys, type NodeStatus, type Task, type TaskStatus } from "@berth/protocol";
import {
  type NodeModel,
  type RunningTask,
  type ScheduleOptions,
  type Strategy,
  Transaction,
} from "@berth/scheduler";
import type { ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { clusterModel, sameKinds, taskModel } from "./cluster-model.ts";
import { type DeviceKinds, deviceKinds } from "./countables.ts";
import { nodeModel } from "./node-model.ts";

/** Changed tasks that are remembered: more are read no slower than all there are. */
const CHANGED_MAX = 20_000;

/** A model with what it is made of, and what has changed since it was up to date. */
interface Standing {
  readonly transaction: Transaction;
  readonly nodes: Map<string, NodeModel>;
  readonly tasks: Map<string, RunningTask>;
  readonly changedTasks: Set<string>;
  readonly changedNodes: Set<string>;
  /** Kinds of devices that were given out one by one then. */
  readonly kinds: DeviceKinds;
}

export class StandingCluster {
  readonly #view: ClusterView;
  readonly #options: (strategy: Strategy) => ScheduleOptions;
  /** By strategy, those that were asked for. */
  readonly #models = new Map<Strategy, Standing>();

  constructor(
    state: Pick<ClusterState, "view" | "onChange">,
    options: (strategy: Strategy) => ScheduleOptions,
  ) {
    this.#view = state.view;
    this.#options = options;
    state.onChange((batch) => this.#note(batch));
  }

  /**
   * Runs `trial` on the cluster as the view shows it, with tasks that are on their way into the store; takes back
   * what it does.
   */
  whatIf<T>(
    strategy: Strategy,
    inFlight: readonly Task[],
    trial: (transaction: Transaction) => T,
  ): T {
    const { transaction, kinds } = this.#current(strategy);
    return transaction.whatIf(() => {
      for (const task of inFlight) {
        // One that shows in the view is in the model, or has ended and takes no room.
        const isShown = this.#view.tasks.by("id", task.id).length > 0;
        if (!isShown) transaction.apply(taskModel(this.#view, task, kinds));
      }
      return trial(transaction);
    });
  }

  #note({ changes }: ChangeBatch): void {
    for (const [strategy, { changedTasks, changedNodes }] of this.#models) {
      for (const { kind, entity, previous } of changes) {
        const value = entity?.value ?? previous?.value;
        if (kind === "task") changedTasks.add((value as Task).id);
        else if (kind === "status") changedTasks.add((value as TaskStatus).task);
        else if (kind === "node" || kind === "node-status") {
          changedNodes.add((value as { readonly name: string }).name);
          if (kind !== "node-status") continue;
          const before = previous?.value as NodeStatus | undefined;
          for (const id of remeasured(before, entity?.value as NodeStatus | undefined)) {
            changedTasks.add(id);
          }
        }
      }
      if (changedTasks.size > CHANGED_MAX) this.#models.delete(strategy);
    }
  }

  #current(strategy: Strategy): Standing {
    const standing = this.#models.get(strategy);
    const kinds = deviceKinds(this.#view);
    const isKnown = standing !== undefined && sameKinds(standing.kinds, kinds);
    if (!isKnown || !this.#followNodes(standing)) return this.#make(strategy);
    for (const id of standing.changedTasks) this.#followTask(standing, id);
    standing.changedTasks.clear();
    standing.transaction.settle();
    return standing;
  }

  #make(strategy: Strategy): Standing {
    const model = clusterModel(this.#view, []);
    const standing = {
      transaction: new Transaction(model, this.#options(strategy)),
      nodes: new Map(model.nodes.map((node) => [node.id, node])),
      tasks: new Map(model.tasks.map((task) => [task.id, task])),
      changedTasks: new Set<string>(),
      changedNodes: new Set<string>(),
      kinds: deviceKinds(this.#view),
    };
    this.#models.set(strategy, standing);
    return standing;
  }

  /** False when the nodes are others than those that the model was made of. */
  #followNodes({ transaction, nodes, changedNodes, kinds }: Standing): boolean {
    for (const name of changedNodes) {
      const known = nodes.get(name);
      const node = this.#view.nodes.get(keys.node(name))?.value;
      if (node === undefined && known === undefined) continue;
      if (node === undefined || known === undefined) return false;
      const status = this.#view.nodeStatuses.get(keys.nodeStatus(name))?.value;
      const model = nodeModel(node, status, kinds);
      if (standingPart(model) !== standingPart(known)) return false;
      const { ready, draining } = model;
      if (ready !== known.ready || draining !== known.draining) {
        transaction.turn(name, { ready, draining });
      }
      nodes.set(name, model);
    }
    changedNodes.clear();
    return true;
  }

  #followTask({ transaction, tasks, kinds }: Standing, id: string): void {
    const known = tasks.get(id);
    const [entity] = this.#view.tasks.by("id", id);
    const status = entity && statusOf(this.#view, id);
    const isLive = entity !== undefined && !(status !== undefined && isFinal(status.state));
    const model = isLive ? taskModel(this.#view, entity.value, kinds) : undefined;
    // The model of a task is made once for each version of it.
    if (model === known) return;
    if (known !== undefined) transaction.release(id);
    if (model === undefined) tasks.delete(id);
    else {
      transaction.apply(model);
      tasks.set(id, model);
    }
  }
}

/** Tasks of the node whose use or devices are told otherwise than before. */
function remeasured(before: NodeStatus | undefined, now: NodeStatus | undefined): Set<string> {
  const [old, young] = [before?.use ?? {}, now?.use ?? {}];
  const ids = new Set([...Object.keys(old), ...Object.keys(young)]);
  for (const id of ids) {
    const [one, two] = [old[id], young[id]];
    if (one?.cpuMillis === two?.cpuMillis && one?.memoryBytes === two?.memoryBytes) ids.delete(id);
  }
  return ids;
}

/** What of a node cannot be changed in a model that stands. */
function standingPart({ ready: _ready, draining: _draining, ...rest }: NodeModel): string {
  return JSON.stringify(rest);
}

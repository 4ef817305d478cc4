/**
 * A cluster in which one can try things out: place, release, cordon, look, and take it all back.
 *
 * One transaction reads the cluster once (O(nodes + tasks)) and then pays for changes only, so whoever asks
 * several questions about one snapshot opens one and asks them all. It never changes the model that it
 * was made from. `undo` restores exactly.
 */

import { assert } from "@berth/base";
import { ClusterState, compareText, type Mark } from "./cluster-state.ts";
import { chooseDevices } from "./devices.ts";
import type { Subject } from "./filter.ts";
import { type Held, heldTask } from "./held.ts";
import type { Ask, ClusterModel, RunningTask } from "./model.ts";
import { lacksRoomOnly, nearestNode } from "./nearest.ts";
import type { ScheduleOptions } from "./options.ts";
import { allFindings, prepareChecks, type RuleFinding } from "./pipeline.ts";
import { type Site, siteOf } from "./placing.ts";
import type { SchedulePlan } from "./plan.ts";
import { needsOf } from "./resources.ts";
import { scheduleInto } from "./scheduling.ts";

export class Transaction {
  readonly #state: ClusterState;
  readonly #options: ScheduleOptions;
  readonly #site: Site;

  constructor(cluster: ClusterModel, options: ScheduleOptions) {
    assert(Number.isInteger(options.seed), "the seed is not an integer");
    this.#state = new ClusterState(cluster, options);
    this.#options = options;
    this.#site = siteOf(this.#state, options);
  }

  /** Decides the asks and keeps what it places. */
  schedule(asks: readonly Ask[]): SchedulePlan {
    return scheduleInto(this.#site, asks);
  }

  /**
   * Everything that speaks against the ask on that node, in the order of the rules; empty when it fits.
   * For verifying a plan against a newer cluster. Pods and gangs are not looked at as a whole.
   */
  verify(ask: Ask, nodeId: string): readonly RuleFinding[] {
    const node = this.#state.node(nodeId);
    if (node === undefined) return [{ rule: "ready", about: "node" }];
    return allFindings(prepareChecks(this.#subject(ask)), node);
  }

  /** Does nothing but room stand between the ask and the node, and would an empty one like it have that? */
  lacksRoomOnly(ask: Ask, nodeId: string): boolean {
    const node = this.#state.node(nodeId);
    return node !== undefined && lacksRoomOnly(this.#subject(ask), node);
  }

  /** The node where the least room is missing for the ask, and nothing else (`nearest.ts`); `undefined`: there is none. */
  nearest(ask: Ask, except: ReadonlySet<string>): string | undefined {
    return nearestNode(this.#subject(ask), except)?.model.id;
  }

  #subject(ask: Ask): Subject {
    const needs = needsOf(ask.requests, this.#options.defaults);
    return { ask, needs, cluster: this.#state, companions: new Set() };
  }

  /** Adds a task as it is, without asking any rule. Its id is new. */
  apply(task: RunningTask): void {
    const needs = needsOf(task.requests, this.#options.defaults);
    const free = this.#state.node(task.node)?.devices ?? [];
    const devices = task.devices ?? chooseDevices(free, needs.devices) ?? [];
    const { leaving = false, node } = task;
    this.#state.add(heldTask({ claims: task, needs, node, devices, leaving }));
  }

  /** Removes a task; false when there is none of that id. */
  release(taskId: string): boolean {
    return this.#state.remove(taskId) !== undefined;
  }

  /** Changes a node's readiness or draining; false when there is no such node. */
  turn(nodeId: string, turn: { readonly ready?: boolean; readonly draining?: boolean }): boolean {
    return this.#state.turn(nodeId, turn);
  }

  /** Nodes that were looked at by asks which need not look at all of them: for measuring. */
  get looks(): number {
    return this.#site.turns.looks;
  }

  /** A point to return to. */
  mark(): Mark {
    return this.#state.mark();
  }

  /** Takes back everything since `mark`, which becomes the present; later marks are void. */
  undo(mark: Mark): void {
    this.#state.undoTo(mark);
  }

  /** What has happened is the present: it cannot be taken back any more, and takes no memory. Marks are void. */
  settle(): void {
    this.#state.settle();
  }

  /** Runs `trial` on this transaction, takes everything back and returns what it found. */
  whatIf<T>(trial: (transaction: Transaction) => T): T {
    const mark = this.mark();
    try {
      return trial(this);
    } finally {
      this.undo(mark);
    }
  }

  /** The cluster as it is now, by id: what a later call or a test compares. */
  cluster(): ClusterModel {
    const nodes = this.#state.nodes.map(({ model, ready, draining }) => ({
      ...model,
      ready,
      draining,
    }));
    const tasks = [...this.#state.tasks().values()]
      .sort((a, b) => compareText(a.claims.id, b.claims.id))
      .map(runningTask);
    return { nodes, tasks };
  }
}

/** The claims of a task, without what only an ask has. */
function runningTask({ claims, node, devices, leaving }: Held): RunningTask {
  const { id, service, slot, requests, ports, volumes, addresses, antiAffinities, pod } = claims;
  const optional = { slot, ports, volumes, addresses, antiAffinities, pod };
  const { priority, limits, measured } = claims;
  const stated = Object.entries({ ...optional, priority, limits, measured }).filter(
    ([, value]) => value !== undefined,
  );
  return { id, service, requests, ...Object.fromEntries(stated), node, devices, leaving };
}

/** Decides where the asks go. Pure: same cluster, asks and options, same plan, byte for byte. */
export function schedule(
  cluster: ClusterModel,
  asks: readonly Ask[],
  options: ScheduleOptions,
): SchedulePlan {
  return new Transaction(cluster, options).schedule(asks);
}

/**
 * The cluster in typed arrays: what is free on each node, and which tasks are where.
 *
 * Nodes stand by rank, so that the first of several equal ones is the one that the seed has put first.
 * Tasks hang in two chains of numbers, of their node and of their service, so that a million of them
 * take some forty bytes each. Every change goes into a log that readers of cursors and scores catch up
 * with, and into a second one by which it is undone.
 * Cost: O(resources of the task) to add or remove one, and O(log) of nothing else.
 */

import { assert } from "@berth/base";
import { ClusterState, compareText } from "../cluster-state.ts";
import type { Ask, DeviceAssignment, NodeModel, Requests, Strategy } from "../model.ts";
import { type NodeState, nodeState } from "../node-state.ts";
import { rankOf } from "../rank.ts";
import { ResourceColumns } from "../resource-columns.ts";
import { allocatable } from "../resources.ts";
import { ChangeLog } from "./change-log.ts";
import { DenseDevices } from "./devices.ts";
import { DomainCounts } from "./domain-counts.ts";
import { GrowingInts } from "./growing.ts";
import { Interner } from "./interner.ts";
import { Levels, NODE_LEVEL } from "./levels.ts";
import { PairCounts } from "./pair-counts.ts";
import { isSameShape, type Shape, type Standing, shapeKey, shapeOf } from "./shape.ts";

/** No node, no task. */
export const NONE = -1;

const BUILT_IN = ["cpu", "memory", "disk", "pids"] as const;

export interface DenseOptions {
  readonly seed: number;
  readonly strategy: Strategy;
  /** Nodes stand by size, the largest first, and by rank only where they are equal: for the fewest hosts. */
  readonly largestFirst?: boolean;
}

export class DenseCluster {
  /** By rank, then id. */
  readonly nodes: readonly NodeState[];
  readonly options: DenseOptions;
  readonly resources = new Interner();
  readonly services = new Interner();
  readonly levels: Levels;
  /** By node and resource: `node * width + resource`. */
  readonly free: Float64Array;
  readonly total: Float64Array;
  /** 1 ÷ `total`; 0 where there is nothing or no limit. */
  readonly perUnit: Float64Array;
  /** Resources of a node, named ones included. */
  readonly width: number;
  readonly tasksOn: Int32Array;
  readonly maxTasks: Float64Array;
  /** 1 where new tasks may go. */
  readonly usable: Uint8Array;
  readonly devices: DenseDevices;
  readonly changes: ChangeLog;
  /** Nodes on which room came free, or which may be used again. */
  readonly releases: ChangeLog;
  /** Copies by service and node. */
  readonly copies: PairCounts;
  readonly domains: DomainCounts;
  readonly #byId = new Map<string, number>();
  readonly #shapes = new Map<string, Shape>();
  /** The last ask that held these requests. */
  readonly #byRequests = new WeakMap<Requests, { readonly ask: Ask; readonly shape: Shape }>();
  readonly #nowhere: ClusterState;
  readonly #standing = new Map<string, Standing>();
  readonly #rooms = new Interner();
  readonly #nodeOf = new GrowingInts(NONE);
  readonly #serviceOf = new GrowingInts(NONE);
  readonly #shapeOf: Shape[] = [];
  readonly #devicesOf = new Map<number, readonly DeviceAssignment[]>();
  /** Chains of the tasks of a node and of a service; heads by node and service. */
  readonly #onNode: Chain;
  readonly #ofService: Chain;
  readonly #freeTasks: number[] = [];
  #tasks = 0;

  constructor(models: readonly NodeModel[], options: DenseOptions) {
    this.options = options;
    const columns = new ResourceColumns();
    const sizes = options.largestFirst === true ? sizesOf(models) : models.map(() => 0);
    this.nodes = models
      .map((model, index) => ({
        model,
        size: sizes[index] ?? 0,
        rank: rankOf(options.seed, model.id),
      }))
      .sort((a, b) => b.size - a.size || a.rank - b.rank || compareText(a.model.id, b.model.id))
      .map(({ model }, place) => nodeState(model, place, columns));
    const count = this.nodes.length;
    for (const name of BUILT_IN) this.resources.idOf(name);
    const totals = this.nodes.map(({ model }) => allocatable(model));
    for (const total of totals) for (const name of total.keys()) this.resources.idOf(name);
    this.width = this.resources.size;
    this.total = new Float64Array(count * this.width);
    this.nodes.forEach(({ model }, node) => {
      assert(!this.#byId.has(model.id), `node ${model.id} is there twice`);
      this.#byId.set(model.id, node);
      for (const [name, amount] of totals[node] ?? [])
        this.total[node * this.width + this.resources.idOf(name)] = amount;
    });
    this.free = Float64Array.from(this.total);
    this.perUnit = this.total.map((all) => (all === 0 ? 0 : 1 / all));
    this.tasksOn = new Int32Array(count);
    this.maxTasks = Float64Array.from(
      this.nodes,
      ({ model }) => model.maxTasks ?? Number.POSITIVE_INFINITY,
    );
    this.usable = Uint8Array.from(this.nodes, ({ ready, draining }) =>
      ready && !draining ? 1 : 0,
    );
    const states = this.nodes.map(({ model }) => model);
    this.devices = new DenseDevices(states);
    this.levels = new Levels(states);
    this.changes = new ChangeLog(count);
    this.releases = new ChangeLog(count);
    this.copies = new PairCounts(count);
    this.domains = new DomainCounts(this.levels);
    this.#onNode = new Chain();
    this.#ofService = new Chain();
    this.#nowhere = new ClusterState(
      { nodes: [], tasks: [] },
      { seed: options.seed, defaults: {} },
    );
  }

  get size(): number {
    return this.nodes.length;
  }

  nodeOfId(id: string): number {
    return this.#byId.get(id) ?? NONE;
  }

  /** The shape of an ask. O(1) where asks share their requests, O(length of the ask) else, O(nodes) for a new one. */
  shape(ask: Ask): Shape {
    const twin = this.#byRequests.get(ask.requests);
    if (twin !== undefined && isSameShape(twin.ask, ask)) return twin.shape;
    const shape = this.#shapeByText(ask);
    this.#byRequests.set(ask.requests, { ask, shape });
    return shape;
  }

  #shapeByText(ask: Ask): Shape {
    const key = shapeKey(ask);
    const known = this.#shapes.get(key);
    if (known !== undefined) return known;
    const { nodes, resources, services, levels } = this;
    const site = {
      nodes,
      resources,
      services,
      levels,
      strategy: this.options.strategy,
      nowhere: this.#nowhere,
      standing: this.#standing,
      rooms: this.#rooms,
    };
    const shape = shapeOf(ask, this.#shapes.size, site);
    this.#shapes.set(key, shape);
    return shape;
  }

  get shapes(): number {
    return this.#shapes.size;
  }

  /** Is there room on the node, by resources, standing rules and number of tasks? Devices apart. */
  hasRoom(shape: Shape, node: number): boolean {
    if (this.usable[node] === 0 || shape.standing[node] !== 0) return false;
    const { dims, amounts } = shape;
    const base = node * this.width;
    for (let at = 0; at < dims.length; at++) {
      const free = this.free[base + (dims[at] ?? 0)] ?? 0;
      // What lies beyond the node's resources is a resource that no node has.
      if ((dims[at] ?? 0) >= this.width || free < (amounts[at] ?? 0)) return false;
    }
    return (this.tasksOn[node] ?? 0) < (this.maxTasks[node] ?? 0);
  }

  /** Puts a copy of the service on the node and returns the number of its task. The caller has checked. */
  add(
    shape: Shape,
    service: number,
    node: number,
    devices: readonly DeviceAssignment[] = [],
  ): number {
    const task = this.#freeTasks.pop() ?? this.#tasks++;
    this.#put(task, shape, service, node, devices);
    return task;
  }

  /** Takes the task away; its number may be given again. */
  remove(task: number): void {
    const node = this.nodeOf(task);
    const shape = this.shapeOfTask(task);
    const service = this.serviceOf(task);
    this.#book(shape, node, -1);
    this.#count(service, node, -1);
    const devices = this.#devicesOf.get(task);
    if (devices !== undefined) {
      this.devices.book(node, devices, -1);
      this.#devicesOf.delete(task);
    }
    this.#onNode.remove(node, task);
    this.#ofService.remove(service, task);
    this.#nodeOf.set(task, NONE);
    this.#freeTasks.push(task);
    this.changes.note(node);
    this.releases.note(node);
  }

  turn(node: number, usable: boolean): void {
    this.usable[node] = usable ? 1 : 0;
    this.changes.note(node);
    if (usable) this.releases.note(node);
  }

  nodeOf(task: number): number {
    return this.#nodeOf.at(task);
  }

  serviceOf(task: number): number {
    return this.#serviceOf.at(task);
  }

  shapeOfTask(task: number): Shape {
    const shape = this.#shapeOf[task];
    assert(shape !== undefined, "no such task");
    return shape;
  }

  devicesOfTask(task: number): readonly DeviceAssignment[] {
    return this.#devicesOf.get(task) ?? [];
  }

  /** The tasks of a node: the first, then `nextOnNode`, until `NONE`. */
  firstOnNode(node: number): number {
    return this.#onNode.first(node);
  }

  nextOnNode(task: number): number {
    return this.#onNode.next(task);
  }

  firstOfService(service: number): number {
    return this.#ofService.first(service);
  }

  nextOfService(task: number): number {
    return this.#ofService.next(task);
  }

  /** Copies of the service by domain of the level, kept from now on. O(copies) the first time. */
  domainCounts(service: number, level: number): Int32Array {
    return this.domains.of(service, level, (count) => {
      for (
        let task = this.firstOfService(service);
        task !== NONE;
        task = this.nextOfService(task)
      ) {
        count(this.nodeOf(task));
      }
    });
  }

  /** Copies in the domain in which the node lies; 0 where it lies in none. */
  copiesNear(service: number, level: number, node: number): number {
    if (level === NODE_LEVEL) return this.copies.count(service, node);
    const domain = this.levels.at(level).domainOf[node] ?? NONE;
    return domain === NONE ? 0 : (this.domainCounts(service, level)[domain] ?? 0);
  }

  #put(
    task: number,
    shape: Shape,
    service: number,
    node: number,
    devices: readonly DeviceAssignment[],
  ): void {
    this.#nodeOf.set(task, node);
    this.#serviceOf.set(task, service);
    this.#shapeOf[task] = shape;
    this.#book(shape, node, 1);
    this.#count(service, node, 1);
    if (devices.length > 0) {
      this.devices.book(node, devices, 1);
      this.#devicesOf.set(task, devices);
    }
    this.#onNode.add(node, task);
    this.#ofService.add(service, task);
    this.changes.note(node);
  }

  #book({ dims, amounts }: Shape, node: number, sign: 1 | -1): void {
    const base = node * this.width;
    for (let at = 0; at < dims.length; at++) {
      const index = base + (dims[at] ?? 0);
      this.free[index] = (this.free[index] ?? 0) - sign * (amounts[at] ?? 0);
    }
    this.tasksOn[node] = (this.tasksOn[node] ?? 0) + sign;
  }

  #count(service: number, node: number, by: 1 | -1): void {
    this.copies.add(service, node, by);
    this.domains.add(service, node, by);
  }
}

/** Sums over what is limited, in units of what an average node has. */
function sizesOf(models: readonly NodeModel[]): readonly number[] {
  const totals = models.map((model) => allocatable(model));
  const sums = new Map<string, number>();
  for (const total of totals) {
    for (const [name, amount] of total) sums.set(name, (sums.get(name) ?? 0) + amount);
  }
  return totals.map((total) => {
    let size = 0;
    for (const [name, amount] of total) {
      const sum = sums.get(name) ?? 0;
      if (sum > 0 && sum !== Number.POSITIVE_INFINITY) size += amount / sum;
    }
    return size;
  });
}

/** Doubly linked lists of tasks by owner. */
class Chain {
  readonly #first = new GrowingInts(NONE);
  readonly #next = new GrowingInts(NONE);
  readonly #before = new GrowingInts(NONE);

  first(owner: number): number {
    return this.#first.at(owner);
  }

  next(task: number): number {
    return this.#next.at(task);
  }

  add(owner: number, task: number): void {
    const head = this.#first.at(owner);
    this.#next.set(task, head);
    this.#before.set(task, NONE);
    if (head !== NONE) this.#before.set(head, task);
    this.#first.set(owner, task);
  }

  remove(owner: number, task: number): void {
    const next = this.#next.at(task);
    const before = this.#before.at(task);
    if (before === NONE) this.#first.set(owner, next);
    else this.#next.set(before, next);
    if (next !== NONE) this.#before.set(next, before);
  }
}

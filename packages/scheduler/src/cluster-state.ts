/**
 * The cluster while decisions are made: what is free, who holds what, and a log by which every change is
 * undone.
 *
 * Invariants: the asks of one batch see each other, because each placement is applied before the next is
 * decided; `undoTo(mark)` restores every quantity exactly (sums of whole numbers); nothing here depends on
 * the order of the input: nodes stand by id, and nobody relies on the order of a map.
 * Cost: O(claims of the task) for `add`, `remove` and undoing them; O(nodes + tasks) to read a cluster.
 */

import { assert, present } from "@berth/base";
import { domainReader } from "./attribute.ts";
import { chooseDevices } from "./devices.ts";
import { type ByDomain, DomainCounts } from "./domain-counts.ts";
import { type Held, heldTask } from "./held.ts";
import type { ClusterModel, NodeModel, Requests, RunningTask, ServiceAffinity } from "./model.ts";
import { NodeChanges } from "./node-changes.ts";
import { book, countCopies, NO_PLACE, type NodeState, nodeState } from "./node-state.ts";
import type { ScheduleOptions } from "./options.ts";
import { rankOf } from "./rank.ts";
import { ResourceColumns } from "./resource-columns.ts";
import { needsOf } from "./resources.ts";
import { ServiceTasks } from "./service-tasks.ts";

/** A point in the log to which `undoTo` returns. */
export type Mark = number & { readonly brand: "mark" };

/** A task by itself was added: there are as many of them as tasks. */
type Change =
  | Held
  | { readonly kind: "removed" | "displaced"; readonly held: Held }
  | { readonly kind: "turned"; readonly node: NodeState; readonly before: NodeTurn };

interface NodeTurn {
  readonly ready: boolean;
  readonly draining: boolean;
}

/** How tasks refuse a service: where more than `bearable` tasks of it are in the domain beside them. */
export interface RefusalKind {
  readonly level: string;
  /** -1: they bear none. */
  readonly bearable: number;
  /** Tasks that refuse in this way; 1 or more. */
  readonly tasks: number;
}

const NONE_BEARABLE = -1;

/** Tasks by what they claim; a set that becomes empty is deleted. */
type HeldIndex = Map<string, Set<Held>>;

export class ClusterState {
  /** By id. */
  readonly nodes: readonly NodeState[];
  readonly nodesByPlace: readonly NodeState[];
  /** Places of nodes as they change: bookings, turns and what undoes them. */
  readonly changes: NodeChanges;
  readonly columns = new ResourceColumns();
  readonly #byId: ReadonlyMap<string, NodeState>;
  readonly #tasks = new Map<string, Held>();
  readonly #volumes: HeldIndex = new Map();
  readonly #addresses: HeldIndex = new Map();
  /** For the life of the state, since readers keep the counts. */
  readonly #services = new Map<string, ServiceTasks>();
  #latestService: readonly [string, ServiceTasks] | undefined;
  readonly #pods: HeldIndex = new Map();
  /** Tasks that refuse the neighbourhood of a service, by that service. */
  readonly #avoiders: HeldIndex = new Map();
  /** Tasks that refuse a service, by the service and the way in which they do. */
  readonly #refusing = new Map<string, DomainCounts>();
  /** By the service that is refused. */
  readonly #refusalKinds = new Map<string, Map<string, RefusalKind>>();
  readonly #regions = new Map<string, readonly (readonly NodeState[])[]>();
  readonly #volumeHomes = new Map<string, string>();
  /** Of services whose tasks may not all be displaced. */
  readonly #displaceable: Map<string, number>;
  readonly #log: Change[] = [];

  constructor(
    cluster: ClusterModel,
    options: Pick<ScheduleOptions, "seed" | "defaults" | "preemption">,
  ) {
    this.#displaceable = new Map(Object.entries(options.preemption?.limits ?? {}));
    this.nodesByPlace = cluster.nodes
      .map((model) => ({ model, rank: rankOf(options.seed, model.id) }))
      .sort((a, b) => a.rank - b.rank || compareText(a.model.id, b.model.id))
      .map(({ model }, place) => nodeState(model, place, this.columns));
    this.nodes = [...this.nodesByPlace].sort((a, b) => compareText(a.model.id, b.model.id));
    this.changes = new NodeChanges(this.nodes.length);
    this.#byId = new Map(this.nodes.map((node) => [node.model.id, node]));
    assert(this.#byId.size === this.nodes.length, "two nodes have one id");
    for (const node of this.nodes) {
      for (const key of node.model.volumes) this.#volumeHomes.set(key, node.model.id);
    }
    this.#readTasks(cluster.tasks, options.defaults);
  }

  node(id: string): NodeState | undefined {
    return this.#byId.get(id);
  }

  /** The node whose `place` it is. */
  nodeAt(place: number): NodeState {
    return present(this.nodesByPlace[place], "node");
  }

  task(id: string): Held | undefined {
    return this.#tasks.get(id);
  }

  /** All tasks by id, the order of which carries no meaning. */
  tasks(): ReadonlyMap<string, Held> {
    return this.#tasks;
  }

  volumeUsers(key: string): readonly Held[] {
    return held(this.#volumes, key);
  }

  /** Node on which the volume lies, as the nodes tell it. */
  volumeHome(key: string): string | undefined {
    return this.#volumeHomes.get(key);
  }

  addressHolders(address: string): readonly Held[] {
    return held(this.#addresses, address);
  }

  /** Copies of the service, leaving ones included. */
  serviceTasks(service: string): readonly Held[] {
    return this.#service(service).tasks;
  }

  /** Copies of the service that stay on a node, by the node; holds whatever changes. */
  copiesOf(service: string): (node: NodeState) => number {
    const { copies } = this.#service(service);
    return (node) =>
      node.place === NO_PLACE ? countCopies(node, service) : (copies.get(node.place) ?? 0);
  }

  /** Nodes that hold copies of the service, leaving ones included. */
  nodesOfService(service: string): ReadonlySet<NodeState> {
    const nodes = new Set<NodeState>();
    for (const task of this.#service(service).tasks) {
      const node = this.#byId.get(task.node);
      if (node !== undefined) nodes.add(node);
    }
    return nodes;
  }

  podTasks(pod: string): readonly Held[] {
    return held(this.#pods, pod);
  }

  /** Tasks with an anti-affinity towards the service. */
  avoiders(service: string): readonly Held[] {
    return held(this.#avoiders, service);
  }

  /** The nodes by domain of the level, those outside all domains together; each by place. O(nodes) once. */
  regions(level: string): readonly (readonly NodeState[])[] {
    const known = this.#regions.get(level);
    if (known !== undefined) return known;
    const domain = domainReader(level);
    const made = [...Map.groupBy(this.nodesByPlace, ({ model }) => domain(model)).values()];
    this.#regions.set(level, made);
    return made;
  }

  /** Copies of the service that stay, by domain. */
  copiesByDomain(service: string, level: string): ByDomain {
    return this.#service(service).staying(level);
  }

  /** Tasks of the service, leaving ones included, by domain. */
  tasksByDomain(service: string, level: string): ByDomain {
    return this.#service(service).present(level);
  }

  #service(service: string): ServiceTasks {
    // Copies of one service mostly come one after the other.
    if (this.#latestService?.[0] === service) return this.#latestService[1];
    let tasks = this.#services.get(service);
    if (tasks === undefined) {
      tasks = new ServiceTasks((id) => this.#byId.get(id)?.model);
      this.#services.set(service, tasks);
    }
    this.#latestService = [service, tasks];
    return tasks;
  }

  /** Does any task refuse the neighbourhood of the service? */
  isRefused(service: string): boolean {
    return this.#refusalKinds.has(service);
  }

  /** In which ways tasks refuse the neighbourhood of the service. */
  refusalsOf(service: string): Iterable<RefusalKind> {
    return this.#refusalKinds.get(service)?.values() ?? [];
  }

  /** Tasks that refuse the neighbourhood of the service in that way, by domain. */
  refusalsByDomain(service: string, { level, bearable }: RefusalKind): ByDomain {
    const refusing = () =>
      this.avoiders(service).flatMap((task) => {
        const node = this.#byId.get(task.node);
        const same = refusedBy(task).filter(
          (each) =>
            each.service === service && each.level === level && bearableBy(task, each) === bearable,
        );
        return node === undefined ? [] : same.map(() => node.model);
      });
    const key = refusalKey(service, level, bearable);
    const counts = this.#refusing.get(key) ?? new DomainCounts();
    this.#refusing.set(key, counts);
    return counts.of(level, refusing);
  }

  /** Puts a task on its node. The caller has checked that it may. */
  add(task: Held): void {
    this.#put(task);
    this.#log.push(task);
  }

  /** Takes a task away; `undefined` when there is none of that id. */
  remove(id: string): Held | undefined {
    const task = this.#tasks.get(id);
    if (task === undefined) return undefined;
    this.#take(task);
    this.#log.push({ kind: "removed", held: task });
    return task;
  }

  /** Takes a task away for another one. */
  displace(id: string): void {
    const task = present(this.#tasks.get(id), `task ${id}`);
    this.#take(task);
    this.#countDisplaced(task, 1);
    this.#log.push({ kind: "displaced", held: task });
  }

  /** How many more tasks of the service may be displaced. */
  displaceable(service: string): number {
    return this.#displaceable.get(service) ?? Number.POSITIVE_INFINITY;
  }

  #countDisplaced({ claims: { service } }: Held, sign: 1 | -1): void {
    const left = this.#displaceable.get(service);
    if (left === undefined) return;
    this.#displaceable.set(service, left - sign);
    // Where others of the service run, fewer or more may go now.
    for (const { place } of this.nodesOfService(service)) this.changes.note(place);
  }

  /** Changes readiness and draining of a node; false when there is no such node. */
  turn(id: string, turn: Partial<NodeTurn>): boolean {
    const node = this.#byId.get(id);
    if (node === undefined) return false;
    this.#log.push({
      kind: "turned",
      node,
      before: { ready: node.ready, draining: node.draining },
    });
    node.ready = turn.ready ?? node.ready;
    node.draining = turn.draining ?? node.draining;
    this.changes.note(node.place);
    return true;
  }

  mark(): Mark {
    return this.#log.length as Mark;
  }

  /** What has happened cannot be undone any more, and takes no memory. Marks are void. */
  settle(): void {
    this.#log.length = 0;
  }

  /** Undoes every change since `mark`, the latest first. */
  undoTo(mark: Mark): void {
    assert(mark <= this.#log.length, "the mark lies in a part of the log that was undone");
    while (this.#log.length > mark) {
      const change = present(this.#log.pop(), "change");
      if (!("kind" in change)) this.#take(change);
      else if (change.kind === "turned") {
        Object.assign(change.node, change.before);
        this.changes.note(change.node.place);
      } else {
        this.#put(change.held);
        if (change.kind === "displaced") this.#countDisplaced(change.held, -1);
      }
    }
  }

  /** Tasks by id; those that know their devices first, so that the others choose among the rest. */
  #readTasks(tasks: readonly RunningTask[], defaults: Requests): void {
    const knowing = (task: RunningTask) => (task.devices === undefined ? 1 : 0);
    const sorted = [...tasks].sort((a, b) => knowing(a) - knowing(b) || compareText(a.id, b.id));
    for (const task of sorted) {
      const needs = needsOf(task.requests, defaults);
      const node = this.#byId.get(task.node);
      // A node that lost devices cannot give them any more; the task is counted without.
      const devices = task.devices ?? chooseDevices(node?.devices ?? [], needs.devices) ?? [];
      const { leaving = false } = task;
      this.#put(heldTask({ claims: task, needs, node: task.node, devices, leaving }));
    }
  }

  #put(task: Held): void {
    const { claims } = task;
    const { size } = this.#tasks;
    this.#tasks.set(claims.id, task);
    // The message is made only when it is needed: there are millions of tasks.
    if (this.#tasks.size === size) assert(false, `task ${claims.id} is there twice`);
    if (claims.service === "") assert(false, `task ${claims.id} is of no service`);
    const service = this.#service(claims.service);
    service.add(task);
    this.#index(task, enter);
    this.#account(task, service, 1);
  }

  #take(task: Held): void {
    const { claims } = task;
    this.#tasks.delete(claims.id);
    const service = this.#service(claims.service);
    service.remove(task);
    this.#index(task, leave);
    this.#account(task, service, -1);
  }

  /** Enters the task into the indexes of what it claims, or takes it out of them. */
  #index(task: Held, change: (index: HeldIndex, key: string, task: Held) => void): void {
    const { pod, volumes, addresses, antiAffinities } = task.claims;
    if (pod !== undefined) change(this.#pods, pod, task);
    if (volumes !== undefined) for (const { key } of volumes) change(this.#volumes, key, task);
    if (addresses !== undefined) {
      for (const { address } of addresses) change(this.#addresses, address, task);
    }
    if (antiAffinities !== undefined) {
      for (const anti of antiAffinities) change(this.#avoiders, anti.service, task);
    }
  }

  #account(task: Held, service: ServiceTasks, sign: 1 | -1): void {
    const node = this.#byId.get(task.node);
    if (node === undefined) return;
    book(node, task, sign, this.columns);
    service.count(task, node.place, node.model, sign);
    if (task.claims.antiAffinities !== undefined) {
      for (const refused of refusedBy(task)) this.#countRefusal(refused, task, node.model, sign);
    }
    this.changes.note(node.place);
  }

  #countRefusal(refused: ServiceAffinity, task: Held, node: NodeModel, sign: 1 | -1): void {
    const { service, level } = refused;
    const bearable = bearableBy(task, refused);
    const key = refusalKey(service, level, bearable);
    this.#refusing.get(key)?.change(node, sign);
    const kinds = this.#refusalKinds.get(service) ?? new Map<string, RefusalKind>();
    const tasks = (kinds.get(key)?.tasks ?? 0) + sign;
    if (tasks === 0) kinds.delete(key);
    else kinds.set(key, { level, bearable, tasks });
    if (kinds.size === 0) this.#refusalKinds.delete(service);
    else this.#refusalKinds.set(service, kinds);
  }
}

function refusedBy({ claims }: Held): readonly ServiceAffinity[] {
  return (claims.antiAffinities ?? []).filter((each) => each.required);
}

/** Towards its own service a task counts the others, of which the ask will be one. */
function bearableBy({ claims }: Held, { service, max = 0 }: ServiceAffinity): number {
  if (max === 0) return NONE_BEARABLE;
  return claims.service === service ? max : max - 1;
}

/** Levels have no line break of their own. */
function refusalKey(service: string, level: string, bearable: number): string {
  return `${bearable} ${level}\n${service}`;
}

/** Order of code units: the same on every machine, unlike a locale's. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function enter(index: HeldIndex, key: string, task: Held): void {
  const entries = index.get(key);
  if (entries === undefined) index.set(key, new Set([task]));
  else entries.add(task);
}

function leave(index: HeldIndex, key: string, task: Held): void {
  const entries = index.get(key);
  entries?.delete(task);
  if (entries?.size === 0) index.delete(key);
}

function held(index: HeldIndex, key: string): readonly Held[] {
  return [...(index.get(key) ?? [])];
}

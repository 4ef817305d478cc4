/**
 * Offline packing: the fewest hosts for a set of asks, better with more time.
 *
 * A first packing takes the asks from the largest to the smallest and puts each where it leaves the least
 * (weighted L2, after Panigrahy et al., "Heuristics for Vector Bin Packing", 2011). Then hosts are ruined and
 * their tasks put anew, in an order with some noise (Schrimpf et al., "Record Breaking Optimization Results
 * Using the Ruin and Recreate Principle", J. Comp. Phys. 159, 2000): weak hosts first, for those are the ones to
 * be emptied. A step is kept when it needs fewer hosts, or as many with more uneven loads, for
 * uneven loads are a host nearer to emptiness. Every state on the way obeys all rules.
 *
 * Asks that rules tie to others in a way that a move could break (gangs, required nearness and spread, and who is
 * wanted by them) are placed first by the online engine and stay. Cost of a step: O(tasks of the ruined
 * hosts × hosts that are looked at × resources).
 */

import { assert, Prng } from "@berth/base";
import { NONE } from "../dense/cluster.ts";
import { Engine } from "../dense/engine.ts";
import { MixCounter } from "../dense/mix.ts";
import type { Shape } from "../dense/shape.ts";
import type { Ask, DeviceAssignment, NodeModel } from "../model.ts";
import type { Refusal } from "../plan.ts";
import { Fitting } from "./fitting.ts";

export interface PackingInput {
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly Ask[];
  readonly seed: number;
  /** Asked between steps: true ends the search. Steps made so far. */
  readonly isOver: (steps: number) => boolean;
  /**
   * Is the time up? Asked while first packings are made: one is always finished, further ones are given up then. They
   * are all tried when this is absent, so that a number of steps alone decides what comes out.
   */
  readonly isLate?: () => boolean;
}

export interface Packing {
  /** By ask, for those that found a place. */
  readonly placements: ReadonlyMap<
    string,
    { readonly node: string; readonly devices: readonly DeviceAssignment[] }
  >;
  /** Measured against the final packing. */
  readonly refusals: readonly Refusal[];
  readonly hostsUsed: number;
  /** Of the first packing, before any step. */
  readonly hostsFirst: number;
  readonly steps: number;
}

/** An ask that may move. */
interface Item {
  readonly ask: Ask;
  readonly shape: Shape;
  readonly service: number;
  /** Sum of its shares of an average host; the larger are placed first. */
  readonly size: number;
  task: number;
}

/** A first packing, by the place in `order`. */
interface FirstPacking {
  readonly order: readonly Item[];
  readonly nodes: readonly number[];
  readonly refused: readonly Ask[];
  readonly hosts: number;
}

/** Hosts that are ruined in one step. */
const RUINED = { min: 2, max: 7 } as const;
/** Of the ruined hosts, this part is taken from the weakest. */
const WEAK_SHARE = 0.6;
/** The weakest are looked for among so many drawn hosts. */
const WEAK_DRAWS = 12;
/** Orders of the tasks differ by this part of their size. */
const NOISE = 0.35;
/** A first packing looks at the clock every so many tasks: about a millisecond. */
const ITEMS_PER_LOOK = 256;
/** Tasks times hosts up to which the first packing looks at all of them: about a second. */
const LOOKS_FIRST_MAX = 10_000_000;
/** Steps that make the loads less uneven by this part are kept, too, at first. */
const TOLERANCE = 0.002;

export function pack(input: PackingInput): Packing {
  const counter = new MixCounter();
  for (const { requests } of input.asks) counter.add(requests);
  const named = { seed: input.seed, strategy: "tightest", largestFirst: true } as const;
  const options = { ...named, mix: counter.mix() };
  const engine = new Engine(input.nodes, options);
  const search = new PackingSearch(engine, input);
  return search.run(input);
}

class PackingSearch {
  readonly #engine: Engine;
  readonly #fitting: Fitting;
  readonly #prng: Prng;
  readonly #items: Item[] = [];
  readonly #refused: Ask[] = [];
  /** Items by node; only those that may move. */
  readonly #on: Item[][];
  /** Nodes with a movable item, in no order, and where each stands in it. */
  readonly #used: number[] = [];
  readonly #usedAt: Int32Array;
  readonly #fixed = new Map<string, { node: string; devices: readonly DeviceAssignment[] }>();

  constructor(engine: Engine, { asks, seed }: PackingInput) {
    this.#engine = engine;
    this.#prng = new Prng(seed);
    this.#on = Array.from({ length: engine.cluster.size }, () => []);
    this.#usedAt = new Int32Array(engine.cluster.size).fill(NONE);
    const tied = tiedServices(asks);
    const isFixed = (ask: Ask) => ask.gang !== undefined || tied.has(ask.service);
    this.#placeFixed(asks.filter(isFixed));
    const movable = asks.filter((ask) => !isFixed(ask));
    this.#fitting = new Fitting(engine.cluster, movable);
    for (const ask of movable) {
      const shape = engine.cluster.shape(ask);
      const service = engine.cluster.services.idOf(ask.service);
      engine.declare(shape, service);
      this.#items.push({ ask, shape, service, size: this.#fitting.sizeOf(shape), task: NONE });
    }
  }

  run({ isOver, isLate = () => false }: PackingInput): Packing {
    this.#first(isLate);
    const hostsFirst = this.#hostsUsed();
    let steps = 0;
    for (; this.#used.length > 1 && !isOver(steps); steps++) this.#step();
    return { ...this.#result(), hostsFirst, steps };
  }

  #placeFixed(asks: readonly Ask[]): void {
    const gangs = Map.groupBy(asks, ({ id, gang }) =>
      gang === undefined ? `ask ${id}` : `gang ${gang}`,
    );
    for (const group of gangs.values()) {
      for (const [index, { ask, node, devices }] of this.#engine.decide(group).entries()) {
        if (node !== undefined) this.#fixed.set(ask, { node, devices });
        else this.#refused.push(...group.slice(index, index + 1));
      }
    }
  }

  /**
   * The best of some simple packings: the largest first, where the least is left over; and as asks are placed online,
   * the largest first or in a shuffled order, which mixes what uses different resources.
   */
  #first(isLate: () => boolean): void {
    const bySize = [...this.#items].sort(
      (a, b) => b.size - a.size || (a.ask.id < b.ask.id ? -1 : 1),
    );
    const byEngine = ({ shape, service }: Item) => this.#engine.find(shape, service);
    const byRest = (item: Item) => this.#bestNode(item, undefined);
    const looks = bySize.length * this.#on.length;
    const others = [
      ...(looks <= 10 * LOOKS_FIRST_MAX ? [byEngine] : []),
      ...(looks <= LOOKS_FIRST_MAX ? [byRest] : []),
    ];
    let best = this.#fill(shuffle(bySize, this.#prng), byEngine, () => false);
    for (const nodeFor of others) {
      const tried = isLate() ? undefined : this.#fill(bySize, nodeFor, isLate);
      if (best === undefined || (tried !== undefined && isBetter(tried, best))) best = tried;
    }
    for (const [at, item] of (best?.order ?? []).entries()) {
      const node = best?.nodes[at] ?? NONE;
      if (node !== NONE) this.#put(item, node);
    }
    this.#refused.push(...(best?.refused ?? []));
  }

  /** One packing, which is taken off again; `undefined` when the time was up before its end. */
  #fill(
    order: readonly Item[],
    nodeFor: (item: Item) => number,
    isLate: () => boolean,
  ): FirstPacking | undefined {
    const refused: Ask[] = [];
    const nodes: number[] = [];
    for (const item of order) {
      if (nodes.length % ITEMS_PER_LOOK === 0 && isLate()) break;
      const node = nodeFor(item);
      nodes.push(node);
      if (node === NONE) refused.push(item.ask);
      else this.#put(item, node);
    }
    const hosts = this.#hostsUsed();
    this.#clear(order);
    return nodes.length < order.length ? undefined : { order, nodes, refused, hosts };
  }

  #clear(items: readonly Item[]): void {
    for (const item of items) if (item.task !== NONE) this.#take(item);
    this.#fitting.startOver();
  }

  /** Ruins some hosts and puts their tasks anew; takes it back when that was no gain. */
  #step(): void {
    const ruined = this.#choose();
    const before = this.#measure(ruined);
    const items = ruined.flatMap((node) => [...(this.#on[node] ?? [])]);
    const homes = items.map(({ task }) => this.#engine.cluster.nodeOf(task));
    for (const item of items) this.#take(item);
    const others = new Map<number, number>();
    if (this.#recreate(items, ruined, others)) {
      const after = this.#measure(ruined);
      let gain = after.squares - before.squares;
      for (const [node, load] of others) gain += this.#fitting.load(node) ** 2 - load ** 2;
      const isAsMany = after.hosts === before.hosts && gain >= -TOLERANCE * before.squares;
      if (after.hosts < before.hosts || isAsMany) return;
    }
    for (const item of items) if (item.task !== NONE) this.#take(item);
    for (const [index, item] of items.entries()) this.#put(item, homes[index] ?? NONE);
  }

  /** False when a task finds no place. Other hosts that take some are noted in `others`, with their loads before. */
  #recreate(
    items: readonly Item[],
    ruined: readonly number[],
    others: Map<number, number>,
  ): boolean {
    const noisy = items
      .map((item) => ({ item, key: item.size * (1 + NOISE * (this.#prng.float() - 0.5)) }))
      .sort((a, b) => b.key - a.key);
    for (const { item } of noisy) {
      const node = this.#bestNode(item, ruined);
      if (node === NONE) return false;
      if (!ruined.includes(node) && !others.has(node)) others.set(node, this.#fitting.load(node));
      this.#put(item, node);
    }
    return true;
  }

  #choose(): readonly number[] {
    const count = Math.min(this.#used.length, this.#prng.int(RUINED.min, RUINED.max));
    const chosen = new Set<number>();
    // Draws repeat: bounded, so that few hosts do not take for ever.
    for (let draw = 0; draw < 4 * count && chosen.size < count; draw++) {
      chosen.add(this.#prng.chance(WEAK_SHARE) ? this.#drawWeak() : this.#prng.pick(this.#used));
    }
    return [...chosen];
  }

  #drawWeak(): number {
    let weakest = this.#prng.pick(this.#used);
    for (let draw = 1; draw < WEAK_DRAWS; draw++) {
      const node = this.#prng.pick(this.#used);
      if (this.#fitting.load(node) < this.#fitting.load(weakest)) weakest = node;
    }
    return weakest;
  }

  /** Hosts in use among `nodes`, and the sum of the squares of their loads. */
  #measure(nodes: readonly number[]): { readonly hosts: number; readonly squares: number } {
    let hosts = 0;
    let squares = 0;
    for (const node of nodes) {
      const load = this.#fitting.load(node);
      if ((this.#engine.cluster.tasksOn[node] ?? 0) > 0) hosts++;
      squares += load * load;
    }
    return { hosts, squares };
  }

  /** A used host where the least is left over, else an empty one: of `ruined`, else any. */
  #bestNode({ shape, service }: Item, ruined: readonly number[] | undefined): number {
    const accepts = (node: number) => this.#engine.accepts(shape, service, node);
    const among = this.#fitting.candidates(this.#used, this.#prng);
    const used = this.#fitting.best(shape, among, accepts);
    if (used !== NONE) return used;
    if (ruined !== undefined) return this.#fitting.best(shape, ruined, accepts);
    return this.#fitting.firstEmpty(shape, accepts);
  }

  #put(item: Item, node: number): void {
    assert(node !== NONE, "an item has a node");
    item.task = this.#engine.put(item.shape, item.service, node);
    const items = this.#on[node] ?? [];
    if (items.length === 0) {
      this.#usedAt[node] = this.#used.length;
      this.#used.push(node);
    }
    items.push(item);
  }

  #take(item: Item): void {
    const node = this.#engine.cluster.nodeOf(item.task);
    this.#engine.cluster.remove(item.task);
    item.task = NONE;
    const items = this.#on[node] ?? [];
    items.splice(items.indexOf(item), 1);
    if (items.length > 0) return;
    const at = this.#usedAt[node] ?? NONE;
    const last = this.#used.pop() ?? NONE;
    if (last !== node) {
      this.#used[at] = last;
      this.#usedAt[last] = at;
    }
    this.#usedAt[node] = NONE;
  }

  #hostsUsed(): number {
    return this.#engine.cluster.tasksOn.reduce((sum, tasks) => sum + (tasks > 0 ? 1 : 0), 0);
  }

  #result(): Omit<Packing, "hostsFirst" | "steps"> {
    const placements = new Map(this.#fixed);
    const { cluster } = this.#engine;
    for (const { ask, task } of this.#items) {
      if (task === NONE) continue;
      const node = cluster.nodes[cluster.nodeOf(task)]?.model.id ?? "";
      placements.set(ask.id, { node, devices: cluster.devicesOfTask(task) });
    }
    const refusals = this.#refused.map((ask) => this.#engine.refusal(ask));
    return { placements, refusals, hostsUsed: this.#hostsUsed() };
  }
}

function isBetter(a: FirstPacking, b: FirstPacking): boolean {
  return (a.refused.length - b.refused.length || a.hosts - b.hosts) < 0;
}

/** In another order: Fisher and Yates. */
function shuffle<T>(items: readonly T[], prng: Prng): readonly T[] {
  const shuffled = [...items];
  for (let at = shuffled.length - 1; at > 0; at--) {
    const other = prng.int(0, at);
    const [one, two] = [shuffled[at], shuffled[other]];
    if (one !== undefined && two !== undefined) [shuffled[at], shuffled[other]] = [two, one];
  }
  return shuffled;
}

/** Services whose copies rules tie to other tasks in a way that taking one away could break. */
function tiedServices(asks: readonly Ask[]): ReadonlySet<string> {
  const tied = new Set<string>();
  for (const ask of asks) {
    const near = (ask.affinities ?? []).filter((each) => each.kind === "service" && each.required);
    const spreads = (ask.spread ?? []).some(({ required }) => required);
    if (near.length > 0 || spreads) tied.add(ask.service);
    for (const each of near) if (each.kind === "service") tied.add(each.service);
  }
  return tied;
}

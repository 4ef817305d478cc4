/**
 * Rebalancing: from a running state to a better one by a bounded number of moves.
 *
 * A local search draws hosts that cost much, and tries single tasks elsewhere and exchanges of two; only what
 * makes the objective smaller and obeys every rule is kept. The moves that are left in the end are put into an
 * order in which each is possible when its turn comes: the task holds its old and its new place until it has
 * moved. What fits into no such order is left out, so the result is never worse than the beginning.
 *
 * With `transient` resources all moves happen at once, in the manner of the ROADEF/EURO challenge 2012
 * ("Machine Reassignment"): a moved task holds these at its old host, too.
 * Cost of a step: O(targets × resources), whatever the size of the cluster.
 */

import { assert, Prng } from "@berth/base";
import { NONE } from "../dense/cluster.ts";
import { Engine } from "../dense/engine.ts";
import type { Shape } from "../dense/shape.ts";
import type { NodeModel } from "../model.ts";
import type { TraceAsk } from "../trace/ask-line.ts";
import { Leaving } from "./leaving.ts";
import { Objective } from "./objective.ts";
import { type RunningAsk, UnknownNodeError } from "./running.ts";
import { Transients } from "./transients.ts";

export interface RebalancingInput {
  readonly nodes: readonly NodeModel[];
  /** Soft limits by resource name, in the order of `nodes`. */
  readonly soft: readonly Readonly<Record<string, number>>[];
  readonly asks: readonly TraceAsk[];
  /** By ask; asks that are not in it have no place and get none. Tasks that hold devices stay where they are. */
  readonly initial: ReadonlyMap<string, Omit<RunningAsk, "ask">>;
  /** Most tasks that may have another node in the end. */
  readonly moves: number;
  /** Names of resources that a moved task holds on both hosts. */
  readonly transient: readonly string[];
  readonly seed: number;
  readonly isOver: (steps: number) => boolean;
}

export interface Move {
  readonly ask: string;
  readonly from: string;
  readonly to: string;
}

export interface Rebalancing {
  readonly placements: ReadonlyMap<string, string>;
  /** In an order in which each is possible. */
  readonly moves: readonly Move[];
  readonly objective: {
    readonly name: Objective["name"];
    readonly before: number;
    readonly after: number;
    readonly lowerBound: number;
  };
  readonly steps: number;
}

interface Item {
  readonly id: string;
  readonly shape: Shape;
  readonly service: number;
  /** Where it was in the beginning. */
  readonly home: number;
  task: number;
}

/** Targets that are tried for a task. */
const TARGETS = 24;
/** The host to unload is the most costly of so many drawn ones. */
const SOURCES = 6;
/** Steps between looks at the clock are cheap; exchanges are tried this often. */
const EXCHANGE_SHARE = 0.3;
/** Less gain than this part of the beginning is none: rounding. */
const GAIN_MIN = 1e-12;

export function rebalance(input: RebalancingInput): Rebalancing {
  const search = new RebalancingSearch(input);
  const steps = search.run(input.isOver);
  const moved = search.moved();
  if (input.transient.length > 0) return search.result(moved, steps);
  // The same beginning once more, to carry out the moves one by one.
  const ordered = new RebalancingSearch(input);
  return ordered.result(ordered.carryOut(moved), steps);
}

class RebalancingSearch {
  readonly #engine: Engine;
  readonly #objective: Objective;
  readonly #leaving: Leaving;
  readonly #transients: Transients;
  readonly #prng: Prng;
  readonly #items: Item[] = [];
  /** Node by ask of tasks that do not move: they hold devices, which they would get others of by coming back. */
  readonly #staying = new Map<string, string>();
  readonly #on: Item[][];
  readonly #movesMax: number;
  readonly #before: number;
  readonly #gainMin: number;
  #moved = 0;

  constructor({ nodes, soft, asks, initial, moves, transient, seed }: RebalancingInput) {
    this.#engine = new Engine(nodes, { seed, strategy: "room" });
    const { cluster } = this.#engine;
    const softOf = new Map(nodes.map(({ id }, index) => [id, soft[index] ?? {}]));
    this.#objective = new Objective(
      cluster,
      cluster.nodes.map(({ model }) => softOf.get(model.id) ?? {}),
    );
    this.#leaving = new Leaving(cluster);
    this.#transients = new Transients(cluster, transient);
    this.#prng = new Prng(seed);
    this.#movesMax = moves;
    this.#on = Array.from({ length: cluster.size }, () => []);
    for (const each of asks) this.#settle(each, initial.get(each.ask.id));
    this.#before = this.#objective.value();
    this.#gainMin = GAIN_MIN * Math.max(1, this.#before);
  }

  run(isOver: (steps: number) => boolean): number {
    let steps = 0;
    if (this.#items.length === 0 || this.#engine.cluster.size < 2) return steps;
    for (; !isOver(steps); steps++) {
      if (this.#prng.chance(EXCHANGE_SHARE)) this.#exchange();
      else this.#relocate();
    }
    return steps;
  }

  /** Every task that has another node than in the beginning, with that node. */
  moved(): readonly { readonly id: string; readonly to: number }[] {
    return this.#items
      .map(({ id, home, task }) => ({ id, home, to: this.#engine.cluster.nodeOf(task) }))
      .filter(({ home, to }) => home !== to);
  }

  /** Makes those of the moves that are possible one after the other, and leaves out what makes the whole worse. */
  carryOut(moves: readonly { readonly id: string; readonly to: number }[]): typeof moves {
    const items = new Map(this.#items.map((item) => [item.id, item]));
    const done: { id: string; to: number }[] = [];
    let open = moves;
    let best = { value: this.#before, length: 0 };
    for (let before = -1; open.length > 0 && open.length !== before; ) {
      before = open.length;
      open = open.filter((move) => {
        const item = items.get(move.id);
        assert(item !== undefined, `${move.id} is there`);
        if (!this.#canMove(item, move.to)) return true;
        done.push(move);
        return false;
      });
      const value = this.#objective.value();
      if (value <= best.value) best = { value, length: done.length };
    }
    for (const { id } of done.slice(best.length).reverse()) {
      const item = items.get(id);
      if (item !== undefined) this.#transfer(item, item.home);
    }
    return done.slice(0, best.length);
  }

  result(
    moves: readonly { readonly id: string; readonly to: number }[],
    steps: number,
  ): Rebalancing {
    const { cluster } = this.#engine;
    const idOf = (node: number) => cluster.nodes[node]?.model.id ?? "";
    const homes = new Map(this.#items.map(({ id, home }) => [id, home]));
    const { name } = this.#objective;
    return {
      placements: new Map([
        ...this.#staying,
        ...this.#items.map(({ id, task }) => [id, idOf(cluster.nodeOf(task))] as const),
      ]),
      moves: moves.map(({ id, to }) => ({
        ask: id,
        from: idOf(homes.get(id) ?? NONE),
        to: idOf(to),
      })),
      objective: {
        name,
        before: this.#before,
        after: this.#objective.value(),
        lowerBound: this.#objective.lowerBound(),
      },
      steps,
    };
  }

  #settle({ ask, minDomains }: TraceAsk, at: Omit<RunningAsk, "ask"> | undefined): void {
    if (at === undefined) return;
    const { cluster } = this.#engine;
    const home = cluster.nodeOfId(at.node);
    if (home === NONE) throw new UnknownNodeError(`${ask.id} runs on ${at.node}, which is no node`);
    const shape = cluster.shape(ask);
    const service = cluster.services.idOf(ask.service);
    this.#engine.declare(shape, service);
    this.#leaving.declare(shape, service, minDomains);
    const task = this.#engine.put(shape, service, home, at.devices);
    if (shape.devices.length > 0) {
      this.#staying.set(ask.id, at.node);
      return;
    }
    const item = { id: ask.id, shape, service, home, task };
    this.#items.push(item);
    this.#on[home]?.push(item);
  }

  #relocate(): void {
    const from = this.#costlyNode();
    const items = this.#on[from] ?? [];
    if (items.length === 0) return;
    const item = this.#prng.pick(items);
    if (this.#mayStillMove(item)) this.#relocateItem(item, from);
    else this.#goHome();
  }

  #relocateItem(item: Item, from: number): void {
    const { cluster } = this.#engine;
    const saved = -this.#objective.growth(from, item.shape, -1);
    let best = NONE;
    let bestGain = this.#gainMin;
    for (let draw = 0; draw < TARGETS && saved > this.#gainMin; draw++) {
      const to = this.#prng.int(0, cluster.size - 1);
      if (to === from || !cluster.hasRoom(item.shape, to)) continue;
      const gain = saved - this.#objective.growth(to, item.shape, 1);
      if (gain <= bestGain || !this.#transients.leaveRoom(item.shape, to)) continue;
      best = to;
      bestGain = gain;
    }
    if (best !== NONE) this.#canMove(item, best);
  }

  /** All moves are made: only one that takes a move back is left. */
  #goHome(): void {
    const item = this.#prng.pick(this.#items);
    const from = this.#engine.cluster.nodeOf(item.task);
    if (from === item.home) return;
    const { shape, home } = item;
    const growth = this.#objective.growth(from, shape, -1) + this.#objective.growth(home, shape, 1);
    if (-growth > this.#gainMin) this.#canMove(item, home);
  }

  #exchange(): void {
    const from = this.#costlyNode();
    const to = this.#prng.int(0, this.#engine.cluster.size - 1);
    const [here, there] = [this.#on[from] ?? [], this.#on[to] ?? []];
    if (from === to || here.length === 0 || there.length === 0) return;
    const [one, other] = [this.#prng.pick(here), this.#prng.pick(there)];
    const added = this.#movesAdded(one, to) + this.#movesAdded(other, from);
    if (this.#moved + added > this.#movesMax) return;
    const growth =
      this.#objective.growthOfExchange(from, other.shape, one.shape) +
      this.#objective.growthOfExchange(to, one.shape, other.shape);
    if (-growth <= this.#gainMin) return;
    this.#tryExchange(one, other);
  }

  #tryExchange(one: Item, other: Item): void {
    const [from, to] = [
      this.#engine.cluster.nodeOf(one.task),
      this.#engine.cluster.nodeOf(other.task),
    ];
    this.#take(one);
    this.#take(other);
    if (this.#putIfAllowed(one, to)) {
      if (this.#putIfAllowed(other, from)) {
        const isFine =
          this.#leaving.mayHaveLeft(one.shape, one.service, from, to) &&
          this.#leaving.mayHaveLeft(other.shape, other.service, to, from) &&
          this.#transients.isWithin(from) &&
          this.#transients.isWithin(to);
        if (isFine) return;
        this.#take(other);
      }
      this.#take(one);
    }
    this.#put(one, from);
    this.#put(other, to);
  }

  /** Moves the item when every rule allows it; what is not allowed leaves no trace. */
  #canMove(item: Item, to: number): boolean {
    const from = this.#engine.cluster.nodeOf(item.task);
    this.#take(item);
    if (this.#putIfAllowed(item, to)) {
      if (this.#leaving.mayHaveLeft(item.shape, item.service, from, to)) return true;
      this.#take(item);
    }
    this.#put(item, from);
    return false;
  }

  #putIfAllowed(item: Item, node: number): boolean {
    const { shape, service } = item;
    const isAllowed =
      this.#engine.cluster.hasRoom(shape, node) &&
      this.#transients.leaveRoom(shape, node) &&
      this.#engine.accepts(shape, service, node);
    if (isAllowed) this.#put(item, node);
    return isAllowed;
  }

  #transfer(item: Item, to: number): void {
    this.#take(item);
    this.#put(item, to);
  }

  #mayStillMove(item: Item): boolean {
    const isMoved = this.#engine.cluster.nodeOf(item.task) !== item.home;
    return isMoved || this.#moved < this.#movesMax;
  }

  #movesAdded(item: Item, to: number): number {
    const isMoved = this.#engine.cluster.nodeOf(item.task) !== item.home;
    return (to === item.home ? 0 : 1) - (isMoved ? 1 : 0);
  }

  #costlyNode(): number {
    const { size } = this.#engine.cluster;
    let costly = this.#prng.int(0, size - 1);
    let most = this.#objective.costOf(costly);
    for (let draw = 1; draw < SOURCES; draw++) {
      const node = this.#prng.int(0, size - 1);
      const cost = this.#objective.costOf(node);
      if (cost > most) [costly, most] = [node, cost];
    }
    return costly;
  }

  #put(item: Item, node: number): void {
    item.task = this.#engine.put(item.shape, item.service, node);
    this.#on[node]?.push(item);
    if (node === item.home) return;
    this.#moved++;
    this.#transients.hold(item.shape, item.home, 1);
  }

  #take(item: Item): void {
    const node = this.#engine.cluster.nodeOf(item.task);
    this.#engine.cluster.remove(item.task);
    const items = this.#on[node] ?? [];
    const at = items.indexOf(item);
    const last = items.pop();
    if (last !== undefined && last !== item) items[at] = last;
    if (node === item.home) return;
    this.#moved--;
    this.#transients.hold(item.shape, item.home, -1);
  }
}

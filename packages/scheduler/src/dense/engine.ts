/**
 * Decides asks one after the other in a cluster of typed arrays: the engine for traces and large clusters.
 *
 * It honours what a trace can say (`docs/reference/sim.md`): resources, devices, standing rules, limits on tasks
 * and copies, nearness and distance of services, spread, gangs. Ports, volumes, fixed addresses and pods are
 * the transaction's (`../transaction.ts`), which is slower and knows everything (`canDecide` tells).
 * Same nodes, asks and options, same decisions.
 */

import type { Decision } from "../decision.ts";
import type { Ask, DeviceAssignment, NodeModel } from "../model.ts";
import type { Refusal } from "../plan.ts";
import { DenseCluster, type DenseOptions, NONE } from "./cluster.ts";
import { LaneSearch } from "./lanes.ts";
import { type Mix, MixCounter } from "./mix.ts";
import { Points } from "./points.ts";
import { refusalOf } from "./refusal.ts";
import { NeighbourRules } from "./rules.ts";
import type { Shape } from "./shape.ts";
import { TurnSearch } from "./turns.ts";

export interface EngineOptions extends DenseOptions {
  /** What usual asks look like; learned from the asks themselves when absent. */
  readonly mix?: Mix;
  /** Decisions say why (`Decision.why`), at the cost of valuing the chosen node once more. */
  readonly explain?: boolean;
}

/**
 * When the mix is learned from the asks so far: early, for what is placed before lies without regard to what devices are
 * worth, and often while each ask changes it (whenever there are a quarter more of them), because even a rough mix is
 * nearly as good as the true one. Each time all nodes are valued anew, so a long trace does it only when it has doubled.
 */
const LEARN = { first: 4, growth: 1.25, oftenUntil: 4_096, growthLater: 2 } as const;

interface LastRefusal {
  readonly shape: Shape;
  readonly service: number;
  readonly changes: number;
  readonly refusal: Refusal;
}

export class Engine {
  readonly cluster: DenseCluster;
  readonly #rules: NeighbourRules;
  readonly #points: Points;
  readonly #lanes: LaneSearch;
  readonly #turns: TurnSearch;
  readonly #tasks = new Map<string, number>();
  readonly #history: MixCounter | undefined;
  readonly #explains: boolean;
  #lastRefusal: LastRefusal | undefined;
  #learnAt: number = LEARN.first;
  #hasMix = false;

  constructor(nodes: readonly NodeModel[], options: EngineOptions) {
    this.cluster = new DenseCluster(nodes, options);
    this.#rules = new NeighbourRules(this.cluster);
    this.#points = new Points(this.cluster);
    this.#lanes = new LaneSearch(this.cluster, this.#rules, this.#points);
    this.#turns = new TurnSearch(this.cluster, this.#rules, this.#points);
    this.#explains = options.explain === true;
    const priced = this.cluster.devices.any;
    if (priced && options.mix !== undefined) this.#learn(options.mix);
    this.#history = priced && options.mix === undefined ? new MixCounter() : undefined;
  }

  /** Nodes looked at since the beginning. */
  get visits(): number {
    return this.#lanes.visits + this.#turns.visits;
  }

  /** Can this engine decide the ask, or only the transaction? */
  static canDecide({ ports, volumes, addresses, pod, weights, overcommit }: Ask): boolean {
    return (ports ?? volumes ?? addresses ?? pod ?? weights ?? overcommit) === undefined;
  }

  /** Places all of the asks of a gang or none; one ask alone when there is one. */
  decide(asks: readonly Ask[]): readonly Decision[] {
    const placed: { decision: Decision; task: number }[] = [];
    for (const ask of asks) {
      const { decision, task } = this.#place(ask);
      if (decision.node === undefined) {
        const refuse = this.#refusalOf(ask, asks);
        for (const { task: done } of placed) this.cluster.remove(done);
        for (const { decision: done } of placed) this.#tasks.delete(done.ask);
        return asks.map(({ id }) => ({ ...decision, ask: id, refusal: () => refuse(id) }));
      }
      this.#tasks.set(ask.id, task);
      placed.push({ decision, task });
    }
    return placed.map(({ decision }) => decision);
  }

  /** Puts a task that runs where it runs, without asking any rule. False when there is no such node. */
  hold(ask: Ask, id: string, devices?: readonly DeviceAssignment[]): boolean {
    const node = this.cluster.nodeOfId(id);
    if (node === NONE) return false;
    const shape = this.cluster.shape(ask);
    const service = this.cluster.services.idOf(ask.service);
    this.#rules.declare(shape, service);
    this.#tasks.set(ask.id, this.put(shape, service, node, devices));
    return true;
  }

  release(id: string): boolean {
    const task = this.#tasks.get(id);
    if (task === undefined) return false;
    this.cluster.remove(task);
    this.#tasks.delete(id);
    return true;
  }

  turn(id: string, turn: { readonly ready: boolean }): boolean {
    const node = this.cluster.nodeOfId(id);
    if (node === NONE) return false;
    this.turnAt(node, turn.ready);
    return true;
  }

  /** Makes the distances of a shape known before copies of its service are put by number. */
  declare(shape: Shape, service: number): void {
    this.#rules.declare(shape, service);
  }

  /** Why the ask fits nowhere, as the cluster is now. O(nodes × rules), once for equal asks between two changes. */
  refusal(ask: Ask): Refusal {
    const { cluster } = this;
    const shape = cluster.shape(ask);
    const service = cluster.services.idOf(ask.service);
    const changes = cluster.changes.count;
    const last = this.#lastRefusal;
    if (last?.shape === shape && last.service === service && last.changes === changes)
      return { ...last.refusal, ask: ask.id };
    const refusal = refusalOf(ask, shape, service, { cluster, rules: this.#rules });
    this.#lastRefusal = { shape, service, changes, refusal };
    return refusal;
  }

  /** May a copy be on the node, which has the room by `DenseCluster.hasRoom`? */
  accepts(shape: Shape, service: number, node: number): boolean {
    if (shape.devices.length > 0 && this.#points.devices(shape, node) === undefined) return false;
    return (
      !this.#rules.concerns(shape, service) ||
      this.#rules.refusal(shape, service, node) === undefined
    );
  }

  /** Puts a copy on a node and returns the number of its task. Devices are chosen where none are given. */
  put(shape: Shape, service: number, node: number, given?: readonly DeviceAssignment[]): number {
    const wanted = shape.devices.length === 0 ? [] : (given ?? this.#points.devices(shape, node));
    return this.cluster.add(shape, service, node, wanted ?? []);
  }

  /** Takes a node out of use by its number, or back into it. */
  turnAt(node: number, usable: boolean): void {
    this.cluster.turn(node, usable);
    this.#rules.forgetUsable();
  }

  /**
   * Places one copy by number, for callers that have interned shape and service: the number of its task, or
   * `NONE`.
   */
  placeOne(shape: Shape, service: number): number {
    this.#rules.declare(shape, service);
    const node = this.find(shape, service);
    return node === NONE ? NONE : this.put(shape, service, node);
  }

  /** Of one ask when it is called; of a gang beside those of it that found a place, so now. */
  #refusalOf(blocking: Ask, asks: readonly Ask[]): (ask: string) => Refusal {
    if (asks.length === 1) return () => this.refusal(blocking);
    const refusal = this.refusal(blocking);
    const { gang: key = "" } = blocking;
    const together = { kind: "gang", key, size: asks.length, blocking: blocking.id } as const;
    return (ask) => ({ ...refusal, ask, together });
  }

  #place(ask: Ask): { decision: Decision; task: number } {
    const shape = this.cluster.shape(ask);
    const service = this.cluster.services.idOf(ask.service);
    this.#learnFrom(ask);
    this.#rules.declare(shape, service);
    const chosen = this.find(shape, service);
    // Before it is put there: afterwards the node is another.
    const why = this.#explains && chosen !== NONE ? { why: this.#why(shape, service, chosen) } : {};
    const task = chosen === NONE ? NONE : this.put(shape, service, chosen);
    if (task === NONE) {
      const refusal = () => this.refusal(ask);
      return { decision: { ask: ask.id, node: undefined, devices: [], refusal }, task };
    }
    const node = this.cluster.nodes[this.cluster.nodeOf(task)]?.model.id;
    const devices = this.cluster.devicesOfTask(task);
    return { decision: { ask: ask.id, node, devices, refusal: undefined, ...why }, task };
  }

  /** The node for one more copy of the service, whose distances are declared, or `NONE`. */
  find(shape: Shape, service: number): number {
    const wantsBest = shape.strategy === "room" || shape.strategy === "balanced";
    const search =
      wantsBest || shape.devices.length > 0 || this.#hasMix ? this.#turns : this.#lanes;
    return search.find(shape, service);
  }

  /** `n3: tightest, 860 points by the node, -500 by the copies around it`. */
  #why(shape: Shape, service: number, node: number): string {
    const own = this.#points.own(shape, node);
    const beside = this.#points.beside(shape, service, node);
    const around = beside === 0 ? "" : `, ${beside} by the copies around it`;
    return `${this.cluster.nodes[node]?.model.id}: ${shape.strategy}, ${own} points by the node${around}`;
  }

  #learnFrom(ask: Ask): void {
    if (this.#history === undefined) return;
    this.#history.add(ask.requests);
    if (this.#history.total < this.#learnAt) return;
    const isOften = this.#learnAt < LEARN.oftenUntil;
    this.#learnAt = Math.ceil(this.#learnAt * (isOften ? LEARN.growth : LEARN.growthLater));
    this.#learn(this.#history.mix());
  }

  #learn(mix: Mix): void {
    this.#points.learn(mix);
    this.#turns.forget();
    this.#hasMix = true;
  }
}

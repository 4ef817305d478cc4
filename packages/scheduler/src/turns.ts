/**
 * Finds the best node for an ask without a look at every node.
 *
 * What the node alone answers is remembered for the shape of the ask (`node-worths.ts`); what depends on more
 * (copies of the service, domains, neighbours, the last node) is asked of whole domains where it can be, and else of
 * the nodes that a search by bounds comes upon (`best-first.ts`). Invariant: the answer is that of a look at every
 * node, the number of candidates included (`turns.prop.test.ts`). Asks that have no such search get none: pods of several
 * members, required rules over several levels above the node, and required spread over nodes.
 *
 * Cost for an ask: the nodes that changed since the last one of its shape, O(domains + log nodes), and
 * O(copies) where neighbours are kept apart on nodes.
 */

import { MIB } from "@berth/base";
import { classKey, sameClass, shapeOf } from "./ask-shape.ts";
import { bestFirst, better, type Field } from "./best-first.ts";
import type { Reach, Subject } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import { NodeWorths, type Region, type Seat } from "./node-worths.ts";
import { type ScheduleOptions, type Weights, weightsFor } from "./options.ts";
import {
  type Candidate,
  onlyNodes,
  pointsReaches,
  reachesOf,
  type Scorer,
  scorerOf,
  type WeightedReach,
} from "./pipeline.ts";
import { Recent } from "./recent.ts";
import { copyPointsOf } from "./scores/spread.ts";
import { OUT } from "./tournament.ts";

/** How much is remembered. What was longest without an ask is forgotten first, and made anew when it is asked again. */
export interface TurnsLimits {
  readonly shapes: number;
  readonly classes: number;
}

/** What shapes may take: 500 of them at 10,000 nodes. */
const SHAPES_BYTES_MAX = 256 * MIB;
const BYTES_PER_NODE = 56;
/** Kept whatever the size of the cluster, since one batch mostly has more than one. */
const SHAPES_MIN = 8;
/** Some KB each: twice as many as services that one batch may well mix. */
const CLASSES_MAX = 10_000;

/** The limits for a cluster of so many nodes. */
export function turnsLimits(nodes: number): TurnsLimits {
  const byMemory = Math.floor(SHAPES_BYTES_MAX / (BYTES_PER_NODE * Math.max(1, nodes)));
  const shapes = Math.max(SHAPES_MIN, Math.min(CLASSES_MAX, byMemory));
  return { shapes, classes: CLASSES_MAX };
}

/** The answer for one ask. */
export interface Found {
  readonly best: Candidate | undefined;
  /** Nodes that would do. */
  readonly count: number;
  readonly scorer: Scorer;
}

/** What asks of one class have in common. */
interface AskClass {
  readonly ask: Subject["ask"];
  readonly shape: string;
  readonly scorer: Scorer;
  readonly points: readonly WeightedReach[];
  readonly seat: Seat;
  /** Does `seat.worth` refuse nodes, not only lower them? */
  readonly limited: boolean;
}

/** The turns of one cluster: every subject is of the same. */
export class Turns {
  readonly #options: ScheduleOptions;
  /** Sums of whole points are exact, and points that only take away make bounds. */
  readonly #bounded: boolean;
  readonly #worths: Recent<NodeWorths>;
  readonly #classes: Recent<AskClass>;
  /** Of the last ask: the next one is mostly of the same class. */
  #last:
    | { readonly kind: AskClass; readonly level: string | undefined; readonly worths: NodeWorths }
    | undefined;
  #looks = 0;

  constructor(options: ScheduleOptions, limits: TurnsLimits) {
    this.#options = options;
    this.#worths = new Recent(limits.shapes);
    this.#classes = new Recent(limits.classes);
    this.#bounded = areBounded(options.weights);
  }

  /** Nodes that were looked at since the beginning, by rule or by search. */
  get looks(): number {
    return this.#looks;
  }

  /** The nodes that must be looked at for asks that share one: all, but for rules that name the only ones that may do. */
  nodesFor(subjects: readonly Subject[]): readonly NodeState[] {
    for (const subject of subjects) {
      const only = onlyNodes(subject);
      if (only !== undefined) return only.flatMap((id) => subject.cluster.node(id) ?? []);
    }
    return subjects[0]?.cluster.nodes ?? [];
  }

  /** The best node for the ask of the subject; `undefined` when only a look at every node can tell. */
  find(subject: Subject): Found | undefined {
    if (!this.#bounded || !areBounded(subject.ask.weights)) return undefined;
    if (subject.companions.size > 0) return undefined;
    if (onlyNodes(subject) !== undefined) return undefined;
    const usable: UsableNodes = { list: () => [] };
    const reaches = reachesOf(subject, () => usable.list());
    if (reaches === undefined) return undefined;
    const kind = this.#classOf(subject);
    const level = levelOf(reaches, kind.points);
    if (level === null) return undefined;
    const last = this.#last;
    const worths =
      last?.kind === kind && last.level === level
        ? last.worths
        : this.#worthsOf(subject, kind, level);
    usable.list = () => firstUsable(worths);
    this.#looks += worths.catchUp();
    // The second ask in a row of a class sits down; an interleaved one would only get up again.
    if (worths.seat !== kind.seat) worths.giveSeat(last?.kind === kind ? kind.seat : undefined);
    if (last?.worths !== worths || last.kind !== kind) this.#last = { kind, level, worths };
    if (reaches.length + kind.points.length === 0 && worths.seat === kind.seat) {
      return onTop(kind, worths);
    }
    const search = new Search(kind, worths, { reaches, level });
    const best = search.best();
    this.#looks += search.looks;
    return { best, count: search.count(subject), scorer: kind.scorer };
  }

  #classOf(subject: Subject): AskClass {
    const last = this.#last?.kind;
    if (last !== undefined && sameClass(last.ask, subject.ask)) return last;
    return this.#classes.of(classKey(subject.ask), () => classOf(subject, this.#options));
  }

  #worthsOf(subject: Subject, kind: AskClass, level: string | undefined): NodeWorths {
    // No shape begins like a level: it is an object.
    const key = level === undefined ? kind.shape : `${level}\n${kind.shape}`;
    return this.#worths.of(key, () => {
      const shape = { ...subject, ask: shapeOf(subject.ask) };
      return new NodeWorths(shape, level, this.#options);
    });
  }
}

function areBounded(weights: Partial<Weights> | undefined): boolean {
  if (weights === undefined) return true;
  return Object.values(weights).every((weight) => Number.isInteger(weight) && weight >= 0);
}

interface UsableNodes {
  list: () => Iterable<NodeState>;
}

function classOf(subject: Subject, options: ScheduleOptions): AskClass {
  const { ask } = subject;
  const weights = weightsFor(ask, options);
  const copyPoints = copyPointsOf(ask);
  const { service, maxPerNode = Number.POSITIVE_INFINITY } = ask;
  const worth = (score: number, copies: number) =>
    copies >= maxPerNode ? OUT : score + weights.spread * copyPoints(copies);
  return {
    ask,
    shape: JSON.stringify(shapeOf(ask)),
    scorer: scorerOf(subject, options),
    points: pointsReaches(subject, options),
    seat: { service, copies: subject.cluster.copiesOf(service), worth },
    limited: ask.maxPerNode !== undefined,
  };
}

/** The level above the node on which reaches depend; `undefined`: none. `null`: several, of which no search knows. */
function levelOf(
  reaches: readonly Reach[],
  points: readonly WeightedReach[],
): string | undefined | null {
  if (reaches.length + points.length === 0) return undefined;
  const ruled = new Set(reaches.flatMap(({ level }) => (level === "node" ? [] : [level])));
  if (ruled.size > 1) return null;
  const [first] = [...ruled, ...points.flatMap(({ reach }) => reach.levels)];
  return first;
}

/** The answer where the trees hold everything that matters. */
function onTop({ scorer }: AskClass, worths: NodeWorths): Found {
  let best: Candidate | undefined;
  let count = 0;
  for (const { tree, nodes } of worths.regions) {
    count += tree.entrants;
    const at = tree.best();
    const node = at === undefined ? undefined : nodes[at];
    if (at !== undefined && node !== undefined) best = better(best, node, tree.score(at));
  }
  return { best, count, scorer };
}

/** A node of each region that has a usable one. */
function firstUsable(worths: NodeWorths): readonly NodeState[] {
  return worths.regions.flatMap(({ nodes, usable }) => (usable === 0 ? [] : (nodes[0] ?? [])));
}

interface Rules {
  readonly reaches: readonly Reach[];
  readonly level: string | undefined;
}

/** The search for one ask. */
class Search {
  looks = 0;
  readonly #kind: AskClass;
  readonly #worths: NodeWorths;
  /** Rules that each node answers for itself. */
  readonly #ofNodes: readonly Reach[];
  readonly #open: ReadonlySet<Region>;
  readonly #fields: readonly Field[];

  constructor(kind: AskClass, worths: NodeWorths, { reaches, level }: Rules) {
    this.#kind = kind;
    this.#worths = worths;
    this.#ofNodes = reaches.filter((reach) => reach.level === "node");
    const ofRegions = reaches.filter((reach) => reach.level !== "node");
    const open = worths.regions.filter(({ nodes: [first] }) => {
      return first !== undefined && ofRegions.every((reach) => reach.admits(first));
    });
    this.#open = new Set(open);
    this.#fields = open.flatMap(({ tree, nodes }) => {
      const [first] = nodes;
      if (first === undefined) return [];
      let bonus = 0;
      for (const { weight, reach } of kind.points) bonus += weight * reach.most(first, level);
      return [{ tree, nodes, bonus }];
    });
  }

  best(): Candidate | undefined {
    let best: Candidate | undefined;
    for (const { reach } of this.#kind.points) {
      for (const node of reach.favoured?.() ?? []) {
        const score = this.#open.has(this.#worths.regionOf(node)) ? this.#worth(node) : OUT;
        best = better(best, node, score);
      }
    }
    return bestFirst(this.#fields, this.#worth, best);
  }

  /** Nodes that would do: those of the open regions less the ones that are refused by themselves. */
  count({ cluster }: Subject): number {
    let count = 0;
    for (const { tree } of this.#open) count += tree.entrants;
    const seated = this.#worths.seat === this.#kind.seat;
    const limited = this.#kind.limited && !seated;
    if (!limited && this.#ofNodes.length === 0) return count;
    const doubtful = new Set<NodeState>();
    if (limited)
      for (const node of cluster.nodesOfService(this.#kind.seat.service)) doubtful.add(node);
    for (const reach of this.#ofNodes)
      for (const node of reach.refusable?.() ?? []) doubtful.add(node);
    for (const node of doubtful) {
      const entered = this.#open.has(this.#worths.regionOf(node)) && this.#enters(node, seated);
      if (entered && this.#worth(node) === OUT) count--;
    }
    return count;
  }

  /** Is the node among the entrants of its tree? */
  #enters(node: NodeState, seated: boolean): boolean {
    const score = this.#worths.score(node);
    if (score === OUT) return false;
    const { seat } = this.#kind;
    return !seated || seat.worth(score, seat.copies(node)) !== OUT;
  }

  readonly #worth = (node: NodeState): number => {
    this.looks++;
    const score = this.#worths.score(node);
    if (score === OUT) return OUT;
    for (const reach of this.#ofNodes) if (!reach.admits(node)) return OUT;
    const { seat, points } = this.#kind;
    let worth = seat.worth(score, seat.copies(node));
    for (const { weight, reach } of points) worth += weight * reach.points(node);
    return worth;
  };
}

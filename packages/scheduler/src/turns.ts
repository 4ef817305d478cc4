/**
 * Remembers what each node is worth to asks of one kind, so that only nodes that changed are looked at again.
 *
 * Asks are of one *shape* when all but identity, service, priority and gang is equal, and of one *class* when the
 * service is equal too. A shape keeps the nodes' scores for a service without copies; a class begins as a
 * copy of its shape, in which the nodes that hold copies of the service are valued anew. After that each
 * ask costs the nodes that changed since the last one of its class.
 *
 * Invariant: a turn answers as a look at every node would (`turns.prop.test.ts`). It can, because rules and
 * scores say themselves when an answer depends on more than the node (`looksBeyond`); such asks have no turn.
 * Cost: O(nodes × rules) for a new shape, O(nodes) copied bytes and O(copies) looks for a new class, then
 * O(changes × (rules + log nodes)) for an ask.
 */

import type { NodeState } from "./cluster-state.ts";
import type { Subject } from "./filter.ts";
import type { ScheduleOptions } from "./options.ts";
import {
  type Candidate,
  firstFinding,
  looksBeyond,
  prepareChecks,
  type RuleCheck,
  type Scorer,
  scorerOf,
} from "./pipeline.ts";
import { OUT, Tournament } from "./tournament.ts";

/**
 * Turns kept at a time, shapes and classes together; the one that was longest without an ask goes first. At
 * 10,000 nodes a turn takes 256 KiB, so all of them take 16 MiB; at 100,000 nodes 128 MiB.
 */
export const TURNS_MAX = 64;

/** Key of the service that nobody's copy is of. */
const NOBODY = "";

/** The turns of one cluster: every subject is of the same. */
export class Turns {
  readonly #options: ScheduleOptions;
  /** The longest unused first. */
  readonly #turns = new Map<string, Turn>();

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** The turn of the ask, up to date; `undefined` when its rules or scores look beyond the node. */
  turnOf(subject: Subject): Turn | undefined {
    if (looksBeyond(subject)) return undefined;
    const shape = shapeOf(subject);
    // A shape has no line break of its own, so no two pairs make one key.
    const key = `${subject.ask.service}\n${shape}`;
    const turn = this.#kept(key) ?? this.#keep(key, this.#newClass(subject, shape));
    turn.catchUp();
    return turn;
  }

  #newClass(subject: Subject, shape: string): Turn {
    const key = `${NOBODY}\n${shape}`;
    const nobody = { ...subject, ask: { ...subject.ask, service: NOBODY } };
    const base = this.#kept(key) ?? this.#keep(key, new Turn(nobody, this.#options));
    base.catchUp();
    const turn = new Turn(subject, this.#options);
    turn.startFrom(base);
    return turn;
  }

  #kept(key: string): Turn | undefined {
    const turn = this.#turns.get(key);
    if (turn !== undefined) {
      this.#turns.delete(key);
      this.#turns.set(key, turn);
    }
    return turn;
  }

  #keep(key: string, turn: Turn): Turn {
    this.#turns.set(key, turn);
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= TURNS_MAX) break;
      this.#turns.delete(oldest);
    }
    return turn;
  }
}

/** The nodes as asks of one class see them. */
export class Turn {
  /** Valid for every ask of the class. */
  readonly scorer: Scorer;
  readonly #subject: Subject;
  readonly #checks: readonly RuleCheck[];
  readonly #scores: Tournament;
  /** Changes of nodes that are in the scores; `undefined` before the first look. */
  #seen: number | undefined;

  constructor(subject: Subject, options: ScheduleOptions) {
    this.#subject = subject;
    this.#checks = prepareChecks(subject);
    this.scorer = scorerOf(subject, options);
    this.#scores = new Tournament(subject.cluster.nodes.length);
  }

  /** Nodes that would do. */
  get candidates(): number {
    return this.#scores.entrants;
  }

  /** The best node, as `compareCandidates` has it. */
  best(): Candidate | undefined {
    const place = this.#scores.best();
    if (place === undefined) return undefined;
    return { node: this.#subject.cluster.nodeAt(place), score: this.#scores.score(place) };
  }

  /** Takes over the scores of the shape; nodes with copies of the service are looked at. */
  startFrom(shape: Turn): void {
    const { ask, cluster } = this.#subject;
    this.#scores.copyFrom(shape.#scores);
    this.#seen = shape.#seen;
    for (const node of cluster.nodesOfService(ask.service)) this.#look(node);
  }

  /** Looks at the nodes that changed since the last time, at all of them the first time. */
  catchUp(): void {
    const { changes, nodes } = this.#subject.cluster;
    const look = (place: number) => this.#look(this.#subject.cluster.nodeAt(place));
    const told = this.#seen !== undefined && changes.visitSince(this.#seen, look);
    if (!told) for (const node of nodes) this.#look(node);
    this.#seen = changes.count;
  }

  #look(node: NodeState): void {
    const refused = firstFinding(this.#checks, node) !== undefined;
    this.#scores.set(node.place, refused ? OUT : this.scorer.total(node));
  }
}

/** Equal for asks that every rule and score treats alike, apart from the copies of their service. */
function shapeOf({ ask }: Subject): string {
  const { id, service, slot, priority, gang, ...shape } = ask;
  return JSON.stringify(shape);
}

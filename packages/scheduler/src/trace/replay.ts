/**
 * Lets a trace happen: asks arrive in their order, tasks leave, nodes fail and come back.
 *
 * Online means that nothing is known of what comes later: each ask is decided when it arrives, against the
 * cluster as it is, and one that fits somewhere is never refused. Asks of one gang or pod are decided
 * together when the last of them has arrived. Tasks of a node that fails ask again at that moment, in the
 * order in which they were placed; so do tasks that had to go for an ask of higher priority. A refused ask does not ask again,
 * unless refused asks wait (`waits`): then those that stand alone ask again, the first first, whenever room came back, and run for
 * as long as they would have.
 * Cost: that of each decision, and O(log tasks) for a task that leaves by itself.
 */

import { assert } from "@berth/base";
import type { Decision } from "../decision.ts";
import { explainRules } from "../explain.ts";
import type { Ask, DeviceAssignment } from "../model.ts";
import type { Refusal } from "../plan.ts";
import type { TraceAsk } from "./ask-line.ts";
import { Departures } from "./departures.ts";
import type { ReplayEngine } from "./replay-engine.ts";

/** A node is away from `atMs` on, for ever or until `backMs`. */
export interface NodeFailure {
  readonly node: string;
  readonly atMs: number;
  readonly backMs: number | undefined;
}

/** What became of an ask. One that lost its place, with its node or to another ask, has a second one. */
export type Outcome =
  | {
      readonly kind: "placed";
      readonly atMs: number;
      readonly ask: TraceAsk;
      readonly decision: Decision;
      readonly node: string;
    }
  | {
      /** It had to go for `by`, and asks again. */
      readonly kind: "displaced";
      readonly atMs: number;
      readonly ask: TraceAsk;
      readonly by: string;
    }
  | {
      readonly kind: "refused";
      readonly atMs: number;
      readonly ask: TraceAsk;
      readonly refusal: () => Refusal;
    };

/** A task that runs when the trace begins. */
export interface HeldTask {
  readonly ask: TraceAsk;
  readonly node: string;
  readonly devices?: readonly DeviceAssignment[];
}

export interface ReplayInput {
  readonly engine: ReplayEngine;
  /** What runs already; none when absent. They leave and are lost with their nodes as others are. */
  readonly held?: readonly HeldTask[];
  /** In the order of arrival. */
  readonly asks: Iterable<TraceAsk>;
  readonly failures: readonly NodeFailure[];
  /** Asks without a place wait for one, until the trace has no more departures. They do not when absent. */
  readonly waits?: boolean;
  readonly onOutcome: (outcome: Outcome) => void;
  /** Called after each arrival, departure or failure with the tasks that hold a place now. */
  readonly onChange?: (replay: Replay) => void;
}

/** The cluster of a trace at one moment. */
export class Replay {
  readonly #engine: ReplayEngine;
  readonly #input: ReplayInput;
  /** Asks that hold a place, with their nodes, in the order in which they were placed. */
  readonly #placed = new Map<string, { readonly ask: TraceAsk; readonly node: string }>();
  readonly #departures = new Departures();
  /** In the order in which they began to wait. */
  readonly #waiting = new Map<string, Waiting>();
  /** Tasks by node, of nodes that have any. */
  readonly #tasksOn = new Map<string, number>();
  #hostsUsedMost = 0;
  readonly #failures: readonly FailureEvent[];
  #nextFailure = 0;
  #nowMs = 0;

  constructor(input: ReplayInput) {
    this.#input = input;
    this.#engine = input.engine;
    this.#failures = eventsOf(input.failures);
    for (const { ask, node, devices } of input.held ?? []) {
      const isThere = this.#engine.hold(ask.ask, node, devices);
      assert(isThere, `${ask.ask.id} runs on ${node}, which is no node`);
      this.#keep(ask, node);
    }
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Node by ask, for all that hold a place. */
  get placed(): ReadonlyMap<string, { readonly ask: TraceAsk; readonly node: string }> {
    return this.#placed;
  }

  /** The most hosts that had a task at one time. */
  get hostsUsedMost(): number {
    return this.#hostsUsedMost;
  }

  /** Runs the whole trace; what happens after the last arrival is left out unless it has a time. */
  run(): void {
    const together = new Map<string, TraceAsk[]>();
    const sizes = sizesOf(this.#input.asks);
    for (const ask of this.#input.asks) {
      this.#advance(Math.max(this.#nowMs, ask.arriveMs ?? 0));
      const key = togetherKey(ask.ask);
      if (key === undefined) {
        this.#decide([ask]);
        continue;
      }
      const group = together.get(key) ?? [];
      group.push(ask);
      together.set(key, group);
      if (group.length === sizes.get(key)) this.#decide(group);
    }
    this.#advance(Math.max(this.#nowMs, this.#lastFailureMs()));
    for (let next = this.#departures.next(); next !== undefined; next = this.#departures.next()) {
      if (this.#waiting.size === 0) break;
      this.#advance(Math.max(this.#nowMs, next.atMs));
    }
    for (const { ask, refusal } of this.#waiting.values()) {
      this.#tell({ kind: "refused", atMs: this.#nowMs, ask, refusal });
    }
  }

  #decide(asks: readonly TraceAsk[]): void {
    const decisions = this.#engine.decide(
      asks.map(({ ask }) => ask),
      this.#nowMs,
    );
    const displaced: TraceAsk[] = [];
    for (const [index, decision] of decisions.entries()) {
      const ask = asks[index];
      assert(ask?.ask.id === decision.ask, "decisions stand in the order of their asks");
      const { node } = decision;
      if (node !== undefined) {
        this.#settle(ask, decision, node);
        for (const id of decision.victims ?? []) displaced.push(this.#displace(id, decision.ask));
      } else {
        const refusal = decision.refusal ?? noRefusal(decision.ask);
        const waits = this.#input.waits === true && togetherKey(ask.ask) === undefined;
        if (waits) this.#waiting.set(ask.ask.id, { ask, refusal, sinceMs: this.#nowMs });
        else this.#tell({ kind: "refused", atMs: this.#nowMs, ask, refusal });
      }
    }
    this.#input.onChange?.(this);
    // Ends: whoever displaces is of higher priority than who is displaced.
    for (const ask of displaced) this.#decide([ask]);
  }

  /** Room came back: who waits asks again, the first first. */
  #askAgain(): void {
    for (const [id, { ask, sinceMs }] of [...this.#waiting]) {
      const [decision] = this.#engine.decide([ask.ask], this.#nowMs);
      const { node } = decision ?? {};
      if (decision === undefined || node === undefined) continue;
      this.#waiting.delete(id);
      const { departMs } = ask;
      const waitedMs = this.#nowMs - sinceMs;
      const later = departMs === undefined ? ask : { ...ask, departMs: departMs + waitedMs };
      this.#settle(later, decision, node);
      for (const victim of decision.victims ?? []) this.#decide([this.#displace(victim, id)]);
    }
  }

  /** The engine has taken it away already. */
  #displace(id: string, by: string): TraceAsk {
    const task = this.#placed.get(id);
    assert(task !== undefined, `${id} was displaced and holds no place`);
    this.#forget(id, task.node);
    this.#tell({ kind: "displaced", atMs: this.#nowMs, ask: task.ask, by });
    return task.ask;
  }

  #settle(ask: TraceAsk, decision: Decision, node: string): void {
    this.#keep(ask, node);
    this.#tell({ kind: "placed", atMs: this.#nowMs, ask, decision, node });
  }

  #keep(ask: TraceAsk, node: string): void {
    const { id } = ask.ask;
    this.#placed.set(id, { ask, node });
    this.#tasksOn.set(node, (this.#tasksOn.get(node) ?? 0) + 1);
    this.#hostsUsedMost = Math.max(this.#hostsUsedMost, this.#tasksOn.size);
    if (ask.departMs !== undefined) this.#departures.add(ask.departMs, id);
  }

  #tell(outcome: Outcome): void {
    this.#input.onOutcome(outcome);
  }

  /** Lets everything happen that is due until `ms`; who leaves makes room for who comes at the same moment. */
  #advance(ms: number): void {
    for (;;) {
      const failure = this.#failures[this.#nextFailure];
      const leaving = this.#departures.next();
      const first = Math.min(
        failure?.atMs ?? Number.POSITIVE_INFINITY,
        leaving?.atMs ?? Number.POSITIVE_INFINITY,
      );
      if (first > ms) break;
      this.#nowMs = Math.max(this.#nowMs, first);
      if (leaving !== undefined && leaving.atMs === first) {
        this.#departures.remove();
        this.#leave(leaving.id, leaving.atMs);
      } else if (failure !== undefined) {
        this.#nextFailure++;
        this.#turn(failure);
      }
    }
    this.#nowMs = ms;
  }

  #leave(id: string, atMs: number): void {
    const task = this.#placed.get(id);
    // It may have been lost with its node meanwhile, or refused when it asked again.
    if (task?.ask.departMs !== atMs) return;
    this.#release(id, task.node);
    this.#askAgain();
    this.#input.onChange?.(this);
  }

  #release(id: string, node: string): void {
    const released = this.#engine.release(id);
    assert(released, `${id} holds no place`);
    this.#forget(id, node);
  }

  #forget(id: string, node: string): void {
    this.#placed.delete(id);
    const left = (this.#tasksOn.get(node) ?? 0) - 1;
    if (left === 0) this.#tasksOn.delete(node);
    else this.#tasksOn.set(node, left);
  }

  #turn({ node, kind }: FailureEvent): void {
    this.#engine.turn(node, { ready: kind === "back" });
    if (kind === "back") {
      this.#askAgain();
      return;
    }
    const lost = [...this.#placed].filter(([, task]) => task.node === node);
    for (const [id] of lost) this.#release(id, node);
    for (const [, task] of lost) this.#decide([task.ask]);
  }

  #lastFailureMs(): number {
    return this.#failures.at(-1)?.atMs ?? 0;
  }
}

interface Waiting {
  readonly ask: TraceAsk;
  readonly refusal: () => Refusal;
  readonly sinceMs: number;
}

/** The words of a refusal, the most frequent reason first: `4 lack memory (need 2 GiB, most free is 1.4 GiB)`. */
export function refusalWords(refusal: Refusal): readonly string[] {
  if (refusal.nodesTotal === 0) return ["there are no nodes"];
  return explainRules(refusal).map(({ count, words }) => `${count} ${words}`);
}

function noRefusal(ask: string): () => Refusal {
  return () => ({ ask, nodesTotal: 0, rules: [], hints: [] });
}

interface FailureEvent {
  readonly atMs: number;
  readonly node: string;
  readonly kind: "away" | "back";
}

function eventsOf(failures: readonly NodeFailure[]): readonly FailureEvent[] {
  return failures
    .flatMap(({ node, atMs, backMs }): readonly FailureEvent[] => [
      { atMs, node, kind: "away" },
      ...(backMs === undefined ? [] : [{ atMs: backMs, node, kind: "back" as const }]),
    ])
    .sort((a, b) => a.atMs - b.atMs);
}

/** What must be decided in one go. */
function togetherKey({ gang, pod }: Ask): string | undefined {
  if (gang !== undefined) return `gang ${gang}`;
  return pod === undefined ? undefined : `pod ${pod}`;
}

function sizesOf(asks: Iterable<TraceAsk>): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { ask } of asks) {
    const key = togetherKey(ask);
    if (key !== undefined) sizes.set(key, (sizes.get(key) ?? 0) + 1);
  }
  return sizes;
}

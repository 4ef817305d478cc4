/**
 * Keeps every stack as its release, its scales and its nodes say: the chain evaluation → reconcile →
 * schedule → plan → commit, for one stack at a time, for several stacks at once.
 *
 * Thin: what is decided is decided in `reconcile/` and `plan/`; here are the queue, the commits and the
 * memory of what is waited for. A commit that was overtaken, or that succeeded, is followed by another
 * look; a look that finds nothing to do ends the chain.
 *
 * Design page: docs/design/control-plane.md.
 */

import { backoffMs, type Loop, type LoopResult } from "@berth/base";
import { keys, type Release, type Stack, serviceKey, stackKey, type Wait } from "@berth/protocol";
import { makePlan } from "../plan/make-plan.ts";
import { type PlannedTxn, packUnits, Unit } from "../plan/unit.ts";
import { earliest } from "../reconcile/reconcile-service.ts";
import { reconcileStack, type StackDecision } from "../reconcile/reconcile-stack.ts";
import { removeStep } from "../reconcile/remove-stack.ts";
import { tidyStack } from "../reconcile/tidy.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { ControllerDeps } from "./deps.ts";
import { EvaluationQueue } from "./evaluation-queue.ts";
import { touchedStacks } from "./touched-stacks.ts";
import { WaitMemory } from "./wait-memory.ts";

/** Changes come in bursts (100 statuses of one rollout): one look for those of this while. */
const GATHER_MS = 2;
/** A plan that was overtaken is made anew after this: whoever was faster has finished by then. */
const OVERTAKEN_DELAY_MS = 5;
/** No stack goes unlooked-at for longer: a wake-up that was forgotten is a bug, but not for ever. */
const LOOK_AGAIN_MS = 60_000;

/** Between looks at a stack whose evaluation fails: the store may be busy. */
const FAILURE_BACKOFF = { initialMs: 100, maxMs: 30_000 } as const;

export class ServiceController {
  readonly waits = new WaitMemory();
  readonly #deps: ControllerDeps;
  readonly #queue = new EvaluationQueue();
  readonly #busy = new Set<string>();
  /** Failures in a row, by stack. */
  readonly #failures = new Map<string, number>();
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#endListening = this.#deps.state.onChange((batch) => this.#onChange(batch));
    this.#wantAll();
    this.#loop = this.#deps.driver.add({
      name: "service-evaluations",
      purpose: "starts, replaces and stops tasks so that every stack is as its release says",
      gatherMs: GATHER_MS,
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#deps.driver.remove("service-evaluations");
  }

  #onChange(batch: ChangeBatch): void {
    const now = this.#deps.clock.monotonic();
    let all = false;
    let waiting = false;
    for (const change of batch.changes) {
      const touched = touchedStacks(change);
      if (touched.own !== undefined) this.#queue.want(touched.own, now);
      all ||= touched.all;
      waiting ||= touched.waiting;
    }
    if (all) this.#wantAll();
    else if (waiting) for (const stack of this.waits.stacks()) this.#queue.want(stack, now);
    this.#loop?.wake();
  }

  #wantAll(): void {
    const now = this.#deps.clock.monotonic();
    for (const { value } of this.#deps.state.view.stacks.all()) {
      this.#queue.want(stackKey(value), now);
    }
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const workers = Array.from({ length: this.#deps.settings.parallelStacks }, () =>
      this.#work(signal),
    );
    await Promise.all(workers);
    const due = this.#queue.nextDue();
    if (due === undefined) return;
    return { againMs: Math.max(0, due - this.#deps.clock.monotonic()) };
  }

  /** Looks at one due stack after the other until none is. */
  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const stack = this.#queue.take(this.#deps.clock.monotonic(), this.#busy);
      if (stack === undefined || signal.aborted) return;
      this.#busy.add(stack);
      try {
        await this.#evaluate(stack, signal);
        this.#failures.delete(stack);
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(stack, error);
      } finally {
        this.#busy.delete(stack);
      }
    }
  }

  /** One stack that cannot be evaluated must not hold up the others: it backs off alone. */
  #failed(stack: string, error: unknown): void {
    const { clock, log } = this.#deps;
    const failures = (this.#failures.get(stack) ?? 0) + 1;
    this.#failures.set(stack, failures);
    const delayMs = backoffMs(failures, FAILURE_BACKOFF);
    log.warn("evaluation failed", { stack, error, failures, delayMs });
    this.#queue.want(stack, clock.monotonic() + delayMs);
  }

  async #evaluate(name: string, signal: AbortSignal): Promise<void> {
    const { state, committer, clock } = this.#deps;
    const [project = "", environment = "", stackName = ""] = name.split("/");
    const stack = state.view.stacks.get(keys.stack({ project, environment, stack: stackName }));
    if (stack === undefined) return this.waits.forget(name);
    const round = this.#decide(stack);
    if (round === undefined) return;
    if (round.txns.length > 0) {
      const outcome = await committer.commit(round.txns, signal);
      const delay = outcome === "overtaken" ? OVERTAKEN_DELAY_MS : 0;
      this.#queue.want(name, clock.monotonic() + delay);
      return;
    }
    const waitMs = Math.max(1, (round.nextLookAtMs ?? Number.POSITIVE_INFINITY) - clock.now());
    this.#queue.want(name, clock.monotonic() + Math.min(waitMs, LOOK_AGAIN_MS));
  }

  /** Everything that follows from the state as it is now: one synchronous pass. */
  #decide(stack: Entity<Stack>): Round | undefined {
    const { state, clock, settings, ids, inFlight, standing, reservations, leadership } =
      this.#deps;
    const { view } = state;
    const now = clock.now();
    const decision = reconcileStack(view, stack.value, now);
    const release = this.#releaseOf(stack.value);
    if (release === undefined) return undefined;
    const context = { view, stack, release, now, settings, ids, inFlight };
    const input = { ...context, standing, reservations };
    const plan = makePlan(input, decision.services, leadership());
    const after = this.#afterwards(stack, decision, now);
    this.#remember(stack.value, decision, plan.waits, after.waits);
    const units = packUnits(after.units, leadership());
    const nextLookAtMs = earliest([decision.nextLookAtMs, after.nextLookAtMs]);
    return {
      txns: [...plan.txns, ...units],
      ...(nextLookAtMs === undefined ? {} : { nextLookAtMs }),
    };
  }

  #releaseOf(stack: Stack): Release | undefined {
    const release = this.#deps.state.view.releases.get(keys.release(stack, stack.release))?.value;
    if (release !== undefined) return release;
    // A stack that is being removed loses its releases before itself.
    if (stack.deleting !== undefined) return noRelease(stack);
    this.#deps.log.error("a stack's release is missing", {
      stack: stackKey(stack),
      release: stack.release,
    });
    return undefined;
  }

  #afterwards(stack: Entity<Stack>, decision: StackDecision, now: number): Afterwards {
    const { state, settings, ids } = this.#deps;
    if (stack.value.deleting !== undefined) {
      const { services } = decision;
      const removal = { view: state.view, stack, services, now, newId: ids.identifier };
      return removeStep(removal);
    }
    const tidying = tidyStack(state.view, stack, now, settings);
    const rollout = new Unit();
    if (decision.stack !== undefined) {
      rollout.expect(stack.key, stack.revision);
      rollout.put(stack.key, encode(decision.stack));
    }
    return { ...tidying, units: [...tidying.units, rollout], waits: [] };
  }

  #remember(
    stack: Stack,
    decision: StackDecision,
    placeWaits: ReadonlyMap<string, readonly Wait[]>,
    stackWaits: readonly Wait[],
  ): void {
    const now = this.#deps.clock.now();
    const name = stackKey(stack);
    const byService = new Map<string, readonly Wait[]>();
    for (const { service, input, decision: each } of decision.services) {
      const waits = [...each.waits, ...(placeWaits.get(service) ?? [])];
      byService.set(serviceKey(input.scope), waits);
    }
    const hasNoPlace = placeWaits.size > 0 || decision.services.some(waitsForOthers);
    this.waits.remember(name, { byService, stackWaits, hasNoPlace }, now);
  }
}

interface Round {
  readonly txns: readonly PlannedTxn[];
  readonly nextLookAtMs?: number;
}

interface Afterwards {
  readonly units: readonly Unit[];
  readonly waits: readonly Wait[];
  readonly nextLookAtMs?: number;
}

/** Waits that end when another stack gives something up. */
function waitsForOthers({ decision }: StackDecision["services"][number]): boolean {
  return decision.waits.some(({ kind }) => kind === "volume" || kind === "address");
}

function noRelease(stack: Stack): Release {
  const { project, environment } = stack;
  return {
    project,
    environment,
    stack: stack.stack,
    number: Math.max(1, stack.release),
    createdAt: stack.createdAt,
    createdBy: "berth",
    services: {},
    networks: {},
    volumes: {},
    configs: {},
    secrets: {},
  };
}

/**
 * Runs one task: observe → step → record → operation → settle, until there is something to wait for.
 *
 * One operation at a time; its effect begins after the record that announces it is durable. A failure that
 * waiting may mend is tried again in place, with growing pauses; any other ends the attempt. A change of
 * what is wanted cancels what may be cancelled. The loop driver calls it; it owns no timer.
 * Design page: docs/design/tasks.md
 */

import { backoffMs, type Loop, type LoopResult, present } from "@berth/base";
import { asProtocolError, isFinal, serviceKey } from "@berth/protocol";
import { gatingPorts } from "../probes/probe-plan.ts";
import type { ContainerState } from "../runtime/port.ts";
import { LABEL_ATTEMPT } from "../runtime/port.ts";
import type { ToldTask } from "../state/agent-state.ts";
import { holderAmong } from "../state/volume-locks.ts";
import { withDeadline } from "./deadline.ts";
import { type AttemptMemory, EFFECTS } from "./effects.ts";
import type { HostStopFact } from "./host-stop.ts";
import { OPERATIONS, type Operation, type OperationResult } from "./operation.ts";
import { type TaskRecord, without } from "./record.ts";
import { settle, settleFailure } from "./settle.ts";
import { step } from "./step.ts";
import {
  isAlive,
  type LockFact,
  type PodFact,
  type StepInput,
  type WaitReason,
} from "./step-input.ts";
import { ACKNOWLEDGE_MS_MAX } from "./stop-rules.ts";
import type { TaskPorts } from "./task-ports.ts";

/** Steps of one run: a task that takes more in one go is cut off for a turn so that others get theirs. */
const TURNS_MAX = 32;
/** Pauses of operations that are tried again in the same state. */
const RETRY = { initialMs: 100, maxMs: 15_000 } as const;
/** Codes that say nothing against the attempt: the engine or net is away, or somebody was faster. */
const MENDED_BY_WAITING: ReadonlySet<string> = new Set([
  "unavailable",
  "timed_out",
  "conflict",
  "node_unreachable",
  "too_many_requests",
]);

const FRESH: AttemptMemory = {
  mounts: undefined,
  networking: undefined,
  attendedId: undefined,
  probing: false,
  hooked: false,
  drained: false,
  gathered: false,
};

export class TaskRunner {
  readonly task: string;
  readonly #ports: TaskPorts;
  #told: ToldTask;
  #memory: AttemptMemory = { ...FRESH };
  #loop: Loop | undefined;
  #running: { readonly operation: Operation; readonly abort: AbortController } | undefined;
  #retry: { readonly failures: number; readonly at: number } | undefined;
  #waiting: WaitReason | undefined;
  #forgotten = false;
  #isUnwritten = false;

  constructor(told: ToldTask, ports: TaskPorts) {
    this.task = told.assignment.task.id;
    this.#told = told;
    this.#ports = { ...ports, log: ports.log.with({ task: this.task }) };
  }

  /** What it waits for, when it waits. */
  get waiting(): WaitReason | undefined {
    return this.#waiting;
  }

  /** Nothing of it is left, here or at the server. */
  get forgotten(): boolean {
    return this.#forgotten;
  }

  bind(loop: Loop): void {
    this.#loop = loop;
  }

  wake(): void {
    this.#loop?.wake();
  }

  /** What the server wants has changed. */
  tell(told: ToldTask): void {
    const before = this.#told;
    this.#told = told;
    // A release may change what is checked without a new container.
    if (checksOf(before) !== checksOf(told)) this.#memory.probing = false;
    if (before.intent !== told.intent) {
      this.#retry = undefined;
      const running = this.#running;
      if (told.intent !== "run" && running && OPERATIONS[running.operation].cancelled) {
        running.abort.abort(new Error(`${running.operation} is not wanted any more`));
      }
    }
    this.wake();
  }

  /** The host stops, or it is isolated: whatever is waited for is looked at again under the new deadline. */
  reconsider(): void {
    const running = this.#running;
    const waits = running?.operation === "leave" || running?.operation === "drain";
    if (running !== undefined && (waits || OPERATIONS[running.operation].cancelled)) {
      running.abort.abort(new Error("the host stops, or no server is reached"));
    }
    this.#retry = undefined;
    this.wake();
  }

  /** One run of its loop. */
  async run(signal: AbortSignal): Promise<LoopResult> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      signal.throwIfAborted();
      const pauseMs = (this.#retry?.at ?? 0) - this.#ports.clock.monotonic();
      if (this.#retry !== undefined && pauseMs > 0) return { againMs: pauseMs };
      const decision = step(this.#input());
      this.#waiting = decision.wait;
      this.#note(decision.next);
      if (decision.wait === undefined && decision.command === undefined) continue;
      await this.#commit();
      if (decision.wait !== undefined) {
        if (decision.waitUntil === undefined) return;
        return { againMs: Math.max(0, decision.waitUntil - this.#ports.clock.now()) };
      }
      if (decision.command === undefined) continue;
      await this.#operate(decision.command, signal);
      if (this.#forgotten) return;
    }
    return { againMs: 0 };
  }

  #input(): StepInput {
    const { state, containers, clock, bootId, probes } = this.#ports;
    const record = state.records.get(this.task);
    const [container, leftovers] = split(containers.of(this.task), record?.attempt);
    const memory = this.#memory;
    return {
      intent: this.#told.intent,
      assignment: this.#told.assignment,
      record,
      container,
      leftovers,
      now: clock.now(),
      facts: {
        bootId,
        contactSinceBoot: state.server.contactBootId === bootId,
        lock: this.#lockFact(),
        pod: this.#podFact(),
        prepared: memory.mounts !== undefined,
        attended: memory.attendedId !== undefined && memory.attendedId === container?.id,
        probing: memory.probing,
        probes: probes.factsOf(this.task),
        liveTurn: this.#liveTurn(),
        hooked: memory.hooked,
        drained: memory.drained,
        gathered: memory.gathered,
        hostStop: this.#hostStop(),
      },
    };
  }

  /** Taken only when it is wanted; given back once the copy is ready again. */
  #liveTurn(): boolean {
    const { liveTurns, probes, clock, state } = this.#ports;
    const service = serviceKey(this.#told.assignment.task);
    const { live, ready } = probes.factsOf(this.task);
    const record = state.records.get(this.task);
    const isPaused = this.#told.assignment.task.paused !== undefined;
    if (record?.state === "running" && live === "bad" && !isPaused) {
      return liveTurns.take(service, this.task, clock.now());
    }
    const isOver = record !== undefined && isFinal(record.state);
    if (isOver || (record?.ready && ready === "good")) liveTurns.end(service, this.task);
    return true;
  }

  #hostStop(): HostStopFact {
    const { hostStop, state, containers, clock, isIsolated } = this.#ports;
    if (isIsolated(this.task)) return "isolated";
    const others = function* () {
      for (const { assignment } of state.told.values()) {
        const isLiving = containers.of(assignment.task.id).some((each) => isAlive(each));
        yield { assignment, isAlive: isLiving };
      }
    };
    return hostStop.factOf(this.#told.assignment, others, clock.now());
  }

  #lockFact(): LockFact {
    const { state, containers } = this.#ports;
    const { task } = this.#told.assignment;
    if (task.volumes.length === 0) return { kind: "free" };
    const held = state.locks.factOf(task);
    return held.kind === "held" ? held : holderAmong(task, containers.all());
  }

  #podFact(): PodFact {
    const { podTask } = this.#told.assignment.task;
    if (podTask === undefined) return { kind: "alone" };
    const container = this.#ports.podContainer(podTask);
    if (container === undefined) return { kind: "waiting", task: podTask };
    return { kind: "running", task: podTask, containerId: container.id };
  }

  /** Takes the record over in memory. What passes through several states at once is written once. */
  #note(next: TaskRecord): void {
    const { state, wakeWaiting } = this.#ports;
    const before = state.records.get(this.task);
    if (next === before) return;
    if (before === undefined || next.attempt !== before.attempt) this.#memory = { ...FRESH };
    const sequence = Math.max(next.sequence, before?.sequence ?? 0) + 1;
    state.noteRecord({ ...next, sequence });
    this.#isUnwritten = true;
    if (next.state !== before?.state) wakeWaiting("pod");
  }

  /** Makes the record durable, then reports it: never the other way, or a crash would take words back. */
  async #commit(): Promise<void> {
    const { state, report } = this.#ports;
    const record = state.records.get(this.task);
    if (!this.#isUnwritten || record === undefined) return;
    await state.putRecord(record);
    this.#isUnwritten = false;
    report(record);
  }

  async #operate(operation: Operation, parent: AbortSignal): Promise<void> {
    const { clock, onBoundary, state } = this.#ports;
    const abort = new AbortController();
    const signal = AbortSignal.any([parent, abort.signal]);
    this.#running = { operation, abort };
    try {
      await onBoundary(this.task, operation, "before");
      const record = present(state.records.get(this.task), "the record that was written");
      const deadline = { ms: this.#deadlineMs(operation), what: operation, parent: signal };
      const result = await withDeadline(clock, deadline, (limited) =>
        EFFECTS[operation]({
          ports: this.#ports,
          told: this.#told,
          record,
          memory: this.#memory,
          signal: limited,
          wake: () => this.wake(),
        }),
      );
      await onBoundary(this.task, operation, "after");
      this.#mended();
      if (operation === "forget") this.#forgotten = true;
      else if (result !== undefined) await this.#settle(result);
    } catch (error) {
      parent.throwIfAborted();
      if (!abort.signal.aborted) await this.#failed(operation, error);
    } finally {
      this.#running = undefined;
    }
  }

  async #settle(result: OperationResult): Promise<void> {
    const { state, networks, net, wakeWaiting } = this.#ports;
    const record = state.records.get(this.task);
    if (record === undefined) return;
    const next = settle(record, result);
    if (result.operation !== "remove") return this.#note(next);
    const numbered = { ...next, sequence: record.sequence + 1 };
    await state.putRemoved(numbered);
    this.#isUnwritten = false;
    this.#ports.report(numbered);
    net.changed();
    networks.released();
    wakeWaiting("lock");
  }

  async #failed(operation: Operation, cause: unknown): Promise<void> {
    const { state, clock, prng, log } = this.#ports;
    const error = asProtocolError(cause);
    const record = state.records.get(this.task);
    if (record === undefined) return;
    const said = { operation, code: error.code, message: error.message };
    log.warn("operation failed", { ...said, attempt: record.attempt, error });
    const ended = MENDED_BY_WAITING.has(error.code)
      ? record
      : settleFailure(record, said, clock.now());
    if (ended !== record) return this.#note(ended);
    const failures = (this.#retry?.failures ?? 0) + 1;
    this.#retry = { failures, at: clock.monotonic() + backoffMs(failures, RETRY, prng) };
    const told = {
      ...record,
      sequence: record.sequence + 1,
      code: said.code,
      message: said.message,
    };
    state.noteRecord(told);
    this.#ports.report(told);
  }

  /** An operation that was tried again has succeeded: its words are over. */
  #mended(): void {
    if (this.#retry === undefined) return;
    this.#retry = undefined;
    const record = this.#ports.state.records.get(this.task);
    if (record !== undefined) {
      this.#ports.state.noteRecord({ ...without(record, "message", "code") });
    }
  }

  /** The operation's own time and what the file allows it on top. */
  #deadlineMs(operation: Operation): number {
    const { spec } = this.#told.assignment;
    const base = OPERATIONS[operation].deadlineMs;
    if (operation === "stop") return base + spec.stopGraceMs;
    if (operation === "drain") return base + spec.drainMs;
    if (operation === "leave") return base + ACKNOWLEDGE_MS_MAX;
    return base;
  }
}

/** What the prober makes its plan from. */
function checksOf({ assignment }: ToldTask): string {
  return JSON.stringify([assignment.spec.probes, gatingPorts(assignment)]);
}

/** The container of `attempt` (of the highest, without one), and the rest. */
function split(
  containers: readonly ContainerState[],
  attempt: number | undefined,
): [ContainerState | undefined, readonly ContainerState[]] {
  if (containers.length === 0) return [undefined, []];
  const attemptOf = ({ labels }: ContainerState) => Number(labels[LABEL_ATTEMPT] ?? 0);
  const wanted = attempt ?? Math.max(...containers.map(attemptOf));
  const own = containers.find((container) => attemptOf(container) === wanted);
  return [own, own === undefined ? containers : containers.filter((other) => other !== own)];
}

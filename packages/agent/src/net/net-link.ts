/**
 * Keeps the node's data plane on the newest model, and lets tasks wait for it: before the first container
 * of a network, and before a container goes.
 *
 * Two models at a time are on their way, so that names need not wait until everything of the one before is
 * followed; changes meanwhile are gathered into the next. A model that says nothing new is not sent. While
 * `net` is away, what it last followed stays in force (it is on its disk).
 */

import { backoffMs, type Clock, type Driver, type Loop, type LoopResult, sleep } from "@berth/base";
import { type ApplyReport, describeProblem, nextGeneration, partsOf } from "@berth/network";
import { type Assignment, asProtocolError, ProtocolError, type Task } from "@berth/protocol";
import { gatingPorts } from "../probes/probe-plan.ts";
import type { DrainOptions, TaskNetPort } from "../task/task-ports.ts";
import type { NetPort } from "./net-port.ts";
import type { ModelContent } from "./node-network-model.ts";
import type { SocketTable } from "./socket-table.ts";

/** Models on their way: `net` names at once, and takes longer for the rest. More would only wait there. */
const IN_FLIGHT_MAX = 2;
/** Changes of one burst (a rollout's batch) share a model. */
const GATHER_MS = 3;
/** Between looks whether `net` still follows what it was given: it may have lost its disk. */
const CHECK_PERIOD_MS = 15_000;
/** Pauses while `net` does not answer: its supervisor starts it within a second. */
const RETRY = { initialMs: 50, maxMs: 2_000 } as const;
/** Failures until they are told as a problem (1.5 s): a `net` that is being started is none. */
const FAILURES_TOLERATED = 5;
/** How often open connections of a leaving task are counted. */
const SESSIONS_POLL_MS = 100;
/** How often `net` is asked whether it follows, after an answer that said no. */
const ACKNOWLEDGE_POLL_MS = 50;
/**
 * How long clients may use an address after it has left the names: the answer's time to live of a second,
 * and what lies between reading an answer and connecting.
 */
const REMEMBERED_MS = 1_250;

/** A model that was sent; `version` rises when later changes turn out to change nothing of it. */
interface Sent {
  readonly text: string;
  readonly generation: number;
  version: number;
}

interface Waiter {
  readonly version: number;
  readonly resolve: () => void;
}

export interface NetLinkOptions {
  readonly net: NetPort;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly model: () => ModelContent;
  /** Sockets of a task's container; nothing where nobody can look. */
  readonly socketsOf: (task: string) => Promise<SocketTable | undefined>;
  /** An address that this host itself has in its networks. */
  readonly isHost: (address: string) => boolean;
  /** The network reaches other nodes, as far as is known. */
  readonly spans: (networkId: string) => boolean;
  /** Ready to be asked: before, the model would say that nothing is there. */
  readonly isKnown: () => boolean;
}

export class NetLink implements TaskNetPort {
  readonly #options: NetLinkOptions;
  readonly #loop: Loop;
  /** Raised with every change; an applied model covers all changes up to its beginning. */
  #version = 0;
  #generation = 0;
  /** The newest; not known to be followed. */
  #sent: Sent | undefined;
  #inFlight = 0;
  /** Generation of the newest model that was answered. */
  #answered = 0;
  #pausedUntilMs = 0;
  #attached = new Set<string>();
  /** Networks whose ways to other nodes are in the kernel. */
  #spanning = new Set<string>();
  #waiters: Waiter[] = [];
  #failures = 0;
  #report: ApplyReport | undefined;
  #failure: string | undefined;

  constructor(options: NetLinkOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "net-model",
      purpose: "Tells the data plane of this node what to follow.",
      periodMs: CHECK_PERIOD_MS,
      gatherMs: GATHER_MS,
      run: (signal) => this.#run(signal),
    });
  }

  changed(): void {
    this.#version++;
    this.#loop.wake();
  }

  async ensureAttached(task: Task, signal: AbortSignal): Promise<void> {
    if (task.attachments.every((attachment) => this.#attached.has(keyOf(task.id, attachment))))
      return;
    await this.followed(signal);
  }

  async ensureWays(task: Task, signal: AbortSignal): Promise<void> {
    const { spans } = this.#options;
    const isThere = ({ networkId }: Task["attachments"][number]) =>
      !spans(networkId) || this.#spanning.has(networkId);
    if (!task.attachments.every(isThere)) await this.followed(signal);
  }

  async isReachable(assignment: Assignment): Promise<boolean> {
    const { task } = assignment;
    // On the host's network, or on none: nothing of ours leads to it.
    if (task.attachments.length === 0 && task.podTask === undefined) return false;
    const sockets = await this.#options.socketsOf(task.id);
    return sockets === undefined || sockets.listening.size > 0;
  }

  async leave(untilMs: number, signal: AbortSignal): Promise<boolean> {
    return await this.#until(untilMs, signal, (limited) => this.#acknowledged(limited));
  }

  async drain(assignment: Assignment, options: DrainOptions, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const forgottenAt = options.acknowledgedAt + (isRemembered(assignment) ? REMEMBERED_MS : 0);
    await this.#until(options.untilMs, signal, async (limited) => {
      for (;;) {
        const count = await this.#connectionsOf(assignment, limited);
        limited.throwIfAborted();
        options.onCount(count);
        if (count === 0 && clock.now() >= forgottenAt) return;
        await sleep(clock, SESSIONS_POLL_MS, limited);
      }
    });
  }

  /** Runs `work`; true when it came to its end before `untilMs`. */
  async #until(
    untilMs: number,
    signal: AbortSignal,
    work: (limited: AbortSignal) => Promise<void>,
  ): Promise<boolean> {
    const { clock } = this.#options;
    const over = new AbortController();
    const cancel = clock.setTimer(Math.max(0, untilMs - clock.now()), () => over.abort(TIME_OVER));
    try {
      await work(AbortSignal.any([signal, over.signal]));
      return true;
    } catch (error) {
      if (!over.signal.aborted) throw error;
      return false;
    } finally {
      cancel();
    }
  }

  /** Every part follows a model that covers this moment: what it reports, not that it was told. */
  async #acknowledged(signal: AbortSignal): Promise<void> {
    const { net, clock } = this.#options;
    await this.followed(signal);
    const generation = this.#answered;
    for (let report = this.#report; ; report = await net.status(signal).catch(() => undefined)) {
      signal.throwIfAborted();
      if (report !== undefined && follows(report, generation)) return;
      await sleep(clock, ACKNOWLEDGE_POLL_MS, signal);
    }
  }

  /** Problems for people: what of the model could not be followed. */
  problems(): readonly string[] {
    const report = this.#report;
    const parts = report === undefined ? [] : partsOf(report);
    const problems = parts.flatMap((part) => part.problems.map(describeProblem));
    return this.#failure === undefined ? problems : [this.#failure, ...problems];
  }

  /** Resolves once a model that covers this moment is followed. */
  followed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        version: ++this.#version,
        resolve: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
      this.#loop.wake();
    });
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    if (!this.#options.isKnown()) return;
    const pauseMs = this.#pausedUntilMs - this.#options.clock.monotonic();
    if (pauseMs > 0) return { againMs: pauseMs };
    // An answer wakes us.
    if (this.#inFlight >= IN_FLIGHT_MAX) return;
    const version = this.#version;
    const content = this.#options.model();
    const text = JSON.stringify(content);
    if (this.#sent?.text !== text) return this.#send(content, { text, version }, signal);
    this.#sent.version = version;
    if (this.#inFlight > 0) return;
    try {
      await this.#check(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#failed(error);
    }
    if (this.#sent === undefined) this.#loop.wake();
    else this.#settle(version);
  }

  /** Does not wait: the answer is taken when it comes. */
  #send(
    content: ModelContent,
    { text, version }: { readonly text: string; readonly version: number },
    signal: AbortSignal,
  ): void {
    const { net, clock } = this.#options;
    this.#generation = nextGeneration(this.#generation, clock.now());
    const sent: Sent = { text, version, generation: this.#generation };
    this.#sent = sent;
    this.#inFlight++;
    void net
      .apply({ ...content, generation: sent.generation }, signal)
      .then(
        (report) => this.#took(sent, content, report),
        (error: unknown) => this.#refused(sent, error, signal),
      )
      .then((isDone) => {
        this.#inFlight--;
        if (!isDone || this.#version > sent.version) this.#loop.wake();
      });
  }

  #took(sent: Sent, content: ModelContent, report: ApplyReport): boolean {
    if (sent.generation > this.#answered) {
      this.#answered = sent.generation;
      this.#report = report;
      this.#attached = new Set(
        content.attachments.map((attachment) => keyOf(attachment.taskId, attachment)),
      );
      const spanning = content.networks.filter(({ overlay }) => overlay !== undefined);
      this.#spanning = new Set(spanning.map(({ id }) => id));
    }
    this.#failures = 0;
    this.#failure = undefined;
    this.#settle(sent.version);
    return true;
  }

  /** Overtaken by a later model of ours on the way is no failure: that one's answer counts for both. */
  #refused(sent: Sent, cause: unknown, signal: AbortSignal): boolean {
    if (signal.aborted) return true;
    const { code, details } = asProtocolError(cause);
    const known = details["generation"];
    const isOvertaken =
      code === "precondition_failed" &&
      typeof known === "number" &&
      known > sent.generation &&
      known <= this.#generation;
    if (isOvertaken) return true;
    this.#failed(cause);
    return false;
  }

  #settle(version: number): void {
    const done = this.#waiters.filter((waiter) => waiter.version <= version);
    this.#waiters = this.#waiters.filter((waiter) => waiter.version > version);
    for (const waiter of done) waiter.resolve();
  }

  /** Nothing new to say: does it still follow what was said? Only on the period, not for waiters. */
  async #check(signal: AbortSignal): Promise<void> {
    if (this.#waiters.length > 0) return;
    const status = await this.#options.net.status(signal);
    this.#report = status;
    if (status.generation !== this.#sent?.generation) this.#sent = undefined;
  }

  #failed(cause: unknown): void {
    const error = asProtocolError(cause);
    const known = error.details["generation"];
    if (error.code === "precondition_failed" && typeof known === "number") {
      this.#generation = Math.max(this.#generation, known);
    }
    this.#sent = undefined;
    this.#failures++;
    if (this.#failures > FAILURES_TOLERATED) this.#failure = error.message;
    const pauseMs = backoffMs(this.#failures, RETRY);
    this.#pausedUntilMs = this.#options.clock.monotonic() + pauseMs;
  }

  /** Connections from everywhere; `undefined` while somebody cannot say how many he has. */
  async #connectionsOf(assignment: Assignment, signal: AbortSignal): Promise<number | undefined> {
    const { net, socketsOf, isHost } = this.#options;
    const { attachments, id } = assignment.task;
    const ports = gatingPorts(assignment);
    const endpoints = attachments.flatMap(({ address }) =>
      ports.map((port) => ({ address, port })),
    );
    let total = 0;
    for (const endpoint of endpoints) {
      const count = await sessionsAt(net, endpoint, signal);
      if (count === undefined) return undefined;
      total += count;
    }
    if (!isRemembered(assignment)) return total;
    const sockets = await socketsOf(id);
    const own = new Set(attachments.map(({ address }) => address));
    // What comes from the host is HAProxy's, counted above, or a check of ours.
    const inside = sockets?.peers.filter((peer) => !own.has(peer) && !isHost(peer)) ?? [];
    return total + inside.length;
  }
}

/**
 * Clients keep its address after it is out of the names, and another copy serves who asks anew. Where it is
 * the only one, waiting for them would only make the interruption longer.
 */
function isRemembered({ task, spec }: Assignment): boolean {
  return !task.exclusive && (spec.update.order === "start-first" || spec.copies > 1);
}

function follows(report: ApplyReport, generation: number): boolean {
  return partsOf(report).every((part) => part.generation >= generation);
}

/** Connections and queued requests; nothing when `net` does not answer. */
async function sessionsAt(
  net: NetPort,
  endpoint: { readonly address: string; readonly port: number },
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const { sessions, queued } = await net.sessions(endpoint, signal);
    return sessions + queued;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

const TIME_OVER = new Error("the time for it is over");

function keyOf(task: string, attachment: { readonly networkId: string; readonly address: string }) {
  return `${task} ${attachment.networkId} ${attachment.address}`;
}

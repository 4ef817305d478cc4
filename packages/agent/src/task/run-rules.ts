/**
 * Rules for a task that is wanted: from nothing to running and ready, and again after it ended.
 *
 * Order matters in one place above all: gates (contact, locks, pod) stand before every operation that could
 * bring a process to life, so that an exclusive task can never start past them.
 */

import { afterExit, isBlameless, isOver, ownExitCode } from "./exit.ts";
import { advance, FAILURE_FACTS, nextAttempt, type TaskRecord, without } from "./record.ts";
import { HEALTHY_AFTER_MS, restartDelayMsMax } from "./restart.ts";
import type { Rule, RuleInput } from "./rule.ts";
import { hasEnded, isAlive, TELL_UNREADY_AFTER_MS } from "./step-input.ts";
import { beginLeaving, beginStopping } from "./stop-rules.ts";

/** How often a task whose live probe is bad looks whether it is its turn to be restarted. */
const LIVE_TURN_LOOK_MS = 500;

/** Before its process exists. */
function isComing({ record }: RuleInput): boolean {
  return record.state === "creating" || record.state === "starting";
}

/** Not to be put into service, nor ended for a check: somebody looks at it. */
function isPaused({ assignment }: RuleInput): boolean {
  return assignment.task.paused !== undefined;
}

/** A container of another attempt that could come to life: a start may still be under way in the engine. */
function mayWake(input: RuleInput): boolean {
  return input.leftovers.some((container) => !hasEnded(container));
}

function podChanged({ record, facts }: RuleInput): boolean {
  if (record.podContainerId === undefined) return false;
  return facts.pod.kind !== "running" || facts.pod.containerId !== record.podContainerId;
}

/** States in which a task stays while the host stops: nothing of it lives, and nothing begins. */
const RESTING: ReadonlySet<TaskRecord["state"]> = new Set([
  "assigned",
  "pulling",
  "creating",
  "starting",
  "exited",
]);

/** Gates: nothing of the task may come to life while one of them is shut. */
const GATES: readonly Rule[] = [
  {
    name: "wait-host",
    why: "What stopped with the host begins again with the agent's next life, what is isolated after a server's list; nothing new before.",
    when: ({ record, container, facts }) =>
      facts.hostStop !== "no" &&
      !isAlive(container) &&
      RESTING.has(record.state) &&
      (record.state !== "exited" || facts.gathered),
    then: ({ record }) => ({ next: record, wait: "host" }),
  },
  {
    name: "sweep-before-start",
    why: "A start that the engine has not finished could give the task two processes.",
    when: (input) => isComing(input) && !isAlive(input.container) && mayWake(input),
    then: ({ record }) => ({ next: record, command: "sweep" }),
  },
  {
    name: "wait-contact",
    why: "After a reboot another node may have been given what only one may use.",
    when: (input) =>
      isComing(input) &&
      input.assignment.task.exclusive &&
      !input.facts.contactSinceBoot &&
      !isAlive(input.container),
    then: ({ record }) => ({ next: record, wait: "contact" }),
  },
  {
    name: "wait-lock",
    why: "Two writers on one volume is the failure that no retry mends.",
    when: (input) =>
      isComing(input) && input.facts.lock.kind === "held" && !isAlive(input.container),
    then: ({ record }) => ({ next: record, wait: "lock" }),
  },
  {
    name: "wait-pod",
    why: "It lives in the network or volumes of a container that does not run yet.",
    when: (input) =>
      isComing(input) && input.facts.pod.kind === "waiting" && !isAlive(input.container),
    then: ({ record }) => ({ next: record, wait: "pod" }),
  },
];

/** States of a task of which a process may live. */
const LIVING: ReadonlySet<TaskRecord["state"]> = new Set([
  "pulling",
  "creating",
  "starting",
  "running",
]);

/** Names and ingress of this node follow in milliseconds; what it takes longer is taken from the server's slack. */
const ISOLATED_ACKNOWLEDGE_MS = 2_000;

/** Before everything that a living process is waited for: hooks, checks, connections. */
const ISOLATED: readonly Rule[] = [
  {
    name: "isolated",
    why: "No server was reached for so long that another node may be given what only one may use.",
    when: ({ record, container, facts }) =>
      facts.hostStop === "isolated" && isAlive(container) && LIVING.has(record.state),
    then: ({ record, assignment, now }) => {
      const message = "no server was reached, and it may be started elsewhere";
      const facts = { stopCause: "isolated", ready: false, message } as const;
      if (!record.published) return beginStopping({ ...record, ...facts }, assignment, now);
      const acknowledgeUntil = now + ISOLATED_ACKNOWLEDGE_MS;
      return {
        next: advance(record, "draining", { ...facts, acknowledgeUntil }),
        command: "leave",
      };
    },
  },
];

const STARTING: readonly Rule[] = [
  {
    name: "begin",
    why: "The first attempt.",
    when: ({ record }) => record.state === "assigned",
    then: ({ record, facts }) => ({ next: nextAttempt(record, facts.bootId), command: "pull" }),
  },
  {
    name: "pulled",
    why: "The image is there.",
    when: ({ record }) => record.state === "pulling" && record.imageId !== undefined,
    then: ({ record }) => ({ next: advance(record, "creating") }),
  },
  {
    name: "pull",
    why: "The image is needed by its content.",
    when: ({ record }) => record.state === "pulling",
    then: ({ record }) => ({ next: record, command: "pull" }),
  },
  {
    name: "already-runs",
    why: "An earlier agent started it and could not write it down.",
    when: (input) => input.record.state === "creating" && isAlive(input.container),
    then: ({ record, container }) => ({
      next: advance(record, "starting", {
        ...(container === undefined ? {} : { containerId: container.id }),
      }),
    }),
  },
  {
    name: "prepare",
    why: "Networks, volumes, files, names and locks come before the container.",
    when: (input) => isComing(input) && !input.facts.prepared && !isAlive(input.container),
    then: ({ record }) => ({ next: record, command: "prepare" }),
  },
  {
    name: "create",
    why: "All that it needs is there.",
    when: ({ record, container }) => record.state === "creating" && container === undefined,
    then: ({ record }) => ({ next: record, command: "create" }),
  },
  {
    name: "start",
    why: "The container exists.",
    when: ({ record, container }) => record.state === "creating" && container !== undefined,
    then: ({ record, container }) => ({
      next: advance(record, "starting", {
        ...(container === undefined ? {} : { containerId: container.id }),
      }),
      ...(container?.phase === "created" ? { command: "start" as const } : {}),
    }),
  },
  {
    name: "start-again",
    why: "The agent ended between recording the start and doing it.",
    when: ({ record, container }) => record.state === "starting" && container?.phase === "created",
    then: ({ record }) => ({ next: record, command: "start" }),
  },
  {
    name: "hook",
    why: "Post-start commands run before anything reaches the task.",
    when: ({ record, container, facts, assignment }) =>
      record.state === "starting" &&
      isAlive(container) &&
      !facts.hooked &&
      (assignment.spec.postStart ?? []).length > 0,
    then: ({ record }) => ({ next: record, command: "hook" }),
  },
  {
    name: "started",
    why: "Its process runs.",
    when: ({ record, container }) => record.state === "starting" && isAlive(container),
    then: ({ record, container, facts, now }) => ({
      next: advance(record, "running", {
        startedAt: container?.startedAt ?? record.startedAt ?? now,
        everRan: true,
        ready: false,
        bootId: facts.bootId,
      }),
    }),
  },
];

const RUNNING: readonly Rule[] = [
  {
    name: "ended",
    why: "Its process has ended, or its container was taken away.",
    when: ({ record, container }) =>
      (record.state === "running" || record.state === "starting") && !isAlive(container),
    then: (input) => ({ next: afterExit(input) }),
  },
  {
    name: "host-stops",
    why: "Connections get to end before the engine ends everything at once.",
    when: ({ record, facts }) =>
      record.state === "running" && (facts.hostStop === "now" || facts.hostStop === "hurry"),
    then: (input) => beginLeaving(input, "host", "the host shuts down"),
  },
  {
    name: "adopt",
    why: "An earlier agent started it: this one has to follow it.",
    when: ({ record, facts }) => record.state === "running" && !facts.attended,
    then: ({ record }) => ({ next: record, command: "adopt" }),
  },
  {
    name: "pod-replaced",
    why: "The namespace that it joined is gone with the container that made it.",
    when: (input) => input.record.state === "running" && podChanged(input),
    then: (input) => beginLeaving(input, "pod", "the container that it shares with was replaced"),
  },
  {
    name: "live-bad",
    why: "The file asks for a restart when the live probe fails.",
    when: (input) =>
      input.record.state === "running" &&
      !isPaused(input) &&
      input.facts.probes.live === "bad" &&
      input.facts.liveTurn,
    then: (input) => beginLeaving(input, "live", failedProbe(input, "live")),
  },
  {
    name: "startup-bad",
    why: "It had its time to come up.",
    when: ({ record, facts }) => record.state === "running" && facts.probes.startup === "bad",
    then: (input) => beginLeaving(input, "startup", failedProbe(input, "startup")),
  },
  {
    name: "probe",
    why: "Readiness is observed, not assumed.",
    when: ({ record, facts }) => record.state === "running" && !facts.probing,
    then: ({ record }) => ({ next: record, command: "probe" }),
  },
  {
    name: "pause",
    why: "A person took it out of service: no new request, connections live on, its process too.",
    when: (input) => input.record.state === "running" && input.record.ready && isPaused(input),
    then: ({ record }) => ({
      next: { ...without(record, "readyAt"), ready: false },
      command: "ready",
    }),
  },
  {
    name: "become-ready",
    why: "Every check that gates requests is good.",
    when: (input) =>
      input.record.state === "running" &&
      !input.record.ready &&
      !isPaused(input) &&
      input.facts.probes.ready === "good",
    then: ({ record, now }) => ({
      next: {
        // A failed attempt's words stay until this one is healthy; a failed check's words are over.
        ...(record.failures.length > 0 ? record : without(record, "message", "code")),
        ready: true,
        readyAt: now,
        published: true,
      },
      command: "ready",
    }),
  },
  {
    name: "become-unready",
    why: "It gets no requests while its ready probe fails.",
    when: ({ record, facts }) =>
      record.state === "running" && record.ready && facts.probes.ready === "bad",
    then: (input) => ({
      next: {
        ...without(input.record, "readyAt"),
        ready: false,
        message: failedProbe(input, "ready"),
      },
      command: "ready",
    }),
  },
  {
    name: "tell-unready",
    why: "Whoever waits for it wants to know which check says no.",
    when: (input) => {
      const words = waitingWords(input);
      return words !== undefined && words !== input.record.message;
    },
    then: (input) => ({ next: { ...input.record, message: waitingWords(input) ?? "" } }),
  },
  {
    name: "sweep",
    why: "The containers of ended attempts are of no use: their logs are kept elsewhere.",
    when: ({ record, leftovers }) => record.state === "running" && leftovers.length > 0,
    then: ({ record }) => ({ next: record, command: "sweep" }),
  },
  {
    name: "healthy",
    why: "A crash after a long life is a first crash again.",
    when: (input) => input.record.state === "running" && healthyIn(input) <= 0,
    then: ({ record, assignment }) => ({
      next: {
        ...without(record, ...FAILURE_FACTS),
        failuresInRow: 0,
        failures: [],
        // Where the file says what a success is, its count of attempts begins anew with one.
        ...(assignment.spec.restart.windowMs === undefined ? {} : { restarts: 0 }),
      },
    }),
  },
  {
    name: "runs",
    why: "All is as it should be.",
    when: ({ record }) => record.state === "running",
    then: (input) => ({
      next: input.record,
      wait: "settled",
      ...(Number.isFinite(lookIn(input)) ? { waitUntil: input.now + lookIn(input) } : {}),
    }),
  },
];

const EXITED: readonly Rule[] = [
  {
    name: "woken",
    why: "A start that was given up came through after all: the attempt is over, its process goes.",
    when: ({ record, container }) => record.state === "exited" && isAlive(container),
    then: ({ record }) => ({ next: record, command: "sweep" }),
  },
  {
    name: "gather",
    why: "The last lines say why it ended; they go into the report.",
    when: ({ record, facts }) => record.state === "exited" && !facts.gathered,
    then: ({ record }) => ({ next: record, command: "exit" }),
  },
  {
    name: "over",
    why: "The file's restart policy ends it here.",
    when: (input) => input.record.state === "exited" && isOver(input),
    then: ({ record }) => ({
      next: advance(record, "ended", {
        outcome: ownExitCode(record) === 0 ? "complete" : "failed",
      }),
    }),
  },
  {
    name: "back-off",
    why: "What fails again and again may not eat the node.",
    when: ({ record, assignment, now }) => {
      const pauseMs = (record.nextAttemptAt ?? 0) - now;
      // A longer pause than we ever make means that the wall clock was set back: no reason to wait.
      const pauseMsMax = restartDelayMsMax(assignment.spec.restart);
      return record.state === "exited" && pauseMs > 0 && pauseMs <= pauseMsMax;
    },
    then: ({ record }) => ({
      next: record,
      wait: "backoff",
      waitUntil: record.nextAttemptAt ?? 0,
    }),
  },
  {
    name: "again",
    why: "It should be running.",
    when: ({ record }) => record.state === "exited",
    then: ({ record, facts }) => ({
      next: {
        ...nextAttempt(record, facts.bootId),
        restarts: record.restarts + (wasBlameless(record, facts.bootId) ? 0 : 1),
      },
    }),
  },
];

export const RUN_RULES: readonly Rule[] = [
  ...ISOLATED,
  ...GATES,
  ...STARTING,
  ...RUNNING,
  ...EXITED,
];

/** Milliseconds until the attempt has lived long enough; infinite when there is nothing to forgive. */
function healthyIn({ record, assignment, now }: RuleInput): number {
  const { windowMs } = assignment.spec.restart;
  const counted = windowMs !== undefined && record.restarts > 0;
  const marked = record.failuresInRow > 0 || record.failures.length > 0 || counted;
  if (!record.ready || !(marked || record.message !== undefined)) return Number.POSITIVE_INFINITY;
  return (record.readyAt ?? now) + (windowMs ?? HEALTHY_AFTER_MS) - now;
}

/** The attempt ended for a reason outside the task: the restart is not counted against its policy. */
function wasBlameless(record: TaskRecord, bootId: string): boolean {
  return isBlameless(record) || record.bootId !== bootId;
}

/** Milliseconds until time alone may change the decision about a running task. */
function lookIn(input: RuleInput): number {
  const isBad = input.facts.probes.live === "bad" && !isPaused(input);
  const waitsForTurn = isBad && !input.facts.liveTurn;
  return waitsForTurn ? Math.min(LIVE_TURN_LOOK_MS, healthyIn(input)) : healthyIn(input);
}

/** What a copy that was never ready waits for. A failed attempt's words are worth more, and stay. */
function waitingWords(input: RuleInput): string | undefined {
  const { record, facts, now } = input;
  const { message, startup } = facts.probes;
  const isLate = now - (record.startedAt ?? now) >= TELL_UNREADY_AFTER_MS;
  if (record.state !== "running" || record.ready || record.published) return undefined;
  if (isPaused(input)) return undefined;
  if (message === undefined || !isLate || record.failures.length > 0) return undefined;
  return `waits for its ${startup === "good" ? "readiness" : "startup"} check: ${message}`;
}

function failedProbe({ facts }: RuleInput, which: string): string {
  const words = facts.probes.message;
  return `its ${which} probe fails${words === undefined ? "" : `: ${words}`}`;
}

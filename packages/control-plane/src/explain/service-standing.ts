/**
 * How a service stands, in numbers and one word: what listings show. Pure over the view; no scheduling.
 * Cost: O(tasks of the stack).
 */

import type { Stack } from "@berth/protocol";
import { factsOf, type ServiceFacts } from "../reconcile/dependencies.ts";
import { CRASH_LOOP_FAILURES } from "../reconcile/failure.ts";
import { sortIntoPlaces } from "../reconcile/place-tasks.ts";
import { stackInputs } from "../reconcile/reconcile-stack.ts";
import type { ServiceInput } from "../reconcile/service-input.ts";
import { isUnderWay, stackContext } from "../reconcile/stack-input.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/** The words for how a service stands. The first that holds is said. */
export const SERVICE_STATES = {
  removing: "The stack or the service is being removed.",
  stopped: "No copies are wanted, and none run.",
  completed: "Every copy ran to its end with code 0.",
  failed: "Copies have ended or end again and again, and none is ready.",
  lost: "The node of its copies is silent, and they cannot run elsewhere.",
  paused: "A person took copies out of service; all others are ready.",
  degraded: "Fewer copies are ready than wanted, although no rollout is under way.",
  updating: "Copies are being replaced.",
  "rolling-back": "The last good release is being restored.",
  starting: "Copies were started and are not all ready.",
  waiting: "Nothing runs; something must come first.",
  healthy: "Every copy that is wanted is ready.",
} as const satisfies Readonly<Record<string, string>>;
export type ServiceState = keyof typeof SERVICE_STATES;

export interface ServiceStanding extends ServiceFacts {
  readonly service: string;
  readonly input: ServiceInput;
  /** Copies of any template that may be alive, on their way included. */
  readonly live: number;
  /** Those whose process runs. */
  readonly running: number;
  readonly state: ServiceState;
}

/** Every service of the stack, in order of name. */
export function standingsOf(view: ClusterView, stack: Stack, now: number): ServiceStanding[] {
  const context = stackContext(view, stack, now);
  return [...stackInputs(context)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, input]) => {
      const facts = factsOf(input);
      const counts = countLive(input);
      return { service, input, ...facts, ...counts, state: stateOf(stack, input, facts, counts) };
    });
}

interface LiveCounts {
  readonly live: number;
  readonly running: number;
  /** Ready copies of any template: those that serve. */
  readonly ready: number;
  readonly old: number;
  readonly looping: number;
  readonly lost: number;
  /** Copies of the target that a person took out of service. */
  readonly paused: number;
}

function countLive(input: ServiceInput): LiveCounts {
  const counts = { live: 0, running: 0, ready: 0, old: 0, looping: 0, lost: 0, paused: 0 };
  const sorted = sortIntoPlaces(input);
  for (const { current, old, lost, leaving } of sorted.places) {
    counts.live += lost.length;
    counts.lost += lost.length;
    for (const { status } of [...current, ...old, ...leaving]) {
      counts.live++;
      if (status === undefined) continue;
      if (status.state === "running" || status.state === "draining") counts.running++;
      if (status.state === "running" && status.ready) counts.ready++;
      if (status.recentFailures >= CRASH_LOOP_FAILURES && !status.ready) counts.looping++;
    }
    counts.old += old.length;
    counts.paused += current.some(({ task }) => task.paused !== undefined) ? 1 : 0;
  }
  counts.live += sorted.surplus.length;
  return counts;
}

function stateOf(
  stack: Stack,
  input: ServiceInput,
  facts: ServiceFacts,
  counts: LiveCounts,
): ServiceState {
  if (stack.deleting !== undefined || input.target === undefined) return "removing";
  if (facts.wanted === 0) return counts.live === 0 ? "stopped" : "updating";
  if (facts.completed >= facts.wanted) return "completed";
  const done = facts.ready + facts.completed;
  if (done === 0 && (facts.failed > 0 || counts.looping > 0)) return "failed";
  if (counts.old > 0) return stack.rollout?.state === "rolling-back" ? "rolling-back" : "updating";
  if (done === 0 && counts.lost > 0) return "lost";
  if (done >= facts.wanted) return "healthy";
  if (counts.live === 0) return "waiting";
  if (counts.paused > 0 && done + counts.paused >= facts.wanted) return "paused";
  return isUnderWay(stack) || counts.ready === 0 ? "starting" : "degraded";
}

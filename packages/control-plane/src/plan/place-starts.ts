/**
 * Where the scheduler puts the starts of a plan, within the quota of their project.
 *
 * Who is over the quota is not asked about nodes. Who was within it and found no place gives its part back, and those
 * who were over it are looked at again, so that a copy that waits for room keeps nobody else from running.
 * Cost: the scheduler's, over a model that is kept where there is one; with a quota O(tasks) more, and another round for each that frees some of it.
 */

import type { Wait } from "@berth/protocol";
import {
  explainQuota,
  type Placement,
  type QuotaBook,
  type QuotaExcess,
  type Refusal,
  type ScheduleOptions,
  type Strategy,
  Transaction,
} from "@berth/scheduler";
import { placeName } from "../reconcile/waits.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import { askOfStart, type WantedStart } from "./asks.ts";
import { clusterModel } from "./cluster-model.ts";
import type { PlanInput } from "./plan-context.ts";
import { copyKey, quotaBook, quotaOf } from "./project-quota.ts";
import { strategyOf } from "./strategy.ts";

export interface PlacedStarts {
  readonly placements: ReadonlyMap<string, Placement>;
  readonly refusals: ReadonlyMap<string, Refusal>;
  /** By start: the quota that it would go over. */
  readonly excesses: ReadonlyMap<string, QuotaExcess>;
}

/** `groups`: starts that are written together, all or none. */
export function placeStarts(
  groups: readonly (readonly WantedStart[])[],
  input: PlanInput,
): PlacedStarts {
  const placements = new Map<string, Placement>();
  const refusals = new Map<string, Refusal>();
  const excesses = new Map<string, QuotaExcess>();
  if (groups.length === 0) return { placements, refusals, excesses };
  const { view, stack, settings } = input;
  const inFlight = input.inFlight.tasks();
  const { project } = stack.value;
  const quota = quotaOf(view, project);
  const book = quota === undefined ? undefined : quotaBook(view, project, quota, inFlight);
  const { standing } = input;
  const options = placingOptions(settings, strategyOf(view, project));
  const decide = (transaction: Transaction): PlacedStarts => {
    for (let open = groups; ; ) {
      const { admitted, over } = admit(open, input, book);
      const asks = admitted.flatMap((group) =>
        group.flatMap((each) => askOfStart(each, input) ?? []),
      );
      const plan =
        input.reservations?.schedule(transaction, asks, input.now) ?? transaction.schedule(asks);
      for (const placement of plan.placements) placements.set(placement.ask, placement);
      for (const refusal of plan.refusals) refusals.set(refusal.ask, refusal);
      for (const { ask } of plan.refusals) book?.release(ask);
      // Whoever is refused leaves the list, so the rounds end.
      if (over.length === 0 || plan.refusals.length === 0) {
        for (const { group, excess } of over) for (const { id } of group) excesses.set(id, excess);
        return { placements, refusals, excesses };
      }
      open = over.map(({ group }) => group);
    }
  };
  if (standing !== undefined) return standing.whatIf(options.strategy, inFlight, decide);
  return decide(new Transaction(clusterModel(view, inFlight), options));
}

/** How plans place: the seed only orders equal nodes; a fixed one makes plans repeatable. */
export function placingOptions(
  { defaultRequests }: Pick<ControlPlaneSettings, "defaultRequests">,
  strategy: Strategy,
): ScheduleOptions {
  return { seed: 1, strategy, defaults: defaultRequests };
}

interface Admission {
  readonly admitted: readonly (readonly WantedStart[])[];
  readonly over: readonly {
    readonly group: readonly WantedStart[];
    readonly excess: QuotaExcess;
  }[];
}

function admit(
  groups: readonly (readonly WantedStart[])[],
  input: PlanInput,
  book: QuotaBook | undefined,
): Admission {
  if (book === undefined) return { admitted: groups, over: [] };
  const admitted: (readonly WantedStart[])[] = [];
  const over: { group: readonly WantedStart[]; excess: QuotaExcess }[] = [];
  for (const group of groups) {
    const holders = group.flatMap((start) => {
      const ask = askOfStart(start, input);
      const copy = copyKey(start.input.scope, start.start.place.slot);
      return ask === undefined ? [] : [{ id: start.id, copy, requests: ask.requests }];
    });
    const excess = book.admit(holders);
    if (excess === undefined) admitted.push(group);
    else over.push({ group, excess });
  }
  return { admitted, over };
}

/** What a start that is over the quota waits for. */
export function quotaWait(
  { service, start }: WantedStart,
  excess: QuotaExcess,
  project: string,
): Wait {
  const { place } = start;
  const words = explainQuota(excess, project);
  return {
    kind: "quota",
    message: `${placeName(service, place)} waits: ${words}`,
    slot: place.slot,
    hints: [
      `the project had more (berth project policy --project ${project} --quota) or less of it in use`,
    ],
  };
}

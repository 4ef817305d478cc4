/** Changes of an order's record: steps are added, waits replace each other, nothing goes back. Pure. */

import type { AcmeAuthorization, AcmeOrder, AcmeStep } from "@berth/protocol";

/** Steps of an order that are kept: 100 hosts with six steps each would be more than anybody reads. */
const STEPS_MAX = 300;

/** A record for a new order. Written before the server is asked for anything. */
export function newOrder(id: string, directory: string, now: number): AcmeOrder {
  return {
    id,
    directory,
    startedAt: now,
    state: "new",
    authorizations: [],
    retries: 0,
    steps: [],
  };
}

/** With one more step; a wait that goes on is one step. The step under way has moved: no retries, no wait. */
export function withStep(order: AcmeOrder, step: AcmeStep): AcmeOrder {
  const { waitUntil: _over, ...rest } = order;
  return { ...rest, retries: 0, steps: addStep(order.steps, step) };
}

/** As `withStep`, to be looked at again at `waitUntil`. */
export function withWait(order: AcmeOrder, step: AcmeStep, waitUntil: number): AcmeOrder {
  return { ...order, steps: addStep(order.steps, step), waitUntil };
}

function addStep(steps: readonly AcmeStep[], step: AcmeStep): AcmeStep[] {
  const last = steps.at(-1);
  const isSame = last?.outcome === "waiting" && last.kind === step.kind && last.host === step.host;
  return [...(isSame ? steps.slice(0, -1) : steps), step].slice(-STEPS_MAX);
}

/** With other fields of one authorization. */
export function withAuthorization(
  order: AcmeOrder,
  index: number,
  change: Partial<AcmeAuthorization>,
): AcmeOrder {
  const authorizations = order.authorizations.map((each, at) =>
    at === index ? { ...each, ...change } : each,
  );
  return { ...order, authorizations };
}

/** `*.example.com` for the authorization of a wildcard. */
export function authorizedHost({ host, wildcard }: AcmeAuthorization): string {
  return wildcard === true ? `*.${host ?? ""}` : (host ?? "");
}

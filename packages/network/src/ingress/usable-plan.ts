/**
 * Finds the routes that HAProxy cannot read, so that the others are served.
 *
 * What HAProxy complains about stands on a line, and each line belongs to the routes it was written for. Where
 * no line tells, halves of the routes are tried until one route is left. Each try is a run of `haproxy -c`.
 */

import type { NodeNetworkModel } from "../model.ts";

/** HAProxy's answer to a model: nothing, or what it says and which routes its lines are for. */
export type Verdict =
  | { readonly kind: "readable" }
  | {
      readonly kind: "unreadable";
      readonly detail: string;
      readonly routeIds: readonly string[];
    };

/** Routes that were left out, with the reason and what they were: another wish is tried again. */
export type BrokenRoutes = ReadonlyMap<string, { readonly detail: string; readonly wish: string }>;

/** Rounds of one search: more broken routes than this are found with the next model. */
const ROUNDS_MAX = 40;

/** `broken` without what is wished otherwise now. */
export function stillBroken(broken: BrokenRoutes, model: NodeNetworkModel): BrokenRoutes {
  if (broken.size === 0) return broken;
  const wishes = wishesOf(model);
  return new Map([...broken].filter(([id, { wish }]) => wishes.get(id) === wish));
}

/**
 * Routes to leave out so that `judge` finds the rest readable; `undefined` when no choice of routes helps, so
 * that it is not the routes.
 */
export async function findBroken(
  model: NodeNetworkModel,
  known: BrokenRoutes,
  judge: (without: BrokenRoutes) => Promise<Verdict>,
): Promise<{ readonly broken: BrokenRoutes } | { readonly detail: string }> {
  const wishes = wishesOf(model);
  const broken = new Map(known);
  const leaveOut = (id: string, detail: string) =>
    broken.set(id, { detail, wish: wishes.get(id) ?? "" });
  for (let round = 0; ; round++) {
    const verdict = await judge(broken);
    if (verdict.kind === "readable") return { broken };
    if (round >= ROUNDS_MAX) return { detail: verdict.detail };
    const named = verdict.routeIds.filter((id) => !broken.has(id));
    if (named.length > 0) {
      for (const id of named) leaveOut(id, verdict.detail);
      continue;
    }
    const left = [...wishes.keys()].filter((id) => !broken.has(id));
    const found = await halve(left, async (ids) => {
      const others = left.filter((id) => !ids.includes(id));
      const without = new Map(broken);
      for (const id of others) without.set(id, { detail: "", wish: "" });
      return (await judge(without)).kind === "unreadable";
    });
    if (found === undefined) return { detail: verdict.detail };
    leaveOut(found, verdict.detail);
  }
}

/** One of `ids` that is unreadable by itself. */
async function halve(
  ids: readonly string[],
  isUnreadable: (ids: readonly string[]) => Promise<boolean>,
): Promise<string | undefined> {
  if (ids.length === 0 || !(await isUnreadable(ids))) return undefined;
  const [only] = ids;
  if (ids.length === 1) return only;
  const middle = Math.ceil(ids.length / 2);
  return (
    (await halve(ids.slice(0, middle), isUnreadable)) ??
    (await halve(ids.slice(middle), isUnreadable))
  );
}

function wishesOf({ ingress }: NodeNetworkModel): ReadonlyMap<string, string> {
  const all = [...ingress.httpRoutes, ...ingress.tcpPorts];
  return new Map(all.map((wish) => [wish.id, JSON.stringify(wish)]));
}

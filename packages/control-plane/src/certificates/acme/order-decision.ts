/**
 * What an order needs next, from its record alone. Pure and total: the record is written after every action,
 * so whoever reads it after a crash goes on where it was; an order is never begun anew while the old one can
 * still become a certificate.
 *
 * Hosts go through each phase together: all records are made, then all are waited for, then the server is
 * told to look. O(hosts).
 */

import { HOUR_MS } from "@berth/base";
import type { AcmeAuthorization, AcmeOrder } from "@berth/protocol";

export type OrderAction =
  /** Finds or makes the order at the server. */
  | { readonly kind: "ask" }
  /** Reads an authorization: its host and challenge at first, its outcome later. */
  | { readonly kind: "authorization"; readonly index: number }
  | { readonly kind: "present"; readonly index: number }
  | { readonly kind: "propagation"; readonly index: number }
  | { readonly kind: "ingress"; readonly index: number }
  | { readonly kind: "respond"; readonly index: number }
  /** Reads the order, hands the signing request in, downloads: whatever it is ready for. */
  | { readonly kind: "finalize" }
  | { readonly kind: "cleanup"; readonly index: number }
  | { readonly kind: "wait"; readonly until: number }
  | { readonly kind: "fail"; readonly message: string; readonly advice: string }
  /** Given up without being a failure: nobody wants it any more. */
  | { readonly kind: "drop"; readonly message: string }
  | { readonly kind: "nothing" };

/** Longer than every time-out of its steps together: an order that takes longer is stuck. */
const ORDER_AGE_MAX_MS = 3 * HOUR_MS;

/** Whether something is left to do: of the order itself, or of its traces in the DNS. */
export function isOpen(order: AcmeOrder | undefined): boolean {
  return order !== undefined && nextAction(order, 0, order.directory).kind !== "nothing";
}

/** The next action. `directory`: what is set now, `undefined` when ACME is not set any more. */
export function nextAction(
  order: AcmeOrder,
  now: number,
  directory: string | undefined,
): OrderAction {
  if (order.state === "done" || order.state === "failed") return cleanup(order);
  if (directory !== order.directory) {
    const message = "the order is not wanted any more, or another ACME server was set";
    return { kind: "drop", message };
  }
  if (now - order.startedAt > ORDER_AGE_MAX_MS || (order.expiresAt ?? Infinity) <= now) {
    const message = "the order took too long and has expired";
    return { kind: "fail", message, advice: "the steps tell what was waited for" };
  }
  if (order.waitUntil !== undefined && order.waitUntil > now) {
    return { kind: "wait", until: order.waitUntil };
  }
  if (order.url === undefined) return { kind: "ask" };
  return authorize(order.authorizations) ?? { kind: "finalize" };
}

/** Phases in their order: the first that an authorization still needs, for the first that needs it. */
const PHASES: readonly {
  readonly action: "authorization" | "present" | "propagation" | "ingress" | "respond";
  readonly needs: (authorization: AcmeAuthorization) => boolean;
}[] = [
  { action: "authorization", needs: ({ status }) => status === undefined },
  { action: "present", needs: (a) => isDns(a) && a.presentedAt === undefined },
  { action: "propagation", needs: (a) => isDns(a) && a.visibleAt === undefined },
  { action: "ingress", needs: (a) => !isDns(a) && a.visibleAt === undefined },
  { action: "respond", needs: ({ respondedAt }) => respondedAt === undefined },
  // Asked again until the server has decided.
  { action: "authorization", needs: () => true },
];

function authorize(authorizations: readonly AcmeAuthorization[]): OrderAction | undefined {
  for (const { action, needs } of PHASES) {
    const index = authorizations.findIndex((each) => each.status !== "valid" && needs(each));
    if (index >= 0) return { kind: action, index };
  }
  return undefined;
}

function isDns({ challenge }: AcmeAuthorization): boolean {
  return challenge === "dns-01";
}

function cleanup({ authorizations }: AcmeOrder): OrderAction {
  const index = authorizations.findIndex(
    (each) => each.presentedAt !== undefined && each.cleanedAt === undefined,
  );
  return index < 0 ? { kind: "nothing" } : { kind: "cleanup", index };
}

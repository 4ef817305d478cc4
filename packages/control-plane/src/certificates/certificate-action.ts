/**
 * What a certificate needs next: nothing, one of the cluster's authority, an order, a step of its order. An
 * ordered table; the first rule that holds decides. Pure.
 */

import type { AcmeSettings, Certificate } from "@berth/protocol";
import { isOpen } from "./acme/order-decision.ts";
import { coverage, isWildcard } from "./host-names.ts";
import { renewalTime } from "./lifetime.ts";

export type CertificateAction =
  /** Removed by a person, and nothing of it is left outside. */
  | { readonly kind: "remove" }
  /** The order under way has a next step. */
  | { readonly kind: "order" }
  /** The cluster's authority issues one; for `acme` it stands in until the ordered one is there. */
  | { readonly kind: "issue" }
  /** A new order begins. */
  | { readonly kind: "begin"; readonly settings: AcmeSettings }
  /** An order cannot begin. */
  | { readonly kind: "blocked"; readonly message: string; readonly advice: string }
  | { readonly kind: "nothing" };

interface Look {
  readonly certificate: Certificate;
  readonly settings: AcmeSettings | undefined;
  readonly now: number;
}

const NOTHING: CertificateAction = { kind: "nothing" };

const RULES: readonly {
  readonly why: string;
  readonly holds: (look: Look) => boolean;
  readonly then: (look: Look) => CertificateAction;
}[] = [
  {
    why: "An order ends before anything else happens: its traces are outside of the cluster.",
    holds: ({ certificate }) => isOpen(certificate.order),
    then: () => ({ kind: "order" }),
  },
  {
    why: "A person removed it.",
    holds: ({ certificate }) => certificate.removeRequestedAt !== undefined,
    then: () => ({ kind: "remove" }),
  },
  {
    why: "Files are brought by people.",
    holds: ({ certificate }) => certificate.source === "file",
    then: () => NOTHING,
  },
  {
    why: "A route with nothing to show would be refused by every client: the authority's one stands in.",
    holds: ({ certificate, now }) =>
      certificate.source === "acme" && wantsStandIn(certificate, now),
    then: () => ({ kind: "issue" }),
  },
  {
    why: "It is there, for these hosts, and young enough.",
    holds: ({ certificate, now }) => !needsNew(certificate, now),
    then: () => NOTHING,
  },
  {
    why: "The authority is asked at once: it has no limits.",
    holds: ({ certificate }) => certificate.source === "cluster-ca",
    then: () => ({ kind: "issue" }),
  },
  {
    why: "After a failure there is a pause, unless a person or new settings say otherwise.",
    holds: (look) => isPaused(look),
    then: () => NOTHING,
  },
  {
    why: "Everything that an order needs is there, or it is said what is not.",
    holds: () => true,
    then: ({ certificate, settings }) => beginOrBlocked(certificate, settings),
  },
];

export function certificateAction(
  certificate: Certificate,
  settings: AcmeSettings | undefined,
  now: number,
): CertificateAction {
  const look = { certificate, settings, now };
  return RULES.find(({ holds }) => holds(look))?.then(look) ?? NOTHING;
}

function wantsStandIn({ current }: Certificate, now: number): boolean {
  if (current === undefined) return true;
  return current.source === "cluster-ca" && renewalTime(current) <= now;
}

function needsNew(certificate: Certificate, now: number): boolean {
  const { current, source, hosts, renewAt, renewRequestedAt, unneededSince } = certificate;
  if (unneededSince !== undefined) return false;
  if (current === undefined || current.source !== source) return true;
  if (renewRequestedAt !== undefined || (renewAt !== undefined && renewAt <= now)) return true;
  return hosts.some((host) => coverage(current.hosts, host) === undefined);
}

function isPaused({ certificate, settings, now }: Look): boolean {
  const { nextAttemptAt, renewRequestedAt, lastError } = certificate;
  if (nextAttemptAt === undefined || nextAttemptAt <= now) return false;
  if (renewRequestedAt !== undefined) return false;
  return (settings?.setAt ?? 0) <= (lastError?.at ?? 0);
}

/** What an order for `certificate` would begin with, or why it cannot. */
export function beginOrBlocked(
  certificate: Certificate,
  settings: AcmeSettings | undefined,
): CertificateAction {
  const set = "berth acme set --directory URL --email ADDRESS";
  if (settings === undefined) {
    const message = "no ACME server is set for this environment";
    return { kind: "blocked", message, advice: `${set}; or berth certificate issue --ca` };
  }
  const wildcard = certificate.hosts.find(isWildcard);
  if (wildcard !== undefined && settings.challenge !== "dns-01") {
    const message = `${wildcard} is a wildcard: ACME servers want it proved by dns-01, but ${settings.challenge} is set`;
    const advice = "berth acme set … --challenge dns-01 --hook PROGRAM";
    return { kind: "blocked", message, advice };
  }
  if (settings.challenge === "dns-01" && settings.hook === undefined) {
    const message = "dns-01 is set, but no hook that makes the record";
    return {
      kind: "blocked",
      message,
      advice: "berth acme set … --challenge dns-01 --hook PROGRAM",
    };
  }
  return { kind: "begin", settings };
}

/**
 * What people ask about certificates, as decisions on the newest state: a transaction to commit or a refusal
 * in words. Effects (an order, an issue) are the controller's; these write wishes.
 */

import { isIP } from "node:net";
import {
  type Certificate,
  type CertificateIssue,
  CLUSTER_SCOPE,
  type EnvironmentScope,
  keys,
} from "@berth/protocol";
import { accept, type Decision, refuse, unchangedSince } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { isOpen } from "./acme/order-decision.ts";
import { acmeFor } from "./automatic.ts";
import { beginOrBlocked } from "./certificate-action.ts";
import { CLUSTER } from "./choose.ts";
import { hostProblem, plainHost } from "./host-names.ts";
import { stateAt } from "./lifetime.ts";
import type { ReadResult } from "./read-certificate.ts";
import { installed, removalOf } from "./records.ts";
import type { Vault } from "./vault.ts";

/** A certificate by where it belongs and its name. */
export interface NamedCertificate extends EnvironmentScope {
  readonly name: string;
}

/** The certificate of this name: the environment's, else the cluster's. */
export function findCertificate(
  view: ClusterView,
  { name, ...scope }: NamedCertificate,
): Entity<Certificate> | undefined {
  const own = view.certificates.get(keys.certificate(scope, name));
  return own ?? view.certificates.get(keys.certificate(CLUSTER, name));
}

/** Takes a certificate that was handed in. */
export function takeFile(
  view: ClusterView,
  named: NamedCertificate,
  input: { readonly read: ReadResult; readonly vault: Vault; readonly now: number },
): Decision<Certificate> {
  const { read, vault, now } = input;
  if (read.kind === "wrong") {
    return wrong(read.problems);
  }
  const key = keys.certificate(named, named.name);
  const known = view.certificates.get(key);
  const base: Certificate = {
    ...(known?.value ?? fresh(named, now)),
    hosts: read.facts.hosts,
    source: "file",
    automatic: false,
  };
  const facts = { ...read.facts, source: "file" as const };
  const { unneededSince: _needed, ...rest } = base;
  const { certificate, besides } = installed({ certificate: rest, facts, pem: read.pem, vault });
  return write(key, known, { ...certificate, state: stateAt(certificate, now) }, besides);
}

/** Has one issued. What an order could not begin with is refused now, not later. */
export function wishIssue(
  view: ClusterView,
  named: NamedCertificate,
  input: { readonly issue: CertificateIssue; readonly now: number },
): Decision<Certificate> {
  const { issue, now } = input;
  const hosts = [...new Set(issue.hosts.map(plainHost))];
  const problems = hosts.flatMap((host) => hostProblem(host) ?? []);
  const address = hosts.find((host) => isIP(host) !== 0);
  if (address !== undefined && issue.source === "acme") {
    problems.push(
      `${address} is an address: ACME is for names here; --ca issues for addresses, too`,
    );
  }
  if (problems.length > 0) {
    return wrong(problems);
  }
  const key = keys.certificate(named, named.name);
  const known = view.certificates.get(key);
  if (known !== undefined && !known.value.automatic) {
    const message = `certificate ${named.name} exists already (${known.value.source})`;
    return refuse("already_exists", message, { name: named.name });
  }
  const {
    unneededSince: _needed,
    nextAttemptAt: _over,
    ...base
  } = known?.value ?? fresh(named, now);
  const value: Certificate = { ...base, hosts, source: issue.source, automatic: false };
  return blockedRefusal(view, value) ?? write(key, known, value);
}

/** Asks for a new one now. */
export function wishRenewal(
  view: ClusterView,
  named: NamedCertificate,
  now: number,
): Decision<Certificate> {
  const known = findCertificate(view, named);
  if (known === undefined) return notFound(named);
  const { value } = known;
  if (value.source === "file") {
    const message = `certificate ${named.name} was handed in as a file, which only its issuer can renew`;
    const advice = `get a new one and hand it in: berth certificate add ${named.name} --cert FILE --key FILE`;
    return refuse("invalid_certificate", message, { advice });
  }
  const { nextAttemptAt: _over, order, ...rest } = value;
  const woken = order === undefined ? {} : { order: withoutWait(order) };
  const wished = { ...rest, ...woken, renewRequestedAt: now };
  return blockedRefusal(view, wished) ?? write(known.key, known, wished);
}

/** Removes one: at once, or when its order has left nothing behind in the DNS. */
export function wishRemoval(
  view: ClusterView,
  named: NamedCertificate,
  now: number,
): Decision<Certificate> {
  const known = findCertificate(view, named);
  if (known === undefined) return notFound(named);
  const { key, value } = known;
  if (isOpen(value.order)) return write(key, known, { ...value, removeRequestedAt: now });
  return accept(value, [unchangedSince(key, known.revision)], removalOf(key, value));
}

/** One reason in one sentence; several are listed by whoever shows the refusal. */
function wrong(problems: readonly string[]): Decision<Certificate> {
  const [first = ""] = problems;
  if (problems.length === 1) return refuse("invalid_certificate", `refused: ${first}`);
  const message = `refused for ${problems.length} reasons`;
  return refuse("invalid_certificate", message, { problems });
}

function fresh({ project, environment, name }: NamedCertificate, now: number): Certificate {
  return {
    project,
    environment,
    name,
    hosts: [],
    source: "file",
    automatic: false,
    createdAt: now,
    state: "pending",
    failuresInRow: 0,
  };
}

/** What an order could not begin with is refused now, not told later. */
function blockedRefusal(view: ClusterView, value: Certificate): Decision<Certificate> | undefined {
  const begin = value.source === "acme" ? beginOrBlocked(value, acmeFor(view, value)) : undefined;
  if (begin?.kind !== "blocked") return undefined;
  return refuse("invalid_certificate", begin.message, { advice: begin.advice });
}

function withoutWait(order: NonNullable<Certificate["order"]>): NonNullable<Certificate["order"]> {
  const { waitUntil: _over, ...rest } = order;
  return rest;
}

function write(
  key: string,
  known: Entity<Certificate> | undefined,
  value: Certificate,
  besides: Parameters<typeof accept>[2] = [],
): Decision<Certificate> {
  const put = { kind: "put", key, value: encode(value) } as const;
  return accept(value, [unchangedSince(key, known?.revision)], [put, ...besides]);
}

function notFound({ project, environment, name }: NamedCertificate): Decision<Certificate> {
  const place = project === CLUSTER_SCOPE ? "the cluster" : `${project}/${environment}`;
  const advice = "what exists:  berth certificate ls";
  return refuse("not_found", `there is no certificate ${name} in ${place}`, { advice });
}

/** Certificates in words for a terminal: rows of the listing, the page of one, the steps of an order. Pure. */

import { formatDuration } from "@berth/base";
import {
  type AcmeSettings,
  type AcmeStep,
  type Authority,
  CERTIFICATE_SOURCES,
  CERTIFICATE_STATES,
  type Certificate,
  type CertificateFacts,
  type CertificateView,
  CLUSTER_SCOPE,
} from "@berth/protocol";
import type { Colour, Paint } from "../output/output.ts";

export const LIST_HEADER = ["NAME", "HOSTS", "SOURCE", "STATE", "EXPIRES", "ROUTES"] as const;

const STATE_COLOURS: Readonly<Record<Certificate["state"], Colour>> = {
  pending: "yellow",
  valid: "green",
  failing: "red",
  expiring: "yellow",
  expired: "red",
};

/** Hosts of a row; the rest is counted. */
const HOSTS_SHOWN_MAX = 2;

export function listRow({ certificate, usedBy }: CertificateView, now: number): string[] {
  const { name, hosts, source, state, automatic, current, project } = certificate;
  const more = hosts.length - HOSTS_SHOWN_MAX;
  const shown = hosts.slice(0, HOSTS_SHOWN_MAX).join(" ") + (more > 0 ? ` +${more}` : "");
  const standsIn =
    current !== undefined && current.source !== source ? " (cluster-ca meanwhile)" : "";
  return [
    project === CLUSTER_SCOPE ? `${name} (cluster)` : name,
    shown,
    `${source}${automatic ? " (automatic)" : ""}${standsIn}`,
    state,
    current === undefined ? "" : inWords(current.notAfter, now),
    String(usedBy.length),
  ];
}

/** `in 59 d`, `3 h ago` */
export function inWords(at: number, now: number): string {
  return at >= now ? `in ${formatDuration(at - now)}` : `${formatDuration(now - at)} ago`;
}

function timeOf(at: number, now: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC (${inWords(at, now)})`;
}

/** Everything about one certificate. */
export function certificatePage(view: CertificateView, now: number, paint: Paint): string[] {
  const { certificate, usedBy, nodes } = view;
  const { name, hosts, source, state, automatic, current, renewAt, nextAttemptAt } = certificate;
  const lines = [
    `${name}: ${paint(STATE_COLOURS[state], state)}`,
    `  ${CERTIFICATE_STATES[state]}`,
    `  hosts        ${hosts.join(" ")}`,
    `  source       ${source}${automatic ? ", automatic: made for its routes, gone with them" : ""}`,
    `               ${CERTIFICATE_SOURCES[source]}`,
  ];
  if (current !== undefined) lines.push(...factLines(current, source, now));
  if (renewAt !== undefined) lines.push(`  renewal      ${timeOf(renewAt, now)}`);
  if (nextAttemptAt !== undefined) lines.push(`  next try     ${timeOf(nextAttemptAt, now)}`);
  lines.push(...listLines("used by", usedBy, "no route"));
  const served = nodes.map(({ node, version }) =>
    version === current?.version ? node : `${node} (an older one)`,
  );
  lines.push(...listLines("served on", served, "no node"));
  return [...lines, ...errorLines(certificate, paint), ...orderLines(certificate, paint)];
}

function factLines(facts: CertificateFacts, wanted: Certificate["source"], now: number): string[] {
  const standsIn = facts.source === wanted ? "" : ` (${facts.source} stands in until then)`;
  return [
    `  issuer       ${facts.issuer}${standsIn}`,
    `  valid        ${timeOf(facts.notBefore, now)}`,
    `  expires      ${timeOf(facts.notAfter, now)}`,
    `  fingerprint  ${facts.fingerprint}`,
    `  key          ${facts.key}, ${facts.chainLength} in the chain, serial ${facts.serial}`,
  ];
}

function listLines(title: string, items: readonly string[], none: string): string[] {
  const [first = none, ...rest] = items;
  return [`  ${title.padEnd(12)} ${first}`, ...rest.map((item) => `${" ".repeat(15)}${item}`)];
}

function errorLines({ lastError, failuresInRow }: Certificate, paint: Paint): string[] {
  if (lastError === undefined) return [];
  const { step, host, message, advice } = lastError;
  const often = failuresInRow > 1 ? `, ${failuresInRow} times in a row` : "";
  const where = host === undefined ? step : `${step} of ${host}`;
  return [`  ${paint("red", "failed")} at ${where}${often}: ${message}`, `  → ${advice}`];
}

function orderLines({ order }: Certificate, paint: Paint): string[] {
  if (order === undefined) return [];
  const title = `  order at ${order.directory}: ${order.state}`;
  return [title, ...order.steps.map((step) => `    ${stepLine(step, paint)}`)];
}

const STEP_MARKS: Readonly<Record<AcmeStep["outcome"], readonly [Colour, string]>> = {
  done: ["green", "✓"],
  waiting: ["yellow", "…"],
  failed: ["red", "✗"],
};

/** `✓ 02:14:07 validation   shop.example.com  the ACME server says: ...` */
export function stepLine({ at, kind, host, outcome, message }: AcmeStep, paint: Paint): string {
  const [colour, mark] = STEP_MARKS[outcome];
  const time = new Date(at).toISOString().slice(11, 19);
  const place = host === undefined || message.includes(host) ? "" : `${host}  `;
  return `${paint(colour, mark)} ${time} ${kind.padEnd(13)} ${place}${message}`;
}

export function authorityLines(authority: Authority, now: number): string[] {
  return [
    `${authority.subject}`,
    `  fingerprint  ${authority.fingerprint}`,
    `  expires      ${timeOf(authority.notAfter, now)}`,
    "  clients trust it once they have it: berth ca export > berth-ca.pem",
  ];
}

export function acmeLines(settings: AcmeSettings): string[] {
  const { project, environment, directory, emails, challenge, hook, only, dnsServers } = settings;
  const isCluster = project === CLUSTER_SCOPE;
  return [
    `ACME for ${isCluster ? "the whole cluster" : `${project}/${environment}`}: ${directory}`,
    `  account      ${settings.accountUrl ?? "not registered yet"}${emails.length === 0 ? "" : `, ${emails.join(" ")}`}`,
    `  external     ${settings.externalAccountKeyId ?? "none"}`,
    `  trust        ${settings.caBundle === undefined ? "the system's authorities" : "a bundle of its own"}`,
    `  challenge    ${challenge}${hook === undefined ? "" : `, hook ${hook.join(" ")}`}`,
    ...(dnsServers === undefined ? [] : [`  DNS servers  ${dnsServers.join(" ")}`]),
    `  hosts        ${only === undefined ? "of every route with TLS but localhost" : only.join(" ")}`,
    `  thumbprint   ${settings.thumbprint}`,
  ];
}

/**
 * Carries out one action of an order and says how the record changes. What it throws is a refusal or a
 * failure of the step; the controller decides whether that ends the order.
 *
 * Every action may be repeated: after a crash nobody knows whether it was done.
 */

import { createHash } from "node:crypto";
import { type Clock, MINUTE_MS, SECOND_MS } from "@berth/base";
import {
  type AcmeAuthorization,
  type AcmeOrder,
  type AcmeSettings,
  type AcmeStep,
  type AcmeStepKind,
  type Certificate,
  ProtocolError,
} from "@berth/protocol";
import { readCertificate } from "../read-certificate.ts";
import { signingRequest } from "../x509.ts";
import type { Hook } from "./hook.ts";
import type { OrderAction } from "./order-decision.ts";
import { authorizedHost, withAuthorization, withStep, withWait } from "./order-record.ts";
import { adviceFor, problemOf } from "./problem.ts";
import type { AcmeSession, OrderView } from "./session.ts";
import type { TxtRecords } from "./txt-records.ts";

/** The outside world of an order. */
export interface OrderPorts {
  readonly hook: Hook;
  readonly txtRecords: TxtRecords;
  readonly clock: Clock;
}

export interface OrderInput {
  readonly certificate: Certificate;
  readonly order: AcmeOrder;
  readonly settings: AcmeSettings;
  readonly session: AcmeSession;
  /** URL of the account. */
  readonly account: string;
  /** The certificate's private key, PEM. */
  readonly key: string;
  /** Nodes in contact that do not answer challenges yet. */
  readonly unconfirmed: readonly string[];
  readonly ports: OrderPorts;
  readonly signal: AbortSignal;
}

/** What became of an action. */
export type ActionResult =
  | { readonly kind: "record"; readonly order: AcmeOrder }
  /** The certificate is there: chain as the server gave it. */
  | { readonly kind: "issued"; readonly order: AcmeOrder; readonly chain: string };

/** A hook that takes longer than this has hung, unless somebody says that it needs more. */
export const HOOK_TIMEOUT_MS = MINUTE_MS;
/** Zones are usually transferred within seconds. */
export const PROPAGATION_TIMEOUT_MS = 2 * MINUTE_MS;
/** Nodes learn the thumbprint within a second; one that is in trouble shall not hold the order up. */
const INGRESS_WAIT_MS = 30 * SECOND_MS;
/** Between looks for a record, or for nodes. */
const LOOK_MS = 2 * SECOND_MS;
const INGRESS_LOOK_MS = 500;
/** Between questions to the ACME server, where it does not say how long: soon at first. */
const POLL_MIN_MS = SECOND_MS;
const POLL_MAX_MS = 15 * SECOND_MS;

export function runAction(input: OrderInput, action: OrderAction): Promise<ActionResult> {
  switch (action.kind) {
    case "authorization":
      return readAuthorization(input, action.index);
    case "present":
      return present(input, action.index);
    case "propagation":
      return propagation(input, action.index);
    case "ingress":
      return ingress(input, action.index);
    case "respond":
      return respond(input, action.index);
    case "finalize":
      return finalize(input);
    case "cleanup":
      return cleanup(input, action.index);
    default:
      throw new RangeError(`${action.kind} is not for the runner`);
  }
}

/** The record of an order that the server has: found again or just made. */
export function orderedRecord(
  order: AcmeOrder,
  view: OrderView,
  now: number,
  found: boolean,
): AcmeOrder {
  const words = found ? "found the order that was asked for before" : "the server took the order";
  const step = stepOf(now, "order", "done", `${words}: ${view.hosts.join(", ")} (${view.url})`);
  return withStep(
    {
      ...order,
      state: "authorizing",
      url: view.url,
      finalizeUrl: view.finalize,
      authorizations: view.authorizations.map((url) => ({ url })),
      ...(view.expiresAt === undefined ? {} : { expiresAt: view.expiresAt }),
    },
    step,
  );
}

export function stepOf(
  at: number,
  kind: AcmeStepKind,
  outcome: AcmeStep["outcome"],
  message: string,
  host?: string,
): AcmeStep {
  return { at, kind, outcome, message, ...(host === undefined ? {} : { host }) };
}

/** The failure of a step. `details.step` and `details.host` say where, `details.advice` what to do. */
export function stepFailure(
  message: string,
  details: { readonly step: AcmeStepKind; readonly host?: string; readonly advice: string },
): ProtocolError {
  return new ProtocolError("invalid_certificate", message, details);
}

function authorizationAt({ order }: OrderInput, index: number): AcmeAuthorization {
  const found = order.authorizations[index];
  if (found === undefined) throw new RangeError(`no authorization ${index}`);
  return found;
}

async function readAuthorization(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, settings, session, account, ports, signal } = input;
  const known = authorizationAt(input, index);
  const view = await session.authorization(account, known.url, signal);
  const host = view.wildcard ? `*.${view.host}` : view.host;
  const now = ports.clock.now();
  const facts = { host: view.host, wildcard: view.wildcard, status: view.status };
  const chosen = view.challenges.find(({ type }) => type === settings.challenge);
  if (view.status === "valid") {
    const words = known.respondedAt === undefined ? "is proved already" : "is proved";
    const step = stepOf(now, "validation", "done", `the ACME server says: ${host} ${words}`, host);
    return { kind: "record", order: withStep(withAuthorization(order, index, facts), step) };
  }
  if (view.status !== "pending") {
    const failed = view.challenges.find(({ error }) => error !== undefined);
    throw validationFailure(host, view.status, failed?.error, failed?.type ?? settings.challenge);
  }
  if (known.status === undefined) {
    if (chosen === undefined) throw noChallenge(host, settings.challenge, view.challenges);
    const step = stepOf(
      now,
      "authorization",
      "done",
      `${host} is to be proved by ${chosen.type}`,
      host,
    );
    const challenge = { challenge: chosen.type, challengeUrl: chosen.url, token: chosen.token };
    const told = chosen.status === "pending" ? {} : { respondedAt: now };
    const change = { ...facts, ...challenge, ...told };
    return { kind: "record", order: withStep(withAuthorization(order, index, change), step) };
  }
  const waitMs = pollMs(view.retryAfterMs, now - (known.respondedAt ?? now));
  const step = stepOf(now, "validation", "waiting", `the ACME server is looking at ${host}`, host);
  return { kind: "record", order: withWait(order, step, now + waitMs) };
}

function pollMs(asked: number | undefined, passedMs: number): number {
  return asked ?? Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, passedMs / 2));
}

function validationFailure(host: string, status: string, error: unknown, challenge: string) {
  const problem = problemOf(error);
  const words = problem === undefined ? status : `${problem.type}: ${problem.detail}`;
  const message = `${host} was not proved by ${challenge}: the ACME server says ${words}`;
  const advice = adviceFor(problem?.type ?? "unauthorized", challenge);
  return stepFailure(message, { step: "validation", host, advice });
}

function noChallenge(host: string, wanted: string, offered: readonly { readonly type: string }[]) {
  const message = `the ACME server does not offer ${wanted} for ${host}, only ${offered.map(({ type }) => type).join(", ")}`;
  const advice = "choose another with berth acme set --challenge";
  return stepFailure(message, { step: "authorization", host, advice });
}

/** RFC 8555, 8.4. A wildcard and its parent have one record with two values. */
async function recordOf(
  { session }: OrderInput,
  authorization: AcmeAuthorization,
): Promise<{ readonly record: string; readonly value: string }> {
  const text = await session.keyAuthorization(authorization.token ?? "");
  const value = createHash("sha256").update(text).digest("base64url");
  return { record: `_acme-challenge.${authorization.host ?? ""}`, value };
}

async function runHook(input: OrderInput, index: number, action: "present" | "cleanup") {
  const { settings, ports, signal } = input;
  const authorization = authorizationAt(input, index);
  const { record, value } = await recordOf(input, authorization);
  const command = settings.hook ?? [];
  const timeoutMs = settings.hookTimeoutMs ?? HOOK_TIMEOUT_MS;
  const call = { action, host: authorization.host ?? "", record, value };
  const said = await ports.hook({ command, timeoutMs, call, signal });
  return `${record} TXT ${value}${said === "" ? "" : ` (the hook says: ${said})`}`;
}

async function present(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, ports } = input;
  const host = authorizedHost(authorizationAt(input, index));
  const words = await runHook(input, index, "present");
  const now = ports.clock.now();
  const step = stepOf(now, "present", "done", `made ${words}`, host);
  const changed = withAuthorization(order, index, { presentedAt: now });
  return { kind: "record", order: withStep(changed, step) };
}

async function propagation(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, settings, ports } = input;
  const authorization = authorizationAt(input, index);
  const host = authorizedHost(authorization);
  const { record, value } = await recordOf(input, authorization);
  const answers = await ports.txtRecords({ record, servers: settings.dnsServers });
  const now = ports.clock.now();
  const lacking = answers.filter(({ values }) => !values.includes(value));
  if (answers.length > 0 && lacking.length === 0) {
    const names = answers.map(({ server }) => server).join(", ");
    const step = stepOf(now, "propagation", "done", `${record} is there at ${names}`, host);
    const changed = withAuthorization(order, index, { visibleAt: now });
    return { kind: "record", order: withStep(changed, step) };
  }
  const missing = lacking
    .map(({ server, values, problem }) => `${server} ${problem ?? `has ${values.join(", ")}`}`)
    .join("; ");
  const words = answers.length === 0 ? `no server of the zone of ${record} was found` : missing;
  const timeoutMs = settings.propagationTimeoutMs ?? PROPAGATION_TIMEOUT_MS;
  if (now - (authorization.presentedAt ?? now) < timeoutMs) {
    const step = stepOf(now, "propagation", "waiting", `${record}: ${words}`, host);
    return { kind: "record", order: withWait(order, step, now + LOOK_MS) };
  }
  const message = `${record} cannot be seen after ${timeoutMs / SECOND_MS} s: ${words}`;
  const advice =
    "check that the hook writes to the servers that are asked (berth acme set --dns-server), or allow more time (--propagation-timeout)";
  throw stepFailure(message, { step: "propagation", host, advice });
}

async function ingress(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, unconfirmed, ports } = input;
  const host = authorizedHost(authorizationAt(input, index));
  const now = ports.clock.now();
  const names = unconfirmed.join(", ");
  if (unconfirmed.length > 0 && now - order.startedAt < INGRESS_WAIT_MS) {
    const step = stepOf(now, "ingress", "waiting", `waits until ${names} can answer`, host);
    return { kind: "record", order: withWait(order, step, now + INGRESS_LOOK_MS) };
  }
  const words =
    unconfirmed.length === 0
      ? "every node in contact answers the challenge"
      : `goes on although these nodes have not said that they answer: ${names}`;
  const changed = withAuthorization(order, index, { visibleAt: now });
  return { kind: "record", order: withStep(changed, stepOf(now, "ingress", "done", words, host)) };
}

async function respond(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, session, account, ports, signal } = input;
  const authorization = authorizationAt(input, index);
  const host = authorizedHost(authorization);
  // A life before this one may have done it already, and nothing may be told twice.
  const view = await session.authorization(account, authorization.url, signal);
  const challenge = view.challenges.find(({ url }) => url === authorization.challengeUrl);
  if (challenge?.status === "pending" && view.status === "pending") {
    await session.respond(account, challenge.url, signal);
  }
  const now = ports.clock.now();
  const step = stepOf(now, "challenge", "done", "the ACME server was told to look", host);
  const changed = withAuthorization(order, index, { respondedAt: now });
  return { kind: "record", order: withStep(changed, step) };
}

async function finalize(input: OrderInput): Promise<ActionResult> {
  const { order, certificate, session, account, key, ports, signal } = input;
  const { url = "", finalizeUrl } = order;
  let view = await session.readOrder(account, url, signal);
  const steps: AcmeStep[] = [];
  if (view.status === "ready") {
    const request = await signingRequest({ hosts: certificate.hosts, key });
    const target = { url, finalize: finalizeUrl ?? view.finalize };
    view = await session.finalize(account, target, request, signal);
    steps.push(stepOf(ports.clock.now(), "finalize", "done", "the signing request was handed in"));
  }
  const now = ports.clock.now();
  const told = steps.reduce(withStep, { ...order, state: "finalizing" as const });
  if (view.status === "invalid") {
    const problem = problemOf(view.error);
    const words = problem === undefined ? "" : `: ${problem.type}: ${problem.detail}`;
    const advice = adviceFor(problem?.type ?? "unknown");
    throw stepFailure(`the ACME server gave the order up${words}`, { step: "finalize", advice });
  }
  if (view.status !== "valid" || view.certificate === undefined) {
    const waiting = `the ACME server is issuing (${view.status})`;
    const step = stepOf(now, "finalize", "waiting", waiting);
    const waitMs = pollMs(view.retryAfterMs, POLL_MIN_MS);
    return { kind: "record", order: withWait(told, step, now + waitMs) };
  }
  const chain = await session.download(account, view.certificate, signal);
  const read = readCertificate({ certificate: chain, key, now: ports.clock.now() });
  if (read.kind === "wrong") {
    const message = `the ACME server's certificate cannot be used: ${read.problems.join("; ")}`;
    const advice = "its operator must mend that; nothing was changed here";
    throw stepFailure(message, { step: "download", advice });
  }
  const step = stepOf(ports.clock.now(), "download", "done", `issued by ${read.facts.issuer}`);
  return { kind: "issued", order: withStep(told, step), chain };
}

/** Tried once: a record that stays behind proves nothing to anybody, and its step says so. */
async function cleanup(input: OrderInput, index: number): Promise<ActionResult> {
  const { order, ports, signal } = input;
  const host = authorizedHost(authorizationAt(input, index));
  const words = await runHook(input, index, "cleanup").then(
    (done) => ({ outcome: "done" as const, message: `removed ${done}` }),
    (error: unknown) => {
      signal.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      return { outcome: "failed" as const, message };
    },
  );
  const now = ports.clock.now();
  const changed = withAuthorization(order, index, { cleanedAt: now });
  const step = stepOf(now, "cleanup", words.outcome, words.message, host);
  return { kind: "record", order: withStep(changed, step) };
}

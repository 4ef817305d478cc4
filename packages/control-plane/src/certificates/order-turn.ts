/**
 * Takes an order forward, action by action, each written down before the next: what `order-decision.ts`
 * says, `order-runner.ts` does, and a failure is judged here. A failure that can pass (no answer, a server in
 * trouble) repeats the action after a pause; any other ends the order, and the certificate waits for its next
 * attempt.
 */

import { backoffMs, type Clock, HOUR_MS, MINUTE_MS, type Prng, SECOND_MS } from "@berth/base";
import {
  type AcmeOrder,
  type AcmeSettings,
  type AcmeStepKind,
  asProtocolError,
  type Certificate,
  type ProtocolError,
} from "@berth/protocol";
import type { ClusterState } from "../state/cluster-state.ts";
import { nextAction, type OrderAction } from "./acme/order-decision.ts";
import { authorizedHost, newOrder, withStep, withWait } from "./acme/order-record.ts";
import {
  type OrderInput,
  type OrderPorts,
  orderedRecord,
  runAction,
  stepFailure,
  stepOf,
} from "./acme/order-runner.ts";
import { adviceFor, plainText } from "./acme/problem.ts";
import type { AcmeAccounts } from "./acme-accounts.ts";
import { acmeFor } from "./automatic.ts";
import { attemptPauseMs } from "./lifetime.ts";
import type { NodeServing } from "./node-serving.ts";
import { factsOfPem } from "./read-certificate.ts";
import { type CertificateRecords, installed, orderKey } from "./records.ts";
import type { Vault } from "./vault.ts";
import { newPrivateKey } from "./x509.ts";

/** Pauses while the ACME server does not answer. */
const RETRY = { initialMs: 2 * SECOND_MS, maxMs: 10 * MINUTE_MS, factor: 2, jitter: 0.3 } as const;
/** Retries of one step, some hours in all: an outage that lasts longer ends the order. */
const RETRIES_MAX = 20;
/** HTTP's word for an order that the server does not know any more. */
const NOT_FOUND = 404;

export interface OrderTurnOptions {
  readonly state: ClusterState;
  readonly records: CertificateRecords;
  readonly vault: Vault;
  readonly accounts: AcmeAccounts;
  readonly serving: NodeServing;
  readonly ports: OrderPorts;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly newId: () => string;
}

export class OrderTurn {
  readonly #options: OrderTurnOptions;

  constructor(options: OrderTurnOptions) {
    this.#options = options;
  }

  /** Begins an order: its key is sealed and its record written before anybody is asked for anything. */
  async begin(key: string, settings: AcmeSettings): Promise<void> {
    const { records, vault, clock, newId } = this.#options;
    const id = newId();
    const entity = records.get(key);
    if (entity === undefined) return;
    const secret = vault.put(orderKey(entity.value, entity.value.name, id), newPrivateKey());
    const order = newOrder(id, settings.directory, clock.now());
    await records.update(
      key,
      ({ renewRequestedAt: _done, nextAttemptAt: _over, ...rest }) => ({ ...rest, order }),
      [secret],
    );
  }

  /**
   * One action of the certificate's order. Answers when the next one is due: at once (0), at a time, or
   * never (`undefined`).
   */
  async step(key: string, signal: AbortSignal): Promise<number | undefined> {
    const { state, records, clock } = this.#options;
    const certificate = records.get(key)?.value;
    const order = certificate?.order;
    if (certificate === undefined || order === undefined) return undefined;
    const settings = acmeFor(state.view, certificate);
    const isWanted = certificate.source === "acme" && certificate.removeRequestedAt === undefined;
    const directory = isWanted ? settings?.directory : undefined;
    const action = nextAction(order, clock.now(), directory);
    if (action.kind === "nothing") return undefined;
    if (action.kind === "wait") return action.until;
    if (action.kind === "drop") {
      await this.#drop(key, certificate, order, action.message);
      return 0;
    }
    try {
      await this.#act({ key, certificate, order, settings, action, signal });
    } catch (cause) {
      signal.throwIfAborted();
      const error = asProtocolError(cause);
      const isUnknown = error.details["acmeType"] === "accountDoesNotExist";
      if (isUnknown && settings !== undefined) await this.#options.accounts.forgetAccount(settings);
      await this.#failed(key, order, action, error);
    }
    return 0;
  }

  async #act(turn: {
    readonly key: string;
    readonly certificate: Certificate;
    readonly order: AcmeOrder;
    readonly settings: AcmeSettings | undefined;
    readonly action: OrderAction;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { key, certificate, order, settings, action, signal } = turn;
    if (action.kind === "fail") {
      throw stepFailure(action.message, { step: "order", advice: action.advice });
    }
    if (settings === undefined) return this.#giveUpCleanup(key, order);
    const input = await this.#input(certificate, order, settings, signal);
    if (action.kind === "ask") return this.#ask(key, input);
    const result = await runAction(input, action);
    if (result.kind === "record") return this.#write(key, result.order);
    const facts = { ...factsOfPem(result.chain), source: "acme" as const };
    const pem = `${result.chain.trim()}\n${input.key.trim()}\n`;
    const ended = { ...result.order, state: "done" as const, endedAt: this.#options.clock.now() };
    await this.#install(key, ended, { facts, pem });
  }

  async #input(
    certificate: Certificate,
    order: AcmeOrder,
    settings: AcmeSettings,
    signal: AbortSignal,
  ): Promise<OrderInput> {
    const { state, vault, accounts, serving, ports } = this.#options;
    const isOver = order.state === "done" || order.state === "failed";
    // What is left of an ended order is the hook's to remove: the server is not needed for it.
    const { session, account } = await accounts.open(settings, { isOver, signal });
    const place = orderKey(certificate, certificate.name, order.id);
    return {
      certificate,
      order,
      settings,
      session,
      account,
      key: isOver ? "" : await vault.open(place, signal),
      unconfirmed: serving.unconfirmed(state.view, settings.thumbprint),
      ports,
      signal,
    };
  }

  /** An order whose answer was lost is looked for before another one is made. */
  async #ask(key: string, input: OrderInput): Promise<void> {
    const { clock } = this.#options;
    const { order, session, account, certificate, signal } = input;
    const lost =
      order.askedAt === undefined
        ? undefined
        : await session.findOrder(account, certificate.hosts, signal);
    if (lost !== undefined) return this.#write(key, orderedRecord(order, lost, clock.now(), true));
    const asking = withStep(
      { ...order, askedAt: clock.now() },
      stepOf(clock.now(), "account", "done", `account ${account}`),
    );
    await this.#write(key, asking);
    const view = await session.order(account, certificate.hosts, signal);
    await this.#write(key, orderedRecord(asking, view, clock.now(), false));
  }

  async #write(key: string, order: AcmeOrder): Promise<void> {
    await this.#options.records.update(key, (certificate) =>
      certificate.order?.id === order.id ? { ...certificate, order } : undefined,
    );
  }

  async #install(
    key: string,
    order: AcmeOrder,
    made: Pick<Parameters<typeof installed>[0], "facts" | "pem">,
  ): Promise<void> {
    const { records, vault } = this.#options;
    const known = records.get(key)?.value;
    if (known === undefined) return;
    const { besides } = installed({ certificate: known, vault, ...made });
    const spent = { kind: "delete", key: orderKey(known, known.name, order.id) } as const;
    await records.update(
      key,
      (certificate) => {
        if (certificate.order?.id !== order.id) return undefined;
        return { ...installed({ certificate, vault, ...made }).certificate, order };
      },
      [...besides, spent],
    );
  }

  /** No failure: nothing is counted, and what comes next need not wait. */
  async #drop(
    key: string,
    { project, environment, name }: Certificate,
    order: AcmeOrder,
    message: string,
  ): Promise<void> {
    const { records, clock } = this.#options;
    const now = clock.now();
    const told = withStep(order, stepOf(now, "order", "failed", message));
    const spent = orderKey({ project, environment }, name, order.id);
    await records.update(
      key,
      (certificate) =>
        certificate.order?.id === order.id
          ? { ...certificate, order: { ...told, state: "failed", endedAt: now } }
          : undefined,
      [{ kind: "delete", key: spent }],
    );
  }

  /** ACME is not set any more, so neither is its hook. */
  async #giveUpCleanup(key: string, order: AcmeOrder): Promise<void> {
    const now = this.#options.clock.now();
    const message = "ACME is not set any more: the DNS record was left where it is";
    const authorizations = order.authorizations.map((each) => ({ ...each, cleanedAt: now }));
    const step = stepOf(now, "cleanup", "failed", message);
    await this.#write(key, withStep({ ...order, authorizations }, step));
  }

  async #failed(key: string, order: AcmeOrder, action: OrderAction, error: ProtocolError) {
    const { clock, prng } = this.#options;
    const now = clock.now();
    const step = stepOfAction(action, error);
    const host = hostOfAction(order, action, error);
    const message = plainText(error.message);
    const advice = adviceOf(error);
    const lastError = { at: now, step, message, advice, ...(host === undefined ? {} : { host }) };
    const current = this.#options.records.get(key)?.value.order ?? order;
    if (current.id !== order.id) return;
    if (isTransient(error) && current.retries < RETRIES_MAX) {
      const retries = current.retries + 1;
      const asked = retryAfterOf(error);
      const until = now + Math.max(backoffMs(retries, RETRY, prng), asked);
      const words = `${message}; tried again at ${new Date(until).toISOString()}`;
      const waiting = withWait(current, stepOf(now, step, "waiting", words, host), until);
      await this.#options.records.update(key, (certificate) =>
        certificate.order?.id === order.id
          ? { ...certificate, lastError, order: { ...waiting, retries } }
          : undefined,
      );
      return;
    }
    const told = withStep(current, stepOf(now, step, "failed", message, host));
    await this.#end(
      key,
      { ...told, state: "failed", endedAt: now },
      lastError,
      retryAfterOf(error),
    );
  }

  async #end(
    key: string,
    order: AcmeOrder,
    lastError: NonNullable<Certificate["lastError"]>,
    retryAfterMs: number,
  ): Promise<void> {
    const { records, prng } = this.#options;
    const known = records.get(key)?.value;
    if (known === undefined) return;
    const pauseMs = attemptPauseMs(known.failuresInRow + 1, prng, retryAfterMs);
    const spent = { kind: "delete", key: orderKey(known, known.name, order.id) } as const;
    await records.update(
      key,
      (certificate) => {
        if (certificate.order?.id !== order.id) return undefined;
        const failuresInRow = certificate.failuresInRow + 1;
        const nextAttemptAt = lastError.at + pauseMs;
        return { ...certificate, order, lastError, failuresInRow, nextAttemptAt };
      },
      [spent],
    );
  }
}

/** Whom a failure concerns: as the failure says, else the host that the action was about. */
function hostOfAction(
  order: AcmeOrder,
  action: OrderAction,
  { details }: ProtocolError,
): string | undefined {
  const told = details["host"];
  if (typeof told === "string") return told;
  const authorization = "index" in action ? order.authorizations[action.index] : undefined;
  return authorization?.host === undefined ? undefined : authorizedHost(authorization);
}

/** Where an action's failure is shown. */
function stepOfAction(action: OrderAction, error: ProtocolError): AcmeStepKind {
  const told = error.details["step"];
  if (typeof told === "string") return told as AcmeStepKind;
  switch (action.kind) {
    case "ask":
      return "order";
    case "respond":
      return "challenge";
    case "wait":
    case "fail":
    case "drop":
    case "nothing":
      return "order";
    default:
      return action.kind;
  }
}

/** The next try may go well without anybody doing anything. */
function isTransient(error: ProtocolError): boolean {
  return error.code === "unavailable" || error.details["acmeType"] === "accountDoesNotExist";
}

function adviceOf({ code, details }: ProtocolError): string {
  const { advice, acmeType, status } = details;
  if (typeof advice === "string") return advice;
  if (code === "unavailable") {
    return "it is tried again by itself; if it lasts, check from the server's host that the ACME server can be reached (berth acme show)";
  }
  if (code === "engine_error")
    return "run the hook by hand with the same environment: docs/operating/certificates.md";
  if (status === NOT_FOUND) return "the ACME server has forgotten the order: a new one is made";
  return adviceFor(typeof acmeType === "string" ? acmeType : "unknown");
}

function retryAfterOf({ details }: ProtocolError): number {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === "number" ? Math.min(retryAfterMs, 24 * HOUR_MS) : 0;
}

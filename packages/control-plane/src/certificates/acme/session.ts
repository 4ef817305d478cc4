/**
 * The client's half of RFC 8555 with one ACME server and one account key: signed requests, nonces,
 * accounts, orders, authorizations. It decides nothing and waits for nothing; what an order needs next is
 * `order-decision.ts`'s word, when is the controller's. Why not a library: ADR 25.
 *
 * Invariants: every signed request has a fresh nonce, also when it is sent again; a request whose outcome is
 * not known is never repeated here.
 */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { SECOND_MS } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK } from "jose";
import { plainText, problemOf } from "./problem.ts";
import type { AcmeResponse, AcmeTransport } from "./transport.ts";

export interface SessionOptions {
  readonly directory: string;
  readonly caBundle?: string;
  /** PKCS #8 as PEM, EC P-256. */
  readonly accountKey: string;
  readonly transport: AcmeTransport;
}

export interface ExternalAccount {
  readonly keyId: string;
  /** Base64url. */
  readonly key: string;
}

export interface OrderView {
  readonly url: string;
  readonly status: string;
  readonly expiresAt?: number;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
  readonly hosts: readonly string[];
  readonly error?: unknown;
  /** Ask again after this, as the server wishes. */
  readonly retryAfterMs?: number;
}

export interface ChallengeView {
  readonly type: string;
  readonly url: string;
  readonly status: string;
  readonly token: string;
  readonly error?: unknown;
}

export interface AuthorizationView {
  readonly status: string;
  readonly host: string;
  readonly wildcard: boolean;
  readonly challenges: readonly ChallengeView[];
  readonly retryAfterMs?: number;
}

/** A server that says "badNonce" more often in a row is broken. */
const NONCE_TRIES_MAX = 6;
/** Orders of an account that are looked at for one that was lost: the newest pages are enough. */
const ORDERS_LOOKED_AT_MAX = 20;
/** No server's wish to wait is followed for longer. */
const RETRY_AFTER_MAX_MS = 86_400 * SECOND_MS;
/** Nonces that are kept: one exchange gives one. */
const NONCES_MAX = 10;

/** RFC 7638, of an account key: what HTTP-01 and DNS-01 answers end with. */
export async function thumbprintOf(accountKey: string): Promise<string> {
  return calculateJwkThumbprint(await publicJwk(createPrivateKey(accountKey)));
}

async function publicJwk(key: KeyObject): Promise<JWK> {
  const { kty, crv, x, y } = await exportJWK(key);
  return { kty, crv, x, y } as JWK;
}

export class AcmeSession {
  readonly #options: SessionOptions;
  readonly #key: KeyObject;
  #directory: Readonly<Record<string, unknown>> | undefined;
  #nonces: string[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#key = createPrivateKey(options.accountKey);
  }

  /** Registers the account key, or finds the account that it has; answers the account's URL. */
  async account(
    input: { readonly emails: readonly string[]; readonly external?: ExternalAccount },
    signal: AbortSignal,
  ): Promise<string> {
    const url = await this.#resource("newAccount", signal);
    const { emails, external } = input;
    const binding =
      external === undefined ? {} : { externalAccountBinding: await this.#binding(external, url) };
    const payload = {
      termsOfServiceAgreed: true,
      contact: emails.map((email) => `mailto:${email}`),
      ...binding,
    };
    const answer = await this.#post({ url, payload, signal });
    return locationOf(answer, "account");
  }

  /** A new order for `hosts`. */
  async order(account: string, hosts: readonly string[], signal: AbortSignal): Promise<OrderView> {
    const url = await this.#resource("newOrder", signal);
    const payload = { identifiers: hosts.map(identifierOf) };
    const answer = await this.#post({ url, payload, account, signal });
    return orderOf(locationOf(answer, "order"), answer);
  }

  async readOrder(account: string, url: string, signal: AbortSignal): Promise<OrderView> {
    return orderOf(url, await this.#post({ url, account, signal }));
  }

  /**
   * An order of the account for exactly these hosts that can still become a certificate, where the server
   * lists orders (RFC 8555, 7.1.2.1; not all do).
   */
  async findOrder(
    account: string,
    hosts: readonly string[],
    signal: AbortSignal,
  ): Promise<OrderView | undefined> {
    const list = bodyOf(await this.#post({ url: account, account, signal }))["orders"];
    if (typeof list !== "string") return undefined;
    const answer = await this.#post({ url: list, account, signal });
    const urls = strings(bodyOf(answer)["orders"]).slice(-ORDERS_LOOKED_AT_MAX).reverse();
    const wanted = sorted(hosts);
    for (const url of urls) {
      const order = await this.readOrder(account, url, signal);
      const isOpen = ["pending", "ready", "processing"].includes(order.status);
      if (isOpen && sorted(order.hosts) === wanted) return order;
    }
    return undefined;
  }

  async authorization(
    account: string,
    url: string,
    signal: AbortSignal,
  ): Promise<AuthorizationView> {
    const answer = await this.#post({ url, account, signal });
    const body = bodyOf(answer);
    const challenges = Array.isArray(body["challenges"]) ? body["challenges"] : [];
    return {
      status: String(body["status"]),
      host: textAt(body["identifier"], "value"),
      wildcard: body["wildcard"] === true,
      challenges: challenges.map(challengeOf),
      ...retryAfterOf(answer),
    };
  }

  /** Tells the server to look whether the challenge is answered. */
  async respond(account: string, challengeUrl: string, signal: AbortSignal): Promise<void> {
    await this.#post({ url: challengeUrl, payload: {}, account, signal });
  }

  /** `request`: PKCS #10 as DER in base64url. */
  async finalize(
    account: string,
    order: { readonly url: string; readonly finalize: string },
    request: string,
    signal: AbortSignal,
  ): Promise<OrderView> {
    const url = order.finalize;
    return orderOf(
      order.url,
      await this.#post({ url, payload: { csr: request }, account, signal }),
    );
  }

  /** The chain as PEM, the certificate first. */
  async download(account: string, url: string, signal: AbortSignal): Promise<string> {
    const accept = "application/pem-certificate-chain";
    return (await this.#post({ url, account, accept, signal })).text;
  }

  /** What a challenge's token is answered with. */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${await calculateJwkThumbprint(await publicJwk(this.#key))}`;
  }

  async #resource(name: string, signal: AbortSignal): Promise<string> {
    const { directory, transport } = this.#options;
    if (this.#directory === undefined) {
      const answer = await transport({ method: "GET", url: directory, signal, ...this.#trust() });
      if (answer.status !== 200) throw refusalOf(answer, directory);
      this.#directory = bodyOf(answer);
    }
    const url = this.#directory[name];
    if (typeof url === "string") return url;
    const message = `${directory} is no ACME directory: it does not name ${name}`;
    throw new ProtocolError("invalid_certificate", message, { acmeType: "malformed" });
  }

  #trust(): { readonly caBundle?: string } {
    const { caBundle } = this.#options;
    return caBundle === undefined ? {} : { caBundle };
  }

  async #binding({ keyId, key }: ExternalAccount, url: string) {
    const payload = Buffer.from(JSON.stringify(await publicJwk(this.#key)));
    const secret = Buffer.from(key, "base64url");
    return new FlattenedSign(payload)
      .setProtectedHeader({ alg: "HS256", kid: keyId, url })
      .sign(secret);
  }

  /** A signed request; without a payload it reads (POST-as-GET). */
  async #post(call: {
    readonly url: string;
    readonly payload?: unknown;
    readonly account?: string;
    readonly accept?: string;
    readonly signal: AbortSignal;
  }): Promise<AcmeResponse> {
    const { url, accept, signal } = call;
    for (let attempt = 1; ; attempt++) {
      const body = await this.#signed(call, await this.#nonce(signal));
      const answer = await this.#options.transport({
        method: "POST",
        url,
        body,
        signal,
        ...(accept === undefined ? {} : { accept }),
        ...this.#trust(),
      });
      this.#keepNonce(answer);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const refusal = refusalOf(answer, url);
      // The request was not carried out: the nonce is checked first.
      const isNonce = refusal.details["acmeType"] === "badNonce";
      if (!isNonce || attempt === NONCE_TRIES_MAX) throw refusal;
    }
  }

  async #signed(
    call: { readonly url: string; readonly payload?: unknown; readonly account?: string },
    nonce: string,
  ): Promise<string> {
    const { url, payload, account } = call;
    const bytes = payload === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(payload));
    const signer = account === undefined ? { jwk: await publicJwk(this.#key) } : { kid: account };
    const signed = await new FlattenedSign(bytes)
      .setProtectedHeader({ alg: "ES256", nonce, url, ...signer })
      .sign(this.#key);
    return JSON.stringify(signed);
  }

  async #nonce(signal: AbortSignal): Promise<string> {
    const kept = this.#nonces.pop();
    if (kept !== undefined) return kept;
    const url = await this.#resource("newNonce", signal);
    const answer = await this.#options.transport({ method: "HEAD", url, signal, ...this.#trust() });
    const nonce = answer.headers["replay-nonce"];
    if (nonce !== undefined) return nonce;
    throw refusalOf(answer, url);
  }

  #keepNonce({ headers }: AcmeResponse): void {
    const nonce = headers["replay-nonce"];
    if (nonce === undefined) return;
    this.#nonces = [...this.#nonces, nonce].slice(-NONCES_MAX);
  }
}

function identifierOf(value: string): { readonly type: string; readonly value: string } {
  return { type: "dns", value };
}

function sorted(hosts: readonly string[]): string {
  return [...hosts].sort().join(" ");
}

/** The refusal of an answer: `acmeType` and `retryAfterMs` in its details tell what follows from it. */
function refusalOf(answer: AcmeResponse, url: string): ProtocolError {
  const problem = problemOf(parsed(answer.text));
  const words = problem?.detail ?? plainText(answer.text.slice(0, 200));
  const type = problem?.type ?? "unknown";
  const said = words === "" ? "" : `: ${words}`;
  const details = {
    acmeType: type,
    status: answer.status,
    url,
    ...(problem?.host === undefined ? {} : { host: problem.host }),
    ...retryAfterOf(answer),
  };
  if (answer.status >= 500 || type === "serverInternal") {
    const message = `the ACME server has a problem of its own (${answer.status})${said}`;
    return new ProtocolError("unavailable", message, details);
  }
  const message = `the ACME server refused (${answer.status} ${type})${said}`;
  return new ProtocolError("invalid_certificate", message, details);
}

function retryAfterOf({ headers }: AcmeResponse): { readonly retryAfterMs?: number } {
  const text = headers["retry-after"];
  if (text === undefined) return {};
  // A date needs a clock; servers of today send seconds.
  const seconds = Number(text);
  if (!Number.isFinite(seconds) || seconds < 0) return {};
  return { retryAfterMs: Math.min(seconds * SECOND_MS, RETRY_AFTER_MAX_MS) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bodyOf(answer: AcmeResponse): Readonly<Record<string, unknown>> {
  const body = parsed(answer.text);
  if (typeof body === "object" && body !== null) return body as Readonly<Record<string, unknown>>;
  const message = "the ACME server's answer is no JSON object";
  throw new ProtocolError("invalid_certificate", message, { acmeType: "malformed" });
}

function locationOf({ headers }: AcmeResponse, what: string): string {
  const { location } = headers;
  if (location !== undefined) return location;
  const message = `the ACME server did not say where the ${what} is`;
  throw new ProtocolError("invalid_certificate", message, { acmeType: "malformed" });
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function textAt(value: unknown, name: string): string {
  if (typeof value !== "object" || value === null) return "";
  const found = (value as Readonly<Record<string, unknown>>)[name];
  return typeof found === "string" ? found : "";
}

function orderOf(url: string, answer: AcmeResponse): OrderView {
  const body = bodyOf(answer);
  const identifiers = Array.isArray(body["identifiers"]) ? body["identifiers"] : [];
  const expires = Date.parse(textAt(body, "expires"));
  const certificate = textAt(body, "certificate");
  return {
    url,
    status: textAt(body, "status"),
    authorizations: strings(body["authorizations"]),
    finalize: textAt(body, "finalize"),
    hosts: identifiers.map((identifier) => textAt(identifier, "value")),
    ...(Number.isNaN(expires) ? {} : { expiresAt: expires }),
    ...(certificate === "" ? {} : { certificate }),
    ...(body["error"] === undefined ? {} : { error: body["error"] }),
    ...retryAfterOf(answer),
  };
}

function challengeOf(value: unknown): ChallengeView {
  const error =
    typeof value === "object" && value !== null && "error" in value ? value.error : undefined;
  return {
    type: textAt(value, "type"),
    url: textAt(value, "url"),
    status: textAt(value, "status"),
    token: textAt(value, "token"),
    ...(error === undefined ? {} : { error }),
  };
}

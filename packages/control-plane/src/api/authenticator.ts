/**
 * From the token of a request to an actor.
 *
 * A token is 32 random bytes; the store knows only its SHA-256. The hash is looked up in memory and then
 * compared in constant time, so that neither the store nor time tells anything about a token.
 *
 * Failures are limited per address. A right token is never turned away by that: with 256 random bits
 * guessing is hopeless anyway, and a broken client must not lock out the others behind its address. What
 * the limit saves is the log, the audit record and the processor.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "@berth/base";
import { keys, ProtocolError, type Token } from "@berth/protocol";
import type { ReadTable } from "../state/entity-table.ts";
import { type Actor, NOBODY } from "./actor.ts";

/** Failures that an address may have at once ... */
export const FAILURES_BURST_MAX = 20;
/** ... and how fast they are forgiven: one every so many milliseconds. */
export const FAILURE_FORGIVEN_MS = 1_000;
/** Addresses that are remembered; the one that failed longest ago is forgotten first. */
export const FAILING_ADDRESSES_MAX = 1_000;
/** Longer ones are none of ours; bounds the work per request. */
const TOKEN_CHARS_MAX = 200;

/** What the store keeps of `token`, and names it by. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

export class Authenticator {
  readonly #tokens: ReadTable<Token>;
  readonly #clock: Clock;
  /** Per address: since when the next failure counts as the only one (a leaky bucket as one number). */
  readonly #failures = new Map<string, number>();

  constructor(options: { readonly tokens: ReadTable<Token>; readonly clock: Clock }) {
    this.#tokens = options.tokens;
    this.#clock = options.clock;
  }

  /**
   * Who holds `token`; nobody without one.
   *
   * @throws ProtocolError `unauthenticated` for a token that is not known, `too_many_requests` when there
   * were too many of those from this address.
   */
  authenticate(token: string | undefined, remoteAddress: string): Actor {
    if (token === undefined) return NOBODY;
    const actor = this.#actorOf(token);
    if (actor !== undefined) return actor;
    this.#countFailure(remoteAddress);
    throw new ProtocolError("unauthenticated", "the token is not known here");
  }

  #actorOf(token: string): Actor | undefined {
    if (token.length > TOKEN_CHARS_MAX) return undefined;
    const hash = hashToken(token);
    const known = this.#tokens.get(keys.token(hash))?.value;
    if (known === undefined || !timingSafeEqual(Buffer.from(known.hash), Buffer.from(hash))) {
      return undefined;
    }
    if (known.role === "admin") return { role: "admin", name: known.name };
    if (known.node === undefined) return undefined;
    return { role: "agent", name: known.name, node: known.node };
  }

  #countFailure(address: string): void {
    const now = this.#clock.monotonic();
    const since = Math.max(this.#failures.get(address) ?? 0, now);
    const retryAfterMs = since - now - (FAILURES_BURST_MAX - 1) * FAILURE_FORGIVEN_MS;
    if (retryAfterMs > 0) {
      throw new ProtocolError("too_many_requests", "too many wrong tokens from this address", {
        limit: "wrong tokens",
        maximum: FAILURES_BURST_MAX,
        retryAfterMs,
      });
    }
    // Taken out and put in again: the map's order is that of the last failure.
    this.#failures.delete(address);
    this.#failures.set(address, since + FAILURE_FORGIVEN_MS);
    if (this.#failures.size > FAILING_ADDRESSES_MAX) {
      const oldest = this.#failures.keys().next();
      if (!oldest.done) this.#failures.delete(oldest.value);
    }
  }
}

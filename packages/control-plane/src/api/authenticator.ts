/**
 * From the token or the certificate of a request to an actor. Where there are both, the token counts.
 *
 * A token is 32 random bytes; the store knows only its SHA-256. The hash is looked up in memory and then
 * compared in constant time, so that neither the store nor time tells anything about a token.
 *
 * Failures are limited per address. A right token is never turned away by that: with 256 random bits
 * guessing is hopeless anyway, and a broken client must not lock out the others behind its address. What
 * the limit saves is the log, the audit record and the processor.
 */

import { hash, timingSafeEqual } from "node:crypto";
import type { Clock } from "@berth/base";
import { keys, ProtocolError } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { type Actor, NOBODY } from "./actor.ts";
import type { Peer } from "./peer.ts";

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
  return hash("sha256", token, "hex");
}

/** What a request shows. */
export interface Credentials {
  readonly token?: string | undefined;
  /** Whom the connection's certificate speaks for. */
  readonly peer?: Peer | undefined;
  readonly remoteAddress: string;
}

export type KnownTokens = Pick<ClusterView, "tokens" | "joinTokens" | "members" | "removals">;

export class Authenticator {
  readonly #known: KnownTokens;
  readonly #clock: Clock;
  /** Per address: since when the next failure counts as the only one (a leaky bucket as one number). */
  readonly #failures = new Map<string, number>();

  constructor(options: { readonly known: KnownTokens; readonly clock: Clock }) {
    this.#known = options.known;
    this.#clock = options.clock;
  }

  /**
   * Who asks; nobody without a token or certificate.
   *
   * @throws ProtocolError `unauthenticated` for a token that is not known, `too_many_requests` when there
   * were too many of those from this address; `foreign_cluster` or `node_removed` for a certificate.
   */
  authenticate({ token, peer, remoteAddress }: Credentials): Actor {
    if (token === undefined) return peer === undefined ? NOBODY : this.#member(peer);
    const actor = this.#actorOf(token);
    if (actor !== undefined) return actor;
    this.#countFailure(remoteAddress);
    throw new ProtocolError("unauthenticated", "the token is not known here");
  }

  #member(peer: Peer): Actor {
    if (peer.kind === "foreign") {
      throw new ProtocolError("foreign_cluster", `this cluster does not know you: ${peer.why}`);
    }
    if (peer.kind === "server") return { role: "server", name: "server" };
    const { node, member } = peer;
    const known = this.#known.members.get(keys.member(node))?.value;
    if (known?.id !== member) throw this.#notMember(node, member, known !== undefined);
    const expired = peer.notAfter <= this.#clock.now();
    return { role: "agent", name: `agent:${node}`, node, ...(expired ? { expired } : {}) };
  }

  /**
   * A removal is remembered, so that its node ends what it runs. One that is merely unknown may be unknown to a
   * store that was restored: then nothing may end because of that.
   */
  #notMember(node: string, member: string, isTaken: boolean): ProtocolError {
    const removed = this.#known.removals.get(keys.removal(member)) !== undefined;
    const what = removed ? "was removed" : "is not known here (this store may be an older one)";
    const other = isTaken ? ", and another host has its name" : "";
    const message = `node ${node} ${what}${other}: its certificate is worth nothing any more`;
    return new ProtocolError("node_removed", message, { node, removed });
  }

  #actorOf(token: string): Actor | undefined {
    if (token.length > TOKEN_CHARS_MAX) return undefined;
    const hash = hashToken(token);
    const join = this.#known.joinTokens.get(keys.joinToken(hash))?.value;
    if (join !== undefined && isSame(join.hash, hash)) {
      return { role: "joiner", name: `join:${join.id}`, tokenHash: hash };
    }
    const known = this.#known.tokens.get(keys.token(hash))?.value;
    if (known === undefined || !isSame(known.hash, hash)) return undefined;
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

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

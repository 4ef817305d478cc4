/**
 * Asks the host's resolvers for names that are not ours: the given ones and no others, ever.
 *
 * Each exchange has a socket and an id of its own (both unpredictable), one time limit, and ends early when
 * the resolver's host refuses. Equal questions in flight share one exchange, which also ends a loop (a
 * resolver that asks us back) instead of multiplying it. Cost: one socket per exchange in flight.
 */

import { randomInt } from "node:crypto";
import type { Clock, Logger } from "@berth/base";
import { CHASES_MAX, joined, openAlias, questionFor } from "./chase.ts";
import { exchangeTcp, exchangeUdp, type Resolver } from "./exchange.ts";
import { type CheckedResponse, checkResponse, forwardedQuery } from "./response.ts";
import { ResponseCache } from "./response-cache.ts";
import { type Query, RCODE } from "./wire.ts";

/** Sockets in use for forwarding; beyond, the asker is told to try again (SERVFAIL). */
const IN_FLIGHT_MAX = 512;
/** One container that floods must leave room for the others. */
const IN_FLIGHT_PER_ASKER_MAX = 64;
/** Two rounds over the resolvers fit into the five seconds that clients wait by default. */
const EXCHANGE_TIMEOUT_MS = 1_000;
const ROUNDS = 2;
const TOTAL_TIMEOUT_MS = 4_500;

export interface ForwarderFigures {
  readonly forwarded: number;
  readonly cached: number;
  readonly failed: number;
  readonly refusedByLimit: number;
  readonly cacheCount: number;
  readonly cacheBytes: number;
}

export class Forwarder {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #cache = new ResponseCache();
  readonly #inFlight = new Map<string, Promise<CheckedResponse | undefined>>();
  readonly #perAsker = new Map<string, number>();
  #resolvers: readonly Resolver[] = [];
  /** The resolver that answered last is asked first: a dead first one costs its time-out once. */
  #preferred = 0;
  #forwarded = 0;
  #cached = 0;
  #failed = 0;
  #refusedByLimit = 0;

  constructor(options: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** `own`: where we answer ourselves, `10.0.0.1#53`; a forwarder among them would be a loop and is left out. */
  setResolvers(forwarders: readonly string[], own: ReadonlySet<string>): void {
    const resolvers = forwarders
      .map(parseResolver)
      .filter(({ address, port }) => !own.has(`${address}#${port}`));
    if (JSON.stringify(resolvers) === JSON.stringify(this.#resolvers)) return;
    this.#resolvers = resolvers;
    this.#preferred = 0;
    this.#cache.clear();
  }

  get available(): boolean {
    return this.#resolvers.length > 0;
  }

  /** The answer and its age, or `undefined` when nobody gave one in time (SERVFAIL). Never rejects. */
  async resolve(
    query: Query,
    asker: string,
  ): Promise<{ readonly response: CheckedResponse; readonly ageS: number } | undefined> {
    const key = cacheKey(query);
    const hit = this.#cache.get(key, this.#clock.monotonic());
    if (hit !== undefined) {
      this.#cached++;
      return hit;
    }
    const shared = this.#inFlight.get(key) ?? this.#start(key, query, asker);
    const response = await shared;
    return response === undefined ? undefined : { response, ageS: 0 };
  }

  figures(): ForwarderFigures {
    return {
      forwarded: this.#forwarded,
      cached: this.#cached,
      failed: this.#failed,
      refusedByLimit: this.#refusedByLimit,
      cacheCount: this.#cache.count,
      cacheBytes: this.#cache.sizeBytes,
    };
  }

  #start(key: string, query: Query, asker: string): Promise<CheckedResponse | undefined> {
    const ofAsker = this.#perAsker.get(asker) ?? 0;
    if (this.#inFlight.size >= IN_FLIGHT_MAX || ofAsker >= IN_FLIGHT_PER_ASKER_MAX) {
      this.#refusedByLimit++;
      return Promise.resolve(undefined);
    }
    this.#perAsker.set(asker, ofAsker + 1);
    this.#forwarded++;
    const promise = this.#askWhole(query)
      .then((response) => {
        if (response === undefined) this.#failed++;
        else this.#cache.put(key, response, this.#clock.monotonic());
        return response;
      })
      .finally(() => {
        this.#inFlight.delete(key);
        const left = (this.#perAsker.get(asker) ?? 1) - 1;
        if (left > 0) this.#perAsker.set(asker, left);
        else this.#perAsker.delete(asker);
      });
    this.#inFlight.set(key, promise);
    return promise;
  }

  /** As `#ask`, and on for an alias that the answer leaves open; all within one time limit. */
  async #askWhole(query: Query): Promise<CheckedResponse | undefined> {
    const deadlineMs = this.#clock.monotonic() + TOTAL_TIMEOUT_MS;
    const first = await this.#ask(query, deadlineMs);
    if (first === undefined) return undefined;
    const parts = [{ query, response: first }];
    const asked = new Set([query.name]);
    for (
      let last = parts[0];
      last !== undefined && parts.length <= CHASES_MAX;
      last = parts.at(-1)
    ) {
      const end = openAlias(last.response, last.query);
      if (end === undefined || asked.has(end)) break;
      asked.add(end);
      const next = questionFor(query, end);
      const response = await this.#ask(next, deadlineMs);
      if (response === undefined) break;
      parts.push({ query: next, response });
    }
    return parts.length === 1 ? first : (joined(query, parts) ?? first);
  }

  async #ask(query: Query, deadlineMs: number): Promise<CheckedResponse | undefined> {
    const resolvers = this.#resolvers;
    let worst: CheckedResponse | undefined;
    for (let attempt = 0; attempt < ROUNDS * resolvers.length; attempt++) {
      const leftMs = deadlineMs - this.#clock.monotonic();
      const index = (this.#preferred + attempt) % resolvers.length;
      const resolver = resolvers[index];
      if (resolver === undefined || leftMs <= 0) break;
      const response = await this.#exchange(resolver, query, Math.min(EXCHANGE_TIMEOUT_MS, leftMs));
      if (response === undefined) continue;
      if (response.rcode === RCODE.noError || response.rcode === RCODE.nameError) {
        this.#preferred = index;
        return response;
      }
      // SERVFAIL or REFUSED: another resolver may know better; if not, this is the answer.
      worst = response;
    }
    return worst;
  }

  async #exchange(
    resolver: Resolver,
    query: Query,
    timeoutMs: number,
  ): Promise<CheckedResponse | undefined> {
    const id = randomInt(0x10000);
    const call = {
      resolver,
      message: forwardedQuery(query, id),
      accept: (message: Buffer) => checkResponse(message, query, id),
      clock: this.#clock,
      timeoutMs,
    };
    try {
      const response = await exchangeUdp(call);
      return response?.truncated ? ((await exchangeTcp(call)) ?? response) : response;
    } catch (error) {
      this.#log.debug("forwarder failed", { resolver: resolver.address, error });
      return undefined;
    }
  }
}

function parseResolver(text: string): Resolver {
  const [address = "", port] = text.split("#");
  return { address, port: port === undefined ? 53 : Number(port) };
}

/** What two queries must have in common to share an answer: EDNS and DO change its records. */
function cacheKey(query: Query): string {
  const edns = query.edns === undefined ? "-" : query.edns.dnssecOk ? "d" : "e";
  return `${query.type}/${query.class}/${edns}${query.checkingDisabled ? "c" : ""}/${query.name}`;
}

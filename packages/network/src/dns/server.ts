/**
 * The DNS server of a node: a listener on each network's gateway, one view each, and one for the host.
 *
 * A shell: `answer` decides, `Forwarder` asks others, `GatewayListener` has the sockets. Bridges come and
 * go under it: an address that is not there yet is tried again until it is. Nothing that a packet holds can
 * make it throw.
 *
 * Design page: docs/design/dns.md
 */

import type { Clock, Driver, Logger, Loop } from "@berth/base";
import type { NodeNetworkModel } from "../model.ts";
import type { NetProblem } from "../report.ts";
import { answer } from "./answer.ts";
import { encodeAnswer, encodeError, failure, SERVER_FAILURE } from "./encode.ts";
import { explain, type LookupQuestion, type LookupResult } from "./explain.ts";
import { Forwarder, type ForwarderFigures } from "./forwarder.ts";
import { GatewayListener, type Transport } from "./gateway-listener.ts";
import { refusalOf } from "./refusals.ts";
import { responseFor } from "./response.ts";
import { type Asker, askerOf, buildTables, type DnsTables } from "./tables.ts";
import { parseQuery, type Query, RCODE } from "./wire.ts";

export interface DnsServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** 53, except in tests without the privilege for it. */
  readonly port: number;
  /** What is bound, and what is not, may have changed. */
  readonly onBound?: () => void;
}

export interface DnsFigures extends ForwarderFigures {
  readonly queriesUdp: number;
  readonly queriesTcp: number;
  readonly dropped: number;
}

/** How soon a gateway that is not there yet is tried again: a container starts in 200 ms or more. */
const BIND_RETRY_MS = 100;

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #forwarder: Forwarder;
  readonly #loop: Loop;
  readonly #listeners = new Map<string, GatewayListener>();
  #model: NodeNetworkModel | undefined;
  #tables: DnsTables | undefined;
  #queries = { udp: 0, tcp: 0, dropped: 0 };

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#forwarder = new Forwarder(options);
    this.#loop = options.driver.add({
      name: "dns-listeners",
      purpose: "binds DNS on the gateways of this node's networks",
      run: () => this.#bindMissing(),
    });
  }

  /**
   * Follows `model`: when this resolves, every later query is answered from it, and every gateway that
   * exists is bound. What could not be bound is in `problems` and is tried again.
   */
  async apply(model: NodeNetworkModel): Promise<void> {
    this.#model = model;
    this.#tables = buildTables(model);
    const wanted = placesOf(model, this.#options.port);
    this.#forwarder.setResolvers(model.forwarders, new Set([...wanted.values()].map(textOf)));
    for (const [id, listener] of this.#listeners) {
      const place = wanted.get(id);
      if (place?.address === listener.address && place.port === listener.port) continue;
      this.#listeners.delete(id);
      listener.close();
    }
    for (const [id, place] of wanted) this.#ensureListener(id, place);
    await this.#bindMissing();
    this.#loop.wake();
  }

  /** What would be answered, and why. */
  explain(question: LookupQuestion): LookupResult {
    if (this.#model === undefined || this.#tables === undefined) {
      return { ok: false, reason: "nothing is followed yet" };
    }
    return explain(this.#model, this.#tables, question);
  }

  problems(): NetProblem[] {
    return [...this.#listeners.values()].flatMap((listener) => listener.problem ?? []);
  }

  figures(): DnsFigures {
    return {
      queriesUdp: this.#queries.udp,
      queriesTcp: this.#queries.tcp,
      dropped: this.#queries.dropped,
      ...this.#forwarder.figures(),
    };
  }

  async close(): Promise<void> {
    await this.#options.driver.remove("dns-listeners");
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  #ensureListener(id: string, { address, port, networkId }: Place): void {
    if (this.#listeners.has(id)) return;
    const listener = new GatewayListener({
      id,
      address,
      port,
      log: this.#options.log,
      handle: (message, from, transport) => this.#handle(networkId, message, from, transport),
      failed: () => this.#loop.wake(),
    });
    this.#listeners.set(id, listener);
  }

  async #bindMissing(): Promise<{ againMs: number } | undefined> {
    const listeners = [...this.#listeners.values()];
    await Promise.all(listeners.map((listener) => listener.bind()));
    this.#options.onBound?.();
    return listeners.some((listener) => !listener.bound) ? { againMs: BIND_RETRY_MS } : undefined;
  }

  /** The answer's bytes, at once or later; `undefined`: none is due. */
  #handle(
    networkId: string | undefined,
    message: Buffer,
    from: string,
    transport: Transport,
  ): Buffer | undefined | Promise<Buffer> {
    this.#queries[transport]++;
    const parsed = parseQuery(message);
    if (parsed.kind === "error") return encodeError(parsed);
    const tables = this.#tables;
    if (parsed.kind === "drop" || tables === undefined) {
      this.#queries.dropped++;
      return undefined;
    }
    const asker = askerAt(tables, networkId, from);
    return this.#answer(tables, asker, parsed.query, { address: from, transport });
  }

  #answer(
    tables: DnsTables,
    asker: Asker | undefined,
    query: Query,
    from: { readonly address: string; readonly transport: Transport },
  ): Buffer | Promise<Buffer> {
    const options = { transport: from.transport, recursion: this.#forwarder.available };
    // Somebody outside the network who routed a packet to its gateway: we are nobody's open resolver.
    const refusal = asker === undefined ? RCODE.refused : refusalOf(query, from.transport);
    if (asker === undefined || refusal !== undefined) {
      return encodeAnswer(query, failure(refusal ?? RCODE.refused), options);
    }
    const outcome = answer(tables, asker, query, from.transport);
    if (outcome.kind === "answer") return encodeAnswer(query, outcome.answer, options);
    if (!this.#forwarder.available) {
      return encodeAnswer(query, failure(RCODE.nameError), options);
    }
    return this.#forward(query, from, options.recursion);
  }

  async #forward(
    query: Query,
    from: { readonly address: string; readonly transport: Transport },
    recursion: boolean,
  ): Promise<Buffer> {
    const { transport } = from;
    const found = await this.#forwarder.resolve(query, from.address);
    if (found === undefined) return encodeAnswer(query, SERVER_FAILURE, { transport, recursion });
    return responseFor(found.response, query, { transport, ageS: found.ageS });
  }
}

/** Where one listener is, and whose view it gives. */
interface Place {
  readonly address: string;
  readonly port: number;
  /** Absent for the host's own. */
  readonly networkId?: string;
}

/** By the id under which problems are told: a network's, with `/6` for its IPv6 gateway, and `host`. */
function placesOf(model: NodeNetworkModel, port: number): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  for (const { id: networkId, gateway, gateway6 } of model.networks) {
    places.set(networkId, { address: gateway, port, networkId });
    if (gateway6 !== undefined)
      places.set(`${networkId}/6`, { address: gateway6, port, networkId });
  }
  if (model.hostDns !== undefined) places.set("host", model.hostDns);
  return places;
}

function textOf({ address, port }: Place): string {
  return `${address}#${port}`;
}

function askerAt(
  tables: DnsTables,
  networkId: string | undefined,
  address: string,
): Asker | undefined {
  // It is bound to a loopback address, to which the kernel lets nobody else send.
  if (networkId === undefined) return tables.host;
  const network = tables.networks.get(networkId);
  return network && askerOf(tables, network, address);
}

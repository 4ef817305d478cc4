/**
 * The DNS server of a node: a listener on each network's gateway, one view each.
 *
 * A shell: `answer` decides, `Forwarder` asks others, `GatewayListener` has the sockets. Bridges come and
 * go under it: an address that is not there yet is tried again until it is. Nothing that a packet holds can
 * make it throw.
 *
 * Design page: docs/design/dns.md
 */

import type { Clock, Driver, Logger, Loop } from "@berth/base";
import { parseIpv4 } from "../ipv4.ts";
import type { NetworkModel, NodeNetworkModel } from "../model.ts";
import type { NetProblem } from "../report.ts";
import { answer } from "./answer.ts";
import { encodeAnswer, encodeError, failure, SERVER_FAILURE } from "./encode.ts";
import { Forwarder, type ForwarderFigures } from "./forwarder.ts";
import { GatewayListener, type Transport } from "./gateway-listener.ts";
import { refusalOf } from "./refusals.ts";
import { responseFor } from "./response.ts";
import { askerOf, buildTables, type DnsTables, type NetworkNames } from "./tables.ts";
import { parseQuery, type Query, RCODE } from "./wire.ts";

export interface DnsServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** 53, except in tests without the privilege for it. */
  readonly port: number;
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
    this.#tables = buildTables(model);
    const gateways = new Set(model.networks.map((network) => network.gateway));
    this.#forwarder.setResolvers(model.forwarders, gateways);
    for (const [id, listener] of this.#listeners) {
      const network = model.networks.find((item) => item.id === id);
      if (network?.gateway === listener.address) continue;
      this.#listeners.delete(id);
      listener.close();
    }
    for (const network of model.networks) this.#ensureListener(network);
    await this.#bindMissing();
    this.#loop.wake();
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

  #ensureListener(network: NetworkModel): void {
    if (this.#listeners.has(network.id)) return;
    const listener = new GatewayListener({
      id: network.id,
      address: network.gateway,
      port: this.#options.port,
      log: this.#options.log,
      handle: (message, from, transport) => this.#handle(network.id, message, from, transport),
      failed: () => this.#loop.wake(),
    });
    this.#listeners.set(network.id, listener);
  }

  async #bindMissing(): Promise<{ againMs: number } | undefined> {
    const listeners = [...this.#listeners.values()];
    await Promise.all(listeners.map((listener) => listener.bind()));
    return listeners.some((listener) => !listener.bound) ? { againMs: BIND_RETRY_MS } : undefined;
  }

  /** The answer's bytes, at once or later; `undefined`: none is due. */
  #handle(
    networkId: string,
    message: Buffer,
    from: string,
    transport: Transport,
  ): Buffer | undefined | Promise<Buffer> {
    this.#queries[transport]++;
    const parsed = parseQuery(message);
    if (parsed.kind === "error") return encodeError(parsed);
    const tables = this.#tables;
    const network = tables?.networks.get(networkId);
    if (parsed.kind === "drop" || tables === undefined || network === undefined) {
      this.#queries.dropped++;
      return undefined;
    }
    return this.#answer(tables, network, parsed.query, { address: from, transport });
  }

  #answer(
    tables: DnsTables,
    network: NetworkNames,
    query: Query,
    from: { readonly address: string; readonly transport: Transport },
  ): Buffer | Promise<Buffer> {
    const options = { transport: from.transport, recursion: this.#forwarder.available };
    const asker = askerOf(tables, network, parseIpv4(from.address) ?? 0);
    // Somebody outside the network who routed a packet to its gateway: we are nobody's open resolver.
    if (asker === undefined) return encodeAnswer(query, failure(RCODE.refused), options);
    const refusal = refusalOf(query, from.transport);
    if (refusal !== undefined) return encodeAnswer(query, failure(refusal), options);
    const outcome = answer(tables, asker, query, from.transport);
    if (outcome.kind === "answer") return encodeAnswer(query, outcome.answer, options);
    if (!this.#forwarder.available) {
      return encodeAnswer(query, { ...failure(RCODE.nameError) }, options);
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

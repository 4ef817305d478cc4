/**
 * The DNS server of a node: a UDP socket and a TCP listener on each network's gateway, one view each.
 *
 * A shell: `answer` decides, `Forwarder` asks others. Bridges come and go under it: an address that is
 * not there yet is tried again until it is; a bridge that is made anew keeps its sockets working, because
 * they are bound to the address and not to the interface. Nothing that a packet holds can make it throw.
 *
 * Design page: docs/design/dns.md
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";
import type { Clock, Driver, Logger, Loop } from "@berth/base";
import { parseIpv4 } from "../ipv4.ts";
import type { NetworkModel, NodeNetworkModel } from "../model.ts";
import { bindProblem } from "../port-problem.ts";
import type { NetProblem } from "../report.ts";
import { answer } from "./answer.ts";
import { encodeAnswer, encodeError, failure, SERVER_FAILURE } from "./encode.ts";
import { Forwarder, type ForwarderFigures } from "./forwarder.ts";
import { responseFor } from "./response.ts";
import { askerOf, buildTables, type DnsTables, type NetworkNames } from "./tables.ts";
import { frameMessage, MessageReader } from "./tcp-frame.ts";
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
/** Connections of all clients; resolvers use TCP for the rare long answer only. */
const TCP_CONNECTIONS_MAX = 256;
/** RFC 7766 asks for some seconds; a container that leaves connections open must not use them up. */
const TCP_IDLE_MS = 10_000;
/** Answers that a TCP client has not read: beyond, its connection is closed. */
const TCP_BACKLOG_BYTES_MAX = 256 * 1024;

type Transport = "udp" | "tcp";

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
    if (parsed.kind === "error") return encodeError(parsed.id, parsed.opcode, parsed.rcode);
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
    if (query.edns !== undefined && query.edns.version !== 0) {
      return encodeAnswer(query, failure(RCODE.badVersion), options);
    }
    const asker = askerOf(tables, network, parseIpv4(from.address) ?? 0);
    // Somebody outside the network who routed a packet to its gateway: we are nobody's open resolver.
    if (asker === undefined) return encodeAnswer(query, failure(RCODE.refused), options);
    const outcome = answer(tables, asker, query);
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

type Handle = (
  message: Buffer,
  from: string,
  transport: Transport,
) => Buffer | undefined | Promise<Buffer>;

interface GatewayListenerOptions {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly log: Logger;
  readonly handle: Handle;
  /** Called when a socket that worked has failed. */
  readonly failed: () => void;
}

/** Both sockets of one gateway. */
class GatewayListener {
  readonly #options: GatewayListenerOptions;
  readonly #connections = new Set<TcpSocket>();
  #udp: Socket | undefined;
  #tcp: Server | undefined;
  #problem: NetProblem | undefined;
  #binding: Promise<void> | undefined;
  #closed = false;

  constructor(options: GatewayListenerOptions) {
    this.#options = options;
  }

  get address(): string {
    return this.#options.address;
  }

  get bound(): boolean {
    return this.#udp !== undefined && this.#tcp !== undefined;
  }

  get problem(): NetProblem | undefined {
    return this.bound ? undefined : this.#problem;
  }

  /** Binds what is not bound; never rejects, failures become `problem`. */
  bind(): Promise<void> {
    if (this.bound || this.#closed) return Promise.resolve();
    this.#binding ??= this.#bind().finally(() => {
      this.#binding = undefined;
    });
    return this.#binding;
  }

  close(): void {
    this.#closed = true;
    this.#udp?.close();
    this.#tcp?.close();
    for (const connection of this.#connections) connection.destroy();
    this.#udp = undefined;
    this.#tcp = undefined;
  }

  async #bind(): Promise<void> {
    const { id, address, port } = this.#options;
    try {
      this.#udp ??= this.#adopt(await this.#openUdp(), (socket) => socket.close());
      this.#tcp ??= this.#adopt(await this.#openTcp(), (server) => server.close());
      this.#problem = undefined;
    } catch (error) {
      this.#problem = bindProblem(error, { id: `dns:${id}`, address, port, protocol: "udp" });
    }
  }

  /** A listener that was closed while it was binding must not keep what it has bound. */
  #adopt<T>(opened: T, close: (opened: T) => void): T | undefined {
    if (!this.#closed) return opened;
    close(opened);
    return undefined;
  }

  #openUdp(): Promise<Socket> {
    const { address, port } = this.#options;
    // Addresses here are numbers already: skipping the resolver's look-up saves a tick per answer.
    const socket = createSocket({
      type: "udp4",
      lookup: (host, _options, done) => done(null, host, 4),
    });
    socket.on("message", (message, from) => this.#onPacket(socket, message, from));
    return opened(socket, (done) => socket.bind({ address, port, exclusive: true }, done)).then(
      () => {
        socket.on("error", (error) => this.#lost(error));
        return socket;
      },
    );
  }

  async #onPacket(socket: Socket, message: Buffer, from: RemoteInfo): Promise<void> {
    const due = this.#options.handle(message, from.address, "udp");
    const reply = due instanceof Promise ? await due : due;
    if (reply === undefined || this.#udp !== socket) return;
    // A failed send (its asker is gone) is not worth more than a line at debug level.
    socket.send(reply, from.port, from.address, (error) => {
      if (error !== null) this.#options.log.debug("answer not sent", { error });
    });
  }

  #openTcp(): Promise<Server> {
    const { address, port } = this.#options;
    const server = createServer((connection) => this.#onConnection(connection));
    server.maxConnections = TCP_CONNECTIONS_MAX;
    const listen = (done: () => void) =>
      server.listen({ host: address, port, exclusive: true }, done);
    return opened(server, listen).then(() => {
      server.on("error", (error) => this.#lost(error));
      return server;
    });
  }

  #onConnection(connection: TcpSocket): void {
    this.#connections.add(connection);
    const reader = new MessageReader();
    connection.setTimeout(TCP_IDLE_MS, () => connection.destroy());
    connection.on("error", () => connection.destroy());
    connection.on("close", () => this.#connections.delete(connection));
    connection.on("data", (chunk: Buffer) => {
      for (const message of reader.push(chunk)) this.#onTcpMessage(connection, message);
    });
  }

  async #onTcpMessage(connection: TcpSocket, message: Buffer): Promise<void> {
    const reply = await this.#options.handle(message, connection.remoteAddress ?? "", "tcp");
    if (reply === undefined || connection.destroyed) return;
    if (connection.writableLength > TCP_BACKLOG_BYTES_MAX) connection.destroy();
    else connection.write(frameMessage(reply));
  }

  #lost(error: Error): void {
    this.#options.log.warn("DNS socket failed", { address: this.#options.address, error });
    this.#udp?.close();
    this.#tcp?.close();
    this.#udp = undefined;
    this.#tcp = undefined;
    this.#options.failed();
  }
}

/** Resolves when `begin` says that the socket is open, rejects (and closes it) on its first error. */
function opened(socket: Socket | Server, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once("error", onError);
    begin(() => {
      socket.removeListener("error", onError);
      resolve();
    });
  });
}

/**
 * The sockets of one gateway, or of the host's own address: UDP and TCP on it.
 *
 * They are bound to the address and not to the interface, so a bridge that is made anew keeps them working.
 * Nobody can hold many: connections, their idle time and their unread answers are bounded.
 */

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, isIPv6, type Server, type Socket as TcpSocket } from "node:net";
import type { Logger } from "@berth/base";
import { bindProblem } from "../port-problem.ts";
import type { NetProblem } from "../report.ts";
import { frameMessage, MessageReader } from "./tcp-frame.ts";

export type Transport = "udp" | "tcp";

/** UDP sockets on one address, among which the kernel spreads clients: each has a queue of its own. */
const UDP_SOCKETS = 4;
/**
 * Wanted of each queue: 2,700 packets, so that one client that asks 20,000 times a second loses nothing while its
 * server does not get to run for 135 ms. The kernel gives no more than `net.core.rmem_max`: 4 MiB on newer kernels,
 * 208 KiB on older ones (550 packets, 27 ms). A socket that asks for nothing has 270 (13 ms).
 */
const UDP_QUEUE_BYTES = 1024 * 1024;
/** Connections of all clients; resolvers use TCP for the rare long answer only. */
const TCP_CONNECTIONS_MAX = 256;
/** Of one client: nobody can take the place of all others. */
const TCP_CONNECTIONS_PER_CLIENT_MAX = 32;
/** RFC 7766 asks for some seconds; a container that leaves connections open must not use them up. */
const TCP_IDLE_MS = 10_000;
/** Answers that a TCP client has not read: beyond, its connection is closed. */
const TCP_BACKLOG_BYTES_MAX = 256 * 1024;

type Handle = (
  message: Buffer,
  from: string,
  transport: Transport,
) => Buffer | undefined | Promise<Buffer>;

export interface GatewayListenerOptions {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly log: Logger;
  readonly handle: Handle;
  /** Called when a socket that worked has failed. */
  readonly failed: () => void;
}

export class GatewayListener {
  readonly #options: GatewayListenerOptions;
  readonly #connections = new Set<TcpSocket>();
  readonly #perClient = new Map<string, number>();
  #udp: readonly Socket[] = [];
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

  get port(): number {
    return this.#options.port;
  }

  get bound(): boolean {
    return this.#udp.length > 0 && this.#tcp !== undefined;
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
    this.#closeServers();
    for (const connection of this.#connections) connection.destroy();
  }

  #closeServers(): void {
    for (const socket of this.#udp) socket.close();
    this.#tcp?.close();
    this.#udp = [];
    this.#tcp = undefined;
  }

  async #bind(): Promise<void> {
    const { id, address, port } = this.#options;
    try {
      // First: it is ours alone or fails. UDP sockets share their port with whoever asks for that as well.
      this.#tcp ??= this.#adopt(await this.#openTcp(), (server) => server.close());
      while (!this.#closed && this.#udp.length < UDP_SOCKETS) {
        const socket = this.#adopt(await this.#openUdp(), (opened) => opened.close());
        if (socket !== undefined) this.#udp = [...this.#udp, socket];
      }
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
    const family = isIPv6(address) ? 6 : 4;
    // Addresses here are numbers already: skipping the resolver's look-up saves a tick per answer.
    const socket = createSocket({
      type: `udp${family}`,
      reusePort: true,
      recvBufferSize: UDP_QUEUE_BYTES,
      ...(family === 6 ? { ipv6Only: true } : {}),
      lookup: (host, _options, done) => done(null, host, family),
    });
    socket.on("message", (message, from) => this.#onPacket(socket, message, from));
    return opened(socket, (done) => socket.bind({ address, port }, done)).then(() => {
      socket.on("error", (error) => this.#lost(error));
      return socket;
    });
  }

  /** Not an async function: a promise for each of tens of thousands of packets a second is felt. */
  #onPacket(socket: Socket, message: Buffer, from: RemoteInfo): void {
    const due = this.#options.handle(message, from.address, "udp");
    if (due instanceof Promise) void due.then((reply) => this.#send(socket, reply, from));
    else if (due !== undefined) this.#send(socket, due, from);
  }

  #send(socket: Socket, reply: Buffer, to: RemoteInfo): void {
    // Without a callback, which would cost a tick for each answer: who is gone needs none.
    if (this.#udp.includes(socket)) socket.send(reply, to.port, to.address);
  }

  #openTcp(): Promise<Server> {
    const { address, port } = this.#options;
    const server = createServer((connection) => this.#onConnection(connection));
    server.maxConnections = TCP_CONNECTIONS_MAX;
    const listen = (done: () => void) =>
      server.listen({ host: address, port, exclusive: true, ipv6Only: isIPv6(address) }, done);
    return opened(server, listen).then(() => {
      server.on("error", (error) => this.#lost(error));
      return server;
    });
  }

  #onConnection(connection: TcpSocket): void {
    const client = connection.remoteAddress ?? "";
    const ofClient = this.#perClient.get(client) ?? 0;
    if (ofClient >= TCP_CONNECTIONS_PER_CLIENT_MAX) return void connection.destroy();
    this.#connections.add(connection);
    this.#perClient.set(client, ofClient + 1);
    const reader = new MessageReader();
    connection.setTimeout(TCP_IDLE_MS, () => connection.destroy());
    connection.on("error", () => connection.destroy());
    connection.on("close", () => this.#forget(connection, client));
    connection.on("data", (chunk: Buffer) => {
      for (const message of reader.push(chunk)) this.#onTcpMessage(connection, message);
    });
  }

  #forget(connection: TcpSocket, client: string): void {
    this.#connections.delete(connection);
    const left = (this.#perClient.get(client) ?? 1) - 1;
    if (left > 0) this.#perClient.set(client, left);
    else this.#perClient.delete(client);
  }

  async #onTcpMessage(connection: TcpSocket, message: Buffer): Promise<void> {
    const reply = await this.#options.handle(message, connection.remoteAddress ?? "", "tcp");
    if (reply === undefined || connection.destroyed) return;
    if (connection.writableLength > TCP_BACKLOG_BYTES_MAX) connection.destroy();
    else connection.write(frameMessage(reply));
  }

  #lost(error: Error): void {
    this.#options.log.warn("DNS socket failed", { address: this.#options.address, error });
    this.#closeServers();
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

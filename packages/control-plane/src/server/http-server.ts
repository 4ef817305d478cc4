/**
 * The API over HTTP, on Node's own server (ADR 53): the table of routes, bodies and answers in their forms,
 * problems as RFC 9457 documents.
 *
 * Nothing is decided here: tokens, access and validation are the dispatcher's, so that the simulation
 * follows the same rules. What is: hosts, media types, sizes and times of a connection.
 *
 * Design page: docs/design/api.md.
 */

import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer, Server as SecureServer } from "node:https";
import type { AddressInfo, ListenOptions, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AssertionError, type Clock, type Logger, SECOND_MS } from "@berth/base";
import {
  asProtocolError,
  ProtocolError,
  type RouteDescription,
  routes,
  STREAM_PROTOCOL,
} from "@berth/protocol";
import type { ApiAnswer } from "../api/call.ts";
import type { Dispatcher } from "../api/dispatcher.ts";
import { callHeaders } from "./call-headers.ts";
import { checkHost } from "./host-guard.ts";
import { asChunks, COMMON_HEADERS, httpProblem, rawProblem, writeStream } from "./http-answer.ts";
import { HttpCall, RoutedCall } from "./http-call.ts";
import { acceptUpgrades } from "./http-upgrade.ts";
import { PeerReader } from "./peer-reader.ts";
import { discardBody, readByteBody, readJsonBody } from "./request-body.ts";
import { matchRoute, matchRoutes } from "./route-match.ts";

/** A request line and its headers are here within this time. */
const HEADERS_TIMEOUT_MS = 10 * SECOND_MS;
/** Idle connections are kept a little longer than clients and proxies usually keep theirs. */
const KEEP_ALIVE_MS = 72 * SECOND_MS;
/** Of the 20,000 files that a process may open on a modest host; streams, store and blobs need some. */
export const CONNECTIONS_MAX = 16_000;
/** Running requests may finish for this long when the server stops. */
export const STOP_GRACE_MS = 3 * SECOND_MS;
/** How often a connection is looked at that has not sent its headers. */
const CONNECTIONS_LOOK_MS = 2 * SECOND_MS;
/**
 * Connections that wait to be taken while the event loop is busy: thousands of agents come at once after a
 * start. The system has a limit of its own (`net.core.somaxconn`, 4,096 by default).
 */
const BACKLOG_MAX = 4_096;

export interface HttpServerOptions {
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly log: Logger;
  readonly newId: () => string;
  /** Further names under which this server is reached. */
  readonly hostNames?: readonly string[];
  /** Speaks TLS, and knows members by their certificates. */
  readonly secure?: SecureIdentity;
}

/** What a server with TLS shows, as PEM, and whose certificates it believes. */
export interface SecureIdentity {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #peers: PeerReader | undefined;
  /** Upgraded sockets have left the HTTP server's care. */
  readonly #upgraded = new Set<Socket>();
  /** Connections with TLS, to be ended when their member is removed. */
  readonly #secured = new Set<Socket>();
  #isStopping = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#peers = options.secure && new PeerReader(options.secure.authority);
    this.#server = this.#makeServer();
    this.#server.on("secureConnection", (socket: Socket) => {
      this.#secured.add(socket);
      socket.once("close", () => this.#secured.delete(socket));
    });
    const { dispatcher, log, newId, hostNames = [] } = options;
    acceptUpgrades(this.#server, {
      dispatcher,
      log,
      newId,
      hostNames,
      sockets: this.#upgraded,
      peerOf: (socket) => this.#peers?.of(socket),
    });
  }

  /** Ends every connection of a member, streams as well: it was let in by what counts no more. */
  disconnect(member: string): void {
    for (const socket of this.#secured) {
      const peer = this.#peers?.of(socket);
      if (peer?.kind === "member" && peer.member === member) socket.destroy();
    }
  }

  /** Another certificate for connections from now on. */
  renew(secure: SecureIdentity): void {
    const server: unknown = this.#server;
    if (server instanceof SecureServer) server.setSecureContext(secureContext(secure));
  }

  /**
   * Begins to listen; returns the URL.
   *
   * @throws ProtocolError `unavailable` when the address cannot be had.
   */
  async listen(address: ListenAddress): Promise<string> {
    try {
      return await this.#listen(address);
    } catch (error) {
      throw cannotListen(address, error);
    }
  }

  async #listen(address: ListenAddress): Promise<string> {
    if ("socketPath" in address) {
      await this.#bind({ path: address.socketPath });
      return `unix://${address.socketPath}`;
    }
    await this.#bind({ host: address.host, port: address.port });
    const { address: host, port, family } = this.#server.address() as AddressInfo;
    const scheme = this.#options.secure === undefined ? "http" : "https";
    return `${scheme}://${family === "IPv6" ? `[${host}]` : host}:${port}`;
  }

  #bind(place: ListenOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ ...place, backlog: BACKLOG_MAX }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** No new requests; running ones may finish for `STOP_GRACE_MS`, then they are cut off. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const cancel = this.#options.clock.setTimer(STOP_GRACE_MS, () => {
      this.#server.closeAllConnections();
      for (const socket of this.#upgraded) socket.destroy();
    });
    // Idle connections are closed by it, and each of the others with its answer.
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    cancel();
    for (const socket of this.#upgraded) socket.destroy();
  }

  #makeServer(): Server {
    const { secure } = this.#options;
    const options = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_LOOK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Bodies have deadlines of their own; a stream is a request that lasts.
      requestTimeout: 0,
      shouldUpgradeCallback: (request: IncomingMessage) =>
        request.headers.upgrade === STREAM_PROTOCOL,
    };
    const server: Server =
      secure === undefined
        ? createServer(options)
        : createSecureServer({ ...options, ...secureContext(secure) });
    server.maxConnections = CONNECTIONS_MAX;
    const take = (expectsContinue: boolean) => (raw: IncomingMessage, response: ServerResponse) =>
      void this.#handle(new HttpCall(raw, response, { ...this.#options, expectsContinue }));
    server.on("request", take(false));
    server.on("checkContinue", take(true));
    server.on("clientError", (error, socket) => this.#refuseSocket(error, socket));
    return server;
  }

  #refuseSocket(cause: Error, socket: Duplex): void {
    const refused = new ProtocolError("invalid_request", "this is no HTTP", {}, { cause });
    if (socket.writable) socket.end(rawProblem(refused, this.#options.newId()));
    else socket.destroy();
  }

  async #handle(call: HttpCall): Promise<void> {
    try {
      await this.#answer(call);
    } catch (error) {
      await this.#refuse(call, error);
    }
  }

  async #answer(call: HttpCall): Promise<void> {
    const { raw, source, response } = call;
    checkHost(raw.headers, this.#options.hostNames ?? []);
    const match = matchRoute(raw.method ?? "", call.path);
    if (match === undefined) throw this.#unknown(call);
    const route: RouteDescription = routes[match.id];
    const peer = this.#peers?.of(raw.socket);
    const bytes = route.bodyBytes === true ? readByteBody(source, route) : undefined;
    const answer = await this.#options.dispatcher.dispatch(
      new RoutedCall(call, match, {
        peer,
        bytes,
        readBody: async () => (bytes === undefined ? readBody(call, route) : undefined),
      }),
    );
    await this.#send(answer, response);
  }

  #send(answer: ApiAnswer, response: ServerResponse): Promise<void> | undefined {
    switch (answer.kind) {
      case "json":
        return this.#sendText(JSON.stringify(answer.value), "application/json", response);
      case "text":
        return this.#sendText(answer.text, answer.mediaType, response);
      case "empty":
        this.#writeHead(response, 204, COMMON_HEADERS);
        response.end();
        return undefined;
      case "stream":
        return this.#sendStream(answer.lines, "application/x-ndjson", response);
      case "bytes":
        return this.#sendStream(asChunks(answer.bytes), "application/octet-stream", response);
      case "upgrade":
        throw new ProtocolError("internal", "an upgrade was answered to an ordinary request");
    }
  }

  /** As one text with its head: one write, and one record of TLS. */
  #sendText(text: string, mediaType: string, response: ServerResponse): undefined {
    const length = Buffer.byteLength(text);
    const headers = { ...COMMON_HEADERS, "content-type": mediaType, "content-length": length };
    this.#writeHead(response, 200, headers);
    response.end(text);
  }

  #sendStream(
    chunks: AsyncIterable<readonly Uint8Array[]>,
    mediaType: string,
    response: ServerResponse,
  ): Promise<void> {
    this.#writeHead(response, 200, { ...COMMON_HEADERS, "content-type": mediaType });
    return writeStream(response, chunks, this.#options.clock);
  }

  #writeHead(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
    // Else the server would wait for the next request of a connection that is idle from now on.
    if (this.#isStopping) response.shouldKeepAlive = false;
    response.writeHead(status, headers);
  }

  /** What to say of a path that is no route; what exists is nobody's business without a token. */
  #unknown(call: HttpCall): ProtocolError {
    const { raw, path, remoteAddress } = call;
    const { token } = callHeaders(raw.headers);
    const peer = this.#peers?.of(raw.socket);
    this.#options.dispatcher.requireActor({ token, peer, remoteAddress });
    const allow = matchRoutes(path).map(({ method }) => method);
    if (allow.length === 0) return new ProtocolError("not_found", `there is no ${path}`);
    return new ProtocolError("method_not_allowed", `${path} has no ${raw.method}`, { allow });
  }

  async #refuse(call: HttpCall, thrown: unknown): Promise<void> {
    if (thrown instanceof AssertionError) return endProcess(thrown);
    const { raw, response } = call;
    // The head is out: cutting the connection is the only way left to say that something is wrong.
    if (response.headersSent) return void response.destroy();
    const { status, headers, body } = httpProblem(asProtocolError(thrown), call.id);
    await discardBody(call.source);
    // Whatever is still on its way would be taken for the next request.
    if (!raw.readableEnded) response.shouldKeepAlive = false;
    const length = Buffer.byteLength(body);
    this.#writeHead(response, status, { ...headers, "content-length": length });
    response.end(body);
  }
}

/**
 * Whoever shows no certificate, or another's, is heard all the same: what they may do is decided by the call,
 * and refused with a word. The handshake proves that the key of the certificate is theirs.
 */
function secureContext({ certificate, key, authority }: SecureIdentity) {
  return {
    cert: certificate,
    key,
    ca: authority,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: false,
  } as const;
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EACCES: "no permission for this address",
  EADDRNOTAVAIL: "this host has no such address",
};

function cannotListen(address: ListenAddress, error: unknown): ProtocolError {
  const systemCode = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
  const place = "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
  const reason = LISTEN_REASONS[systemCode] ?? systemCode;
  const message = `cannot listen on ${place}: ${reason}`;
  return new ProtocolError(
    "unavailable",
    message,
    { address: place, systemCode },
    { cause: error },
  );
}

/** Whoever may call a route of upgrades, but does not ask for one, is told here. */
async function readBody({ source }: HttpCall, route: RouteDescription): Promise<unknown> {
  if (route.answer.kind !== "upgrade") return readJsonBody(source, route);
  const message = `this route is an upgrade: send Upgrade: ${STREAM_PROTOCOL}`;
  throw new ProtocolError("invalid_request", message, { upgrade: STREAM_PROTOCOL });
}

/** A programmer error ends the process; thrown where nobody catches it. */
function endProcess(error: AssertionError): void {
  queueMicrotask(() => {
    throw error;
  });
}

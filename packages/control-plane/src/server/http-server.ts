/**
 * The API over HTTP: each row of the table of routes registered with fastify, bodies and answers in their
 * forms, problems as RFC 9457 documents.
 *
 * Nothing is decided here: tokens, access and validation are the dispatcher's, so that the simulation
 * follows the same rules. What is: hosts, media types, sizes and times of a connection.
 *
 * Design page: docs/design/api.md.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { Server as SecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { AssertionError, type Clock, type Logger, SECOND_MS } from "@berth/base";
import {
  asProtocolError,
  ProtocolError,
  type RouteDescription,
  type RouteId,
  routes,
  STREAM_PROTOCOL,
} from "@berth/protocol";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { ApiAnswer, ApiCall } from "../api/call.ts";
import type { Dispatcher } from "../api/dispatcher.ts";
import { callHeaders } from "./call-headers.ts";
import { checkHost } from "./host-guard.ts";
import { asChunks, COMMON_HEADERS, httpProblem, rawProblem, writeStream } from "./http-answer.ts";
import { acceptUpgrades } from "./http-upgrade.ts";
import { PeerReader } from "./peer-reader.ts";
import { type BodySource, discardBody, readByteBody, readJsonBody } from "./request-body.ts";
import { matchRoutes } from "./route-match.ts";

/** A request line and its headers are here within this time. */
const HEADERS_TIMEOUT_MS = 10 * SECOND_MS;
/** Idle connections are kept a little longer than clients and proxies usually keep theirs. */
const KEEP_ALIVE_MS = 72 * SECOND_MS;
/** Of the 20,000 files that a process may open on a modest host; streams, store and blobs need some. */
export const CONNECTIONS_MAX = 16_000;
/** Running requests may finish for this long when the server stops. */
export const STOP_GRACE_MS = 3 * SECOND_MS;
/** The longest parameter is a digest of 71 characters; names have at most 80. */
const PARAMETER_CHARS_MAX = 256;

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

/** Requests whose client waits for `100 Continue`. */
const expecting = new WeakSet<IncomingMessage>();

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #app: FastifyInstance;
  readonly #peers: PeerReader | undefined;
  /** Upgraded sockets have left the HTTP server's care. */
  readonly #upgraded = new Set<Socket>();
  /** Connections with TLS, to be ended when their member is removed. */
  readonly #secured = new Set<Socket>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#peers = options.secure && new PeerReader(options.secure.authority);
    this.#app = this.#makeApp();
    this.#registerRoutes();
    this.#app.server.on("secureConnection", (socket: Socket) => {
      this.#secured.add(socket);
      socket.once("close", () => this.#secured.delete(socket));
    });
    const { dispatcher, log, newId, hostNames = [] } = options;
    acceptUpgrades(this.#app.server, {
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
    const server: unknown = this.#app.server;
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
      await this.#app.listen({ path: address.socketPath });
      return `unix://${address.socketPath}`;
    }
    await this.#app.listen({ host: address.host, port: address.port });
    const { address: host, port, family } = this.#app.server.address() as AddressInfo;
    const scheme = this.#options.secure === undefined ? "http" : "https";
    return `${scheme}://${family === "IPv6" ? `[${host}]` : host}:${port}`;
  }

  /** No new requests; running ones may finish for `STOP_GRACE_MS`, then they are cut off. */
  async stop(): Promise<void> {
    const cancel = this.#options.clock.setTimer(STOP_GRACE_MS, () => {
      this.#app.server.closeAllConnections();
      for (const socket of this.#upgraded) socket.destroy();
    });
    await this.#app.close();
    cancel();
    for (const socket of this.#upgraded) socket.destroy();
  }

  #makeApp(): FastifyInstance {
    const { secure } = this.#options;
    const server = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 2 * SECOND_MS,
      shouldUpgradeCallback: (request: IncomingMessage) =>
        request.headers.upgrade === STREAM_PROTOCOL,
    };
    const app = fastify({
      logger: false,
      exposeHeadRoutes: false,
      // Streams end because their sources are closed before; see stop().
      forceCloseConnections: "idle",
      return503OnClosing: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Bodies have deadlines of their own; a stream is a request that lasts.
      requestTimeout: 0,
      routerOptions: { maxParamLength: PARAMETER_CHARS_MAX },
      http: server,
      // Its type is that of a plain server, from which this one differs only in its sockets.
      ...(secure && { https: { ...server, ...secureContext(secure) } as unknown as null }),
      genReqId: () => this.#options.newId(),
      frameworkErrors: (error, request, reply) => {
        const refused = new ProtocolError("invalid_request", error.message, {}, { cause: error });
        void this.#refuse(request, reply, refused);
      },
      clientErrorHandler: (error, socket) => {
        const refused = new ProtocolError(
          "invalid_request",
          "this is no HTTP",
          {},
          { cause: error },
        );
        if (socket.writable) socket.end(rawProblem(refused, this.#options.newId()));
        else socket.destroy();
      },
    });
    app.server.maxConnections = CONNECTIONS_MAX;
    app.server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      expecting.add(request);
      app.server.emit("request", request, response);
    });
    // Bodies are read by the route, after its token: the framework must not touch them.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _payload, done) => done(null, undefined));
    app.addHook("onRequest", async (request) => {
      checkHost(request.headers, this.#options.hostNames ?? []);
    });
    app.setErrorHandler((error, request, reply) => this.#refuse(request, reply, error));
    app.setNotFoundHandler((request, reply) => this.#notFound(request, reply));
    return app;
  }

  #registerRoutes(): void {
    for (const [name, description] of Object.entries<RouteDescription>(routes)) {
      const id = name as RouteId;
      this.#app.route({
        method: description.method,
        url: description.path.replace(/\{(\w+)\}/g, ":$1"),
        handler: (request, reply) => this.#handle(id, description, request, reply),
      });
    }
  }

  async #handle(
    id: RouteId,
    route: RouteDescription,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const source = this.#sourceOf(request, reply);
    try {
      const answer = await this.#options.dispatcher.dispatch({
        ...this.#callOf(id, request, reply),
        ...(route.bodyBytes === true
          ? { readBody: async () => undefined, bytes: readByteBody(source, route) }
          : { readBody: () => readBody(source, route) }),
      });
      return await this.#send(answer, reply);
    } catch (error) {
      return this.#refuse(request, reply, error);
    }
  }

  #callOf(id: RouteId, request: FastifyRequest, reply: FastifyReply): Omit<ApiCall, "readBody"> {
    const gone = new AbortController();
    reply.raw.once("close", () => {
      // After a whole answer nobody listens any more.
      if (reply.raw.writableFinished) return;
      gone.abort(new ProtocolError("unavailable", "the client has gone"));
    });
    const peer = this.#peers?.of(request.socket);
    return {
      route: id,
      ...(peer === undefined ? {} : { peer }),
      params: request.params as Readonly<Record<string, string>>,
      query: request.query as Readonly<Record<string, unknown>>,
      headers: callHeaders(request.headers),
      remoteAddress: request.socket.remoteAddress ?? "local",
      path: request.url.split("?", 1)[0] ?? "",
      requestId: request.id,
      signal: gone.signal,
    };
  }

  async #send(answer: ApiAnswer, reply: FastifyReply): Promise<FastifyReply> {
    void reply.headers(COMMON_HEADERS);
    switch (answer.kind) {
      case "json":
        return reply.type("application/json").send(Buffer.from(JSON.stringify(answer.value)));
      case "text":
        return reply.type(answer.mediaType).send(answer.text);
      case "empty":
        return reply.code(204).send();
      case "stream":
        return this.#sendStream(answer.lines, "application/x-ndjson", reply);
      case "bytes":
        return this.#sendStream(asChunks(answer.bytes), "application/octet-stream", reply);
      case "upgrade":
        throw new ProtocolError("internal", "an upgrade was answered to an ordinary request");
    }
  }

  async #sendStream(
    chunks: AsyncIterable<readonly Uint8Array[]>,
    mediaType: string,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    reply.hijack();
    reply.raw.writeHead(200, { ...COMMON_HEADERS, "content-type": mediaType });
    await writeStream(reply.raw, chunks, this.#options.clock);
    return reply;
  }

  async #notFound(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    try {
      const { token } = callHeaders(request.headers);
      // What exists is nobody's business without a token.
      this.#options.dispatcher.requireActor({
        token,
        peer: this.#peers?.of(request.socket),
        remoteAddress: request.socket.remoteAddress ?? "local",
      });
      const path = request.url.split("?", 1)[0] ?? "";
      const allow = matchRoutes(path).map(({ method }) => method);
      if (allow.length === 0) throw new ProtocolError("not_found", `there is no ${path}`);
      const message = `${path} has no ${request.method}`;
      throw new ProtocolError("method_not_allowed", message, { allow });
    } catch (error) {
      return this.#refuse(request, reply, error);
    }
  }

  async #refuse(
    request: FastifyRequest,
    reply: FastifyReply,
    thrown: unknown,
  ): Promise<FastifyReply> {
    if (thrown instanceof AssertionError) endProcess(thrown);
    const { status, headers, body } = httpProblem(asProtocolError(thrown), request.id);
    const source = this.#sourceOf(request, reply);
    await discardBody(source);
    // Whatever is still on its way would be taken for the next request.
    if (!request.raw.readableEnded) void reply.header("connection", "close");
    return reply.code(status).headers(headers).send(Buffer.from(body));
  }

  #sourceOf(request: FastifyRequest, reply: FastifyReply): BodySource {
    return {
      request: request.raw,
      response: reply.raw,
      expectsContinue: expecting.has(request.raw),
      clock: this.#options.clock,
    };
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
async function readBody(source: BodySource, route: RouteDescription): Promise<unknown> {
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

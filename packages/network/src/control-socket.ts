/**
 * The agent's door to `net`: a few requests over HTTP on a unix socket that only its owner may open.
 *
 * The socket is also the lock: whoever listens on it is the one `net` of the folder. A file without a
 * listener is a dead process's and is replaced.
 */

import { chmodSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { asProtocolError, ProtocolError, problemOf } from "@berth/protocol/errors";
import { LOOKUP_TYPES, type LookupQuestion } from "./dns/explain.ts";
import { parseIpv4 } from "./ipv4.ts";

export interface StopOptions {
  /** Ends HAProxy as well, with its connections. */
  readonly ingress: boolean;
  /** Removes the firewall table: for uninstalling, when no container of ours is left. */
  readonly firewall?: boolean;
}

export interface ControlHandlers {
  readonly apply: (body: unknown) => Promise<unknown>;
  readonly status: () => unknown;
  readonly sessions: (endpoint: { address: string; port: number }) => Promise<unknown>;
  readonly routes: () => Promise<unknown>;
  readonly metrics: () => Promise<string>;
  readonly lookup: (question: LookupQuestion) => unknown;
  readonly stop: (options: StopOptions) => void;
}

/** The largest model that `parseModel` lets through is about 50 MB of JSON. */
export const MODEL_BYTES_MAX = 64 * 1024 * 1024;
/** A model arrives from the same machine; a request that takes longer is a dead agent's. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A unix socket's path (sun_path) minus its last byte. */
const SOCKET_PATH_BYTES_MAX = 107;
const SOCKET_MODE = 0o600;

export class ControlSocket {
  readonly #path: string;
  readonly #handlers: ControlHandlers;
  readonly #server: Server;

  constructor(path: string, handlers: ControlHandlers) {
    this.#path = path;
    this.#handlers = handlers;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
  }

  /** Throws ProtocolError `conflict` when another process listens; removes what a dead one has left. */
  async claim(): Promise<void> {
    if (Buffer.byteLength(this.#path) > SOCKET_PATH_BYTES_MAX) {
      const details = { path: this.#path, bytesMax: SOCKET_PATH_BYTES_MAX };
      throw new ProtocolError("limit_exceeded", "the data folder's path is too long", details);
    }
    if (await somebodyListens(this.#path)) {
      const details = { path: this.#path };
      throw new ProtocolError("conflict", "another net process runs in this folder", details);
    }
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // The folder is 0700, so that nobody slips in before the mode is set.
      this.#server.listen(this.#path, () => {
        chmodSync(this.#path, SOCKET_MODE);
        resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#answer(request);
      if (typeof answer === "string") send(response, 200, answer, "text/plain; version=0.0.4");
      else send(response, 200, JSON.stringify(answer), "application/json");
    } catch (error) {
      const problem = problemOf(asProtocolError(error));
      send(response, problem.status, JSON.stringify(problem), "application/problem+json");
    }
  }

  async #answer(request: IncomingMessage): Promise<unknown> {
    const url = new URL(request.url ?? "/", "http://net");
    switch (`${request.method} ${url.pathname}`) {
      case "PUT /model":
        return this.#handlers.apply(await readJson(request));
      case "GET /status":
        return this.#handlers.status();
      case "GET /sessions":
        return this.#handlers.sessions(endpointOf(url));
      case "GET /routes":
        return this.#handlers.routes();
      case "GET /lookup":
        return this.#handlers.lookup(questionOf(url));
      case "GET /metrics":
        return this.#handlers.metrics();
      case "POST /stop":
        this.#handlers.stop(stopOptionsOf(url));
        return {};
      default: {
        const details = { method: request.method, path: url.pathname };
        throw new ProtocolError("not_found", "net has no such request", details);
      }
    }
  }
}

function send(response: ServerResponse, status: number, body: string, type: string): void {
  response.writeHead(status, { "content-type": type, connection: "close" });
  response.end(body);
}

function endpointOf(url: URL): { address: string; port: number } {
  const address = url.searchParams.get("address") ?? "";
  const port = Number(url.searchParams.get("port"));
  if (parseIpv4(address) === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new ProtocolError("invalid_request", "address and port of an endpoint are wanted");
  }
  return { address, port };
}

function questionOf(url: URL): LookupQuestion {
  const wanted = url.searchParams.get("type") ?? "A";
  const type = LOOKUP_TYPES.find((each) => each === wanted);
  const name = url.searchParams.get("name");
  const from = url.searchParams.get("from");
  if (type === undefined || name === null) {
    const message = `a name and one of the types ${LOOKUP_TYPES.join(", ")} are wanted`;
    throw new ProtocolError("invalid_request", message, { type: wanted });
  }
  return { name, type, ...(from === null ? {} : { from }) };
}

function stopOptionsOf(url: URL): StopOptions {
  const flag = (name: string) => url.searchParams.get(name) === "true";
  return { ingress: flag("ingress"), firewall: flag("firewall") };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MODEL_BYTES_MAX) {
      const details = { bytesMax: MODEL_BYTES_MAX };
      throw new ProtocolError("body_too_large", "the model is over the limit", details);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new ProtocolError("invalid_request", "the model is no JSON", {}, { cause });
  }
}

/** `false` also when the file is missing or a dead process's. */
function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

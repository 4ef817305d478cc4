/**
 * The service under load: a small web server as people write them, in two manners.
 *
 * `well` does on SIGTERM what a careful program does: it answers what comes on open connections and asks the
 * peer to close (`Connection: close`, WebSocket 1001), closes only what has been idle for longer than its
 * clients pause, and ends when nothing is left. `naive` ends at once, as most programs do.
 *
 * It runs alone in a container: Node and this file, nothing else.
 */

import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { hostname } from "node:os";
import type { Duplex } from "node:stream";

const PORT = 8080;
const VERSION = process.env["VERSION"] ?? "0";
const IS_WELL_BEHAVED = process.env["MANNER"] !== "naive";
/** Listens this long before it is fit: a copy that is given out as soon as it listens is found out. */
const UNFIT_AFTER_START_MS = Number(process.env["UNFIT_MS"] ?? 300);
/** An idle connection is closed after this: longer than any client of the test pauses. */
const IDLE_MS = 2_000;
/** What is not over by then is left to the platform's kill. */
const GRACE_MS = 8_000;
/** Slow answers come in so many pieces, so far apart. */
const PIECES = 5;
const PIECE_PAUSE_MS = 100;
const PIECE = Buffer.alloc(8 * 1024, "x");
const WEBSOCKET_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

type State = "unfit" | "fit" | "unready" | "dead" | "stopping";
let state: State = "unfit";
let since = performance.now();
let unreadyTimer: NodeJS.Timeout | undefined;
const sockets = new Map<Duplex, number>();
const webSockets = new Set<WebSocketPeer>();

setTimeout(() => turn("fit"), UNFIT_AFTER_START_MS);

/** There is no way back from stopping. */
function turn(next: State): void {
  if (state === "stopping") return;
  state = next;
  since = performance.now();
}

function become(next: "unready" | "dead", ms: number): void {
  turn(next);
  clearTimeout(unreadyTimer);
  unreadyTimer = setTimeout(() => turn("fit"), ms);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://copy");
  sockets.set(request.socket, performance.now());
  if (state === "stopping") response.setHeader("connection", "close");
  const id = url.searchParams.get("id") ?? "";
  if (url.pathname === "/slow") void slowly(request, response, id);
  else say(response, ...answerTo(url, id));
}

function answerTo(url: URL, id: string): readonly [status: number, text: string] {
  switch (url.pathname) {
    case "/health":
      return [state === "fit" ? 200 : 503, state];
    case "/live":
      return [state === "dead" ? 503 : 200, state];
    case "/state":
      return [200, `${state} ${Math.round(performance.now() - since)}`];
    case "/become":
      become(
        url.searchParams.get("state") === "dead" ? "dead" : "unready",
        Number(url.searchParams.get("ms") ?? 1_000),
      );
      return [200, state];
    default:
      return [200, `${id} ${VERSION} ${hostname()}\n`];
  }
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": text.length });
  response.end(text);
}

/** Reads a body that comes slowly, and answers as slowly: with its digest first. */
async function slowly(request: IncomingMessage, response: ServerResponse, id: string) {
  const digest = createHash("sha256");
  let sizeBytes = 0;
  try {
    for await (const chunk of request) {
      digest.update(chunk);
      sizeBytes += chunk.length;
    }
  } catch {
    return;
  }
  const head = `${id} ${sizeBytes} ${digest.digest("hex")}\n`;
  const length = head.length + PIECES * PIECE.length;
  response.writeHead(200, { "content-type": "text/plain", "content-length": length });
  response.write(head);
  for (let piece = 1; piece <= PIECES; piece++) {
    await new Promise((resolve) => setTimeout(resolve, PIECE_PAUSE_MS));
    if (piece === PIECES) response.end(PIECE);
    else response.write(PIECE);
  }
}

/** The far end of one WebSocket: echoes texts, answers a close. */
class WebSocketPeer {
  readonly #socket: Duplex;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#read();
    });
    socket.on("close", () => webSockets.delete(this));
    socket.on("error", () => socket.destroy());
    webSockets.add(this);
  }

  /** Asks the peer to come again elsewhere. */
  goAway(): void {
    this.#send(0x8, Buffer.from([0x03, 0xe9]));
  }

  /** Frames of up to 125 bytes, masked: more no client of the test sends. */
  #read(): void {
    for (;;) {
      const length = (this.#buffer[1] ?? 0) & 0x7f;
      if (this.#buffer.length < 6 + length) return;
      const opcode = (this.#buffer[0] ?? 0) & 0x0f;
      const mask = this.#buffer.subarray(2, 6);
      const payload = Buffer.from(this.#buffer.subarray(6, 6 + length));
      for (let at = 0; at < length; at++) payload[at] = (payload[at] ?? 0) ^ (mask[at % 4] ?? 0);
      this.#buffer = this.#buffer.subarray(6 + length);
      if (opcode === 0x1) this.#send(0x1, payload);
      if (opcode === 0x8) {
        this.#socket.end();
        return;
      }
    }
  }

  #send(opcode: number, payload: Buffer): void {
    this.#socket.write(Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]));
  }
}

const server = createServer(answer);
// Idle connections end by the rules below alone.
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.on("connection", (socket: Socket) => {
  sockets.set(socket, performance.now());
  socket.setNoDelay(true);
  socket.once("close", () => sockets.delete(socket));
});
server.on("upgrade", (request, socket, head) => {
  const key = request.headers["sec-websocket-key"] ?? "";
  const accept = createHash("sha1")
    .update(key + WEBSOCKET_KEY)
    .digest("base64");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const peer = new WebSocketPeer(socket);
  if (head.length > 0) socket.unshift(head);
  if (state === "stopping") peer.goAway();
});
server.listen(PORT, "::");

process.on("SIGTERM", () => {
  if (!IS_WELL_BEHAVED) process.exit(0);
  turn("stopping");
  clearTimeout(unreadyTimer);
  for (const peer of webSockets) peer.goAway();
  const deadline = performance.now() + GRACE_MS;
  setInterval(() => {
    const now = performance.now();
    for (const [socket, usedAt] of sockets) {
      if (now - usedAt > IDLE_MS) socket.end();
    }
    if (sockets.size === 0 || now > deadline) process.exit(0);
  }, 50);
});

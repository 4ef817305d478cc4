/**
 * HTTP/1.1 over TLS for the light agents of `cluster.bench.ts`: as much of it as our own server needs, since the
 * agents of a benchmark share the processors with the server that is measured. Calls of one agent go one after
 * the other over one connection that is kept; a stream has its own.
 *
 * Lines of a stream are told apart by their beginning and only those that the agent acts upon are parsed.
 */

import { connect as connectPlain } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { assert, sleep, systemClock } from "@berth/base";
import { checkServerIdentity } from "@berth/protocol/client/secure-transport";

/** How an agent reaches the server, and who it is. PEM. */
export interface LightIdentity {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface LightAnswer {
  readonly status: number;
  readonly body: string;
}

/** A connection whose handshake is over. */
export function connectLight(identity: LightIdentity): Promise<TLSSocket> {
  const { host, port, authority, certificate, key } = identity;
  return new Promise((resolve, reject) => {
    const socket = connect(
      {
        ...{ host, port, ca: authority, cert: certificate, key, checkServerIdentity },
        minVersion: "TLSv1.3",
      },
      () => {
        socket.off("error", reject);
        resolve(socket);
      },
    );
    socket.setNoDelay(true);
    socket.once("error", reject);
  });
}

const OPEN_LOOKS_MAX = 200;
const OPEN_LOOK_MS = 50;

/** Resolves when somebody listens on `port`: the cluster's port is opened a moment after the API. */
export async function untilOpen(port: number): Promise<void> {
  for (let look = 0; look < OPEN_LOOKS_MAX; look++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connectPlain({ host: "127.0.0.1", port }, () => resolve(true));
      socket.once("connect", () => socket.destroy()).once("error", () => resolve(false));
    });
    if (isOpen) return;
    await sleep(systemClock, OPEN_LOOK_MS);
  }
  assert(false, `the cluster's port ${port} opens`);
}

function headOf(method: string, path: string, host: string, body: string): string {
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`];
  if (body !== "") {
    lines.push("content-type: application/json", `content-length: ${Buffer.byteLength(body)}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

const HEAD_END = "\r\n\r\n";

/** Calls over one connection, in turn. */
export class LightCalls {
  readonly #socket: TLSSocket;
  readonly #host: string;
  readonly #answers: ((answer: LightAnswer) => void)[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #buffered = "";

  constructor(socket: TLSSocket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
  }

  call(method: string, path: string, body = ""): Promise<LightAnswer> {
    const answer = this.#last.then(() => this.#send(method, path, body));
    this.#last = answer;
    return answer;
  }

  #send(method: string, path: string, body: string): Promise<LightAnswer> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#socket.write(headOf(method, path, this.#host, body));
    });
  }

  #take(text: string): void {
    this.#buffered += text;
    for (;;) {
      const end = this.#buffered.indexOf(HEAD_END);
      if (end < 0) return;
      const head = this.#buffered.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const start = end + HEAD_END.length;
      if (this.#buffered.length < start + length) return;
      const body = this.#buffered.slice(start, start + length);
      this.#buffered = this.#buffered.slice(start + length);
      this.#answers.shift()?.({ status: Number(head.slice(9, 12)), body });
    }
  }
}

const NEWLINE = 10;

/**
 * Asks for a stream of lines and hands each whole line to `onLine`: the buffer that it lies in, and from where
 * to where.
 */
export function openLines(
  socket: TLSSocket,
  request: { readonly path: string; readonly host: string; readonly body: string },
  onLine: (bytes: Buffer, start: number, end: number) => void,
): void {
  const chunks = new ChunkReader((bytes) => lines.take(bytes));
  const lines = new LineReader(onLine);
  let hasHead = false;
  let head = "";
  socket.on("data", (bytes: Buffer) => {
    if (hasHead) return chunks.take(bytes);
    head += bytes.toString("latin1");
    const end = head.indexOf(HEAD_END);
    if (end < 0) return;
    assert(head.startsWith("HTTP/1.1 200"), `the stream was refused: ${head.slice(0, 400)}`);
    hasHead = true;
    chunks.take(Buffer.from(head.slice(end + HEAD_END.length), "latin1"));
  });
  socket.write(headOf("POST", request.path, request.host, request.body));
}

/** Takes the chunked encoding away. */
class ChunkReader {
  readonly #onBytes: (bytes: Buffer) => void;
  /** Bytes of the chunk that are still to come; its closing line break counts. */
  #left = 0;
  #size = "";

  constructor(onBytes: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
  }

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left === 0) {
        const end = bytes.indexOf(NEWLINE, at);
        this.#size += bytes.toString("latin1", at, end < 0 ? bytes.length : end);
        if (end < 0) return;
        at = end + 1;
        this.#left = Number.parseInt(this.#size, 16) + 2;
        this.#size = "";
        continue;
      }
      const until = Math.min(bytes.length, at + this.#left);
      const content = until - Math.max(0, 2 - (this.#left - (until - at)));
      if (content > at) this.#onBytes(bytes.subarray(at, content));
      this.#left -= until - at;
      at = until;
    }
  }
}

class LineReader {
  readonly #onLine: (bytes: Buffer, start: number, end: number) => void;
  #rest: Buffer | undefined;

  constructor(onLine: (bytes: Buffer, start: number, end: number) => void) {
    this.#onLine = onLine;
  }

  take(more: Buffer): void {
    const bytes = this.#rest === undefined ? more : Buffer.concat([this.#rest, more]);
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#onLine(bytes, start, end);
      start = end + 1;
    }
    this.#rest = start < bytes.length ? bytes.subarray(start) : undefined;
  }
}

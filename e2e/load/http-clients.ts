/** The kinds of clients that speak plain HTTP, on sockets of their own: a million requests in minutes. */

import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Client, Peer } from "./client.ts";
import { RequestFailure, type Tally } from "./tally.ts";

/** No answer within this is a failure; so is no connection. */
const TIMEOUT_MS = 10_000;
/** A slow body has so many pieces, so far apart. */
const PIECES = 5;
const PIECE_PAUSE_MS = 100;
const PIECE = Buffer.alloc(8 * 1024, "y");
const BODY_DIGEST = createHash("sha256")
  .update(Buffer.concat(Array.from({ length: PIECES }, () => PIECE)))
  .digest("hex");
const HEAD_END = Buffer.from("\r\n\r\n");

interface Answer {
  readonly status: number;
  readonly body: string;
  /** The peer will close, or has. */
  readonly isLast: boolean;
}

let ids = 0;

/** Asks on one connection for as long as it is let. */
export const keepAliveClient: Client = async (peer, tally, { pauseMs, isOver }) => {
  let connection: HttpConnection | undefined;
  let wasUsed = false;
  while (!isOver()) {
    if (connection?.isClosed) {
      connection = undefined;
      if (wasUsed) tally.reconnected();
    }
    const known = connection;
    const result = await measured(tally, async () => {
      const used = known ?? (await HttpConnection.open(peer));
      connection = used;
      return await ask(used, peer, "keep-alive");
    });
    wasUsed = result !== undefined;
    if (result === undefined || result.isLast) {
      connection?.close();
      connection = undefined;
      if (wasUsed) tally.reconnected();
    }
    await delay(pauseMs);
  }
  connection?.close();
};

/** A connection for each request. */
export const newConnectionClient: Client = async (peer, tally, { pauseMs, isOver }) => {
  while (!isOver()) {
    await measured(tally, async () => {
      const connection = await HttpConnection.open(peer);
      try {
        return await ask(connection, peer, "close");
      } finally {
        connection.close();
      }
    });
    await delay(pauseMs);
  }
};

/** Sends slowly, is answered slowly. */
export const slowBodyClient: Client = async (peer, tally, { pauseMs, isOver }) => {
  while (!isOver()) {
    await measured(tally, async () => {
      const connection = await HttpConnection.open(peer);
      try {
        return await askSlowly(connection, peer);
      } finally {
        connection.close();
      }
    });
    await delay(pauseMs);
  }
};

/** Counts what `work` came to. */
async function measured(tally: Tally, work: () => Promise<Answer>): Promise<Answer | undefined> {
  const from = performance.now();
  try {
    const answer = await work();
    tally.good(performance.now() - from);
    return answer;
  } catch (error) {
    if (!(error instanceof RequestFailure)) throw error;
    const took = `after ${Math.round(performance.now() - from)} ms`;
    tally.bad(error.failure, `${error.message} ${took}`);
    return undefined;
  }
}

async function ask(connection: HttpConnection, peer: Peer, mode: string): Promise<Answer> {
  const id = `r${++ids}`;
  connection.write(
    `GET /?id=${id} HTTP/1.1\r\nHost: ${peer.hostHeader}\r\nConnection: ${mode}\r\n\r\n`,
  );
  const answer = await connection.answer();
  if (answer.status !== 200) {
    throw new RequestFailure("status", `${answer.status} ${answer.body.slice(0, 60).trim()}`);
  }
  if (!answer.body.startsWith(`${id} `)) throw new RequestFailure("wrong", answer.body);
  return answer;
}

async function askSlowly(connection: HttpConnection, peer: Peer): Promise<Answer> {
  const id = `s${++ids}`;
  connection.write(
    `POST /slow?id=${id} HTTP/1.1\r\nHost: ${peer.hostHeader}\r\nConnection: close\r\n` +
      `Content-Length: ${PIECES * PIECE.length}\r\n\r\n`,
  );
  const answering = connection.answer();
  // Looked at below; a failure meanwhile must not be taken for one that nobody handles.
  answering.catch(() => {});
  for (let piece = 0; piece < PIECES; piece++) {
    if (piece > 0) await delay(PIECE_PAUSE_MS);
    connection.write(PIECE);
  }
  const answer = await answering;
  if (answer.status !== 200) throw new RequestFailure("status", String(answer.status));
  if (!answer.body.startsWith(`${id} ${PIECES * PIECE.length} ${BODY_DIGEST}\n`)) {
    throw new RequestFailure("wrong", answer.body.slice(0, 100));
  }
  return answer;
}

/** One connection; one request at a time. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #where: string;
  #buffer: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended: string | undefined;

  private constructor(socket: Socket, where: string) {
    this.#socket = socket;
    this.#where = where;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#look();
    });
    socket.on("end", () => this.#end("closed"));
    socket.on("error", (error) => this.#end(codeOf(error)));
    socket.on("close", () => this.#end("closed"));
  }

  static async open(peer: Peer): Promise<HttpConnection> {
    const { socket, where } = await openSocket(peer);
    return new HttpConnection(socket, where);
  }

  get isClosed(): boolean {
    return this.#ended !== undefined;
  }

  write(data: string | Buffer): void {
    if (this.#ended === undefined) this.#socket.write(data);
  }

  answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#timer = setTimeout(() => {
        this.#fail(new RequestFailure("timeout", `${this.#where} said nothing more`));
        this.close();
      }, TIMEOUT_MS);
      if (this.#ended !== undefined) this.#end(this.#ended);
      else this.#look();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #look(): void {
    const end = this.#buffer.indexOf(HEAD_END);
    if (this.#waiting === undefined || end < 0) return;
    const head = this.#buffer.toString("latin1", 0, end).toLowerCase();
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? Number.NaN);
    const from = end + HEAD_END.length;
    if (Number.isNaN(length)) {
      this.#fail(new RequestFailure("wrong", `no length: ${head.split("\r\n")[0]}`));
      return;
    }
    if (this.#buffer.length < from + length) return;
    const body = this.#buffer.toString("latin1", from, from + length);
    this.#buffer = this.#buffer.subarray(from + length);
    const { resolve } = this.#waiting;
    this.#settle();
    resolve({
      status: Number(head.slice(9, 12)),
      body,
      isLast: /\r\nconnection: close/.test(head),
    });
  }

  #end(why: string): void {
    this.#ended ??= why;
    if (this.#waiting === undefined) return;
    const failure = this.#buffer.length === 0 ? "reset" : "cut";
    this.#fail(new RequestFailure(failure, `${this.#where} ${why}`));
  }

  #fail(error: Error): void {
    const reject = this.#waiting?.reject;
    this.#settle();
    reject?.(error);
  }

  #settle(): void {
    clearTimeout(this.#timer);
    this.#waiting = undefined;
  }
}

/** Resolves and connects, or says which of the two went wrong. */
export async function openSocket(
  peer: Peer,
): Promise<{ readonly socket: Socket; readonly where: string }> {
  let address: string;
  try {
    address = await peer.address();
  } catch (error) {
    throw new RequestFailure("no-name", codeOf(error));
  }
  const where = `${address}:${peer.port}`;
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: peer.port });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new RequestFailure("refused", `${where} did not answer`));
    }, TIMEOUT_MS);
    const onError = (error: Error) => {
      clearTimeout(timer);
      reject(new RequestFailure("refused", `${where} ${codeOf(error)}`));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      resolve({ socket, where });
    });
  });
}

function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error) return String(error.code);
  return String(error);
}

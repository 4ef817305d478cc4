/** A WebSocket that echoes, and is opened again only when it was told to close. */

import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "./client.ts";
import { openSocket } from "./http-clients.ts";
import { RequestFailure, type Tally } from "./tally.ts";

const TIMEOUT_MS = 10_000;
const HEAD_END = "\r\n\r\n";
const OPCODE_TEXT = 0x1;
const OPCODE_CLOSE = 0x8;

export const webSocketClient: Client = async (peer, tally, { pauseMs, isOver }) => {
  let echoes = 0;
  while (!isOver()) {
    try {
      const { socket, where } = await openSocket(peer);
      const channel = new Channel(socket, where);
      try {
        await channel.shakeHands(peer.hostHeader);
        while (!isOver() && (await channel.echo(tally, `echo ${++echoes}`))) await delay(pauseMs);
      } finally {
        channel.close();
      }
      if (!isOver()) tally.reconnected();
    } catch (error) {
      if (!(error instanceof RequestFailure)) throw error;
      tally.bad(error.failure, error.message);
      await delay(pauseMs);
    }
  }
};

type Frame = { readonly opcode: number; readonly payload: string };

class Channel {
  readonly #socket: Socket;
  readonly #where: string;
  #buffer: Buffer = Buffer.alloc(0);
  #isOpen = false;
  #ended: string | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket, where: string) {
    this.#socket = socket;
    this.#where = where;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    const end = (why: string) => {
      this.#ended ??= why;
      this.#wake();
    };
    socket.on("end", () => end("closed"));
    socket.on("error", (error) => end("code" in error ? String(error.code) : error.message));
    socket.on("close", () => end("closed"));
  }

  async shakeHands(host: string): Promise<void> {
    const key = randomBytes(16).toString("base64");
    this.#socket.write(
      `GET /ws HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    const head = await this.#until(() => {
      const end = this.#buffer.indexOf(HEAD_END);
      if (end < 0) return undefined;
      const text = this.#buffer.toString("latin1", 0, end);
      this.#buffer = this.#buffer.subarray(end + HEAD_END.length);
      return text;
    });
    if (!head.startsWith("HTTP/1.1 101")) {
      throw new RequestFailure("status", head.split("\r\n")[0] ?? "");
    }
    this.#isOpen = true;
  }

  /** One echo; false when the peer asks to close. A text that it did not answer before goes elsewhere. */
  async echo(tally: Tally, text: string): Promise<boolean> {
    const from = performance.now();
    this.#send(OPCODE_TEXT, text);
    const frame = await this.#until(() => this.#frame());
    if (frame.opcode === OPCODE_CLOSE) {
      this.#send(OPCODE_CLOSE, frame.payload);
      return false;
    }
    if (frame.payload !== text) throw new RequestFailure("wrong", frame.payload);
    tally.good(performance.now() - from);
    return true;
  }

  close(): void {
    this.#socket.end();
  }

  #send(opcode: number, text: string): void {
    const payload = Buffer.from(text, "latin1");
    // A mask of zeros is a mask: the payload stays readable in a capture.
    const head = Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]);
    this.#socket.write(Buffer.concat([head, payload]));
  }

  #frame(): Frame | undefined {
    const length = this.#buffer[1];
    if (length === undefined || this.#buffer.length < 2 + length) return undefined;
    const opcode = (this.#buffer[0] ?? 0) & 0x0f;
    const payload = this.#buffer.toString("latin1", 2, 2 + length);
    this.#buffer = this.#buffer.subarray(2 + length);
    return { opcode, payload };
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    const deadline = performance.now() + TIMEOUT_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#ended !== undefined) {
        throw new RequestFailure(this.#isOpen ? "cut" : "reset", `${this.#where} ${this.#ended}`);
      }
      const left = deadline - performance.now();
      if (left <= 0) throw new RequestFailure("timeout", `${this.#where} said nothing more`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }
}

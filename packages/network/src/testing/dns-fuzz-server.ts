/**
 * The real server with real sockets under packets and streams that nobody sends by accident: whatever came
 * before, a plain question is answered, and nobody's stream takes another's place.
 *
 * Streams are cut anywhere, hold several messages, lengths that lie, and ends in the middle. The answers on a
 * stream must be as many as whole messages that are due one, in any order, each with the id of its question.
 */

import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { on, once } from "node:events";
import { connect } from "node:net";
import { Driver, type Prng, silentLogger, systemClock } from "@berth/base";
import packet from "dns-packet";
import { DnsServer } from "../dns/server.ts";
import { frameMessage, MessageReader } from "../dns/tcp-frame.ts";
import type { NodeNetworkModel } from "../model.ts";
import { type FuzzSubject, madePacket, noise } from "./dns-fuzz.ts";

/** Of the loopback network: with an own subnet, so that who asks from there is known as one of the network. */
const GATEWAY = "127.0.9.1";
const SUBNET = "127.0.9.0/24";
const NETWORK = "n1";
/** Both sides are this process, which a busy machine may stop for seconds: only silence for long is none. */
const ANSWER_MS = 60_000;
/** When a question is asked again, as by a resolver. */
const AGAIN_MS = [5_000, 10_000, 20_000, 40_000];
const PACKETS = 200;
const STREAMS = 10;
const MESSAGES_MAX = 6;

export class FuzzedServer {
  readonly #driver: Driver;
  readonly #server: DnsServer;
  readonly #port: number;
  readonly #client: Socket;

  private constructor(prng: Prng, client: Socket, port: number) {
    this.#port = port;
    this.#client = client;
    this.#driver = new Driver({ clock: systemClock, log: silentLogger, prng });
    const options = { clock: systemClock, log: silentLogger, driver: this.#driver, port };
    this.#server = new DnsServer(options);
  }

  /** On loopback addresses and a free port: needs no privilege. */
  static async open(prng: Prng): Promise<FuzzedServer> {
    const client = createSocket("udp4");
    client.bind(0, "127.0.9.9");
    await once(client, "listening");
    return new FuzzedServer(prng, client, client.address().port);
  }

  /** Packets and streams about `subject`'s names, then a plain question by each way. Returns how many messages. */
  async fuzz(prng: Prng, subject: FuzzSubject): Promise<number> {
    await this.#server.apply(onLoopback(subject.model));
    assert.deepEqual(this.#server.problems(), []);
    for (let count = 0; count < PACKETS; count++) {
      this.#client.send(
        prng.chance(0.2) ? noise(prng) : madePacket(prng, subject),
        this.#port,
        GATEWAY,
      );
      if (count % 20 === 0) await this.#plainUdp(prng.int(0, 65_535));
    }
    let messages = PACKETS;
    for (let count = 0; count < STREAMS; count++) messages += await this.#stream(prng, subject);
    await this.#plainUdp(prng.int(0, 65_535));
    return messages;
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.#server.close();
    await this.#driver.stop();
  }

  async #plainUdp(id: number): Promise<void> {
    const ask = () => this.#client.send(plainQuestion(id), this.#port, GATEWAY);
    const again = AGAIN_MS.map((ms) => setTimeout(ask, ms));
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no answer to a question")), ANSWER_MS);
    try {
      ask();
      for await (const [message] of on(this.#client, "message", { signal: late.signal })) {
        // Answers to what was sent before come as well.
        if (isPlainAnswer(message, id)) return;
      }
    } finally {
      for (const each of [...again, timer]) clearTimeout(each);
    }
  }

  async #stream(prng: Prng, subject: FuzzSubject): Promise<number> {
    const sent = Array.from({ length: prng.int(0, MESSAGES_MAX) }, () =>
      prng.chance(0.1) ? noise(prng) : madePacket(prng, subject),
    );
    const id = prng.int(0, 65_535);
    const stream = Buffer.concat([...sent, plainQuestion(id)].map(frameMessage));
    const answers = await this.#exchange(prng, stream, (got) =>
      got.some((one) => isPlainAnswer(one, id)),
    );
    const due = new Map<number, number>();
    for (const message of [...sent.filter(isDue), plainQuestion(id)]) {
      due.set(message.readUInt16BE(0), (due.get(message.readUInt16BE(0)) ?? 0) + 1);
    }
    for (const answer of answers) {
      const left = due.get(answer.readUInt16BE(0)) ?? 0;
      assert.ok(left > 0, `an answer nobody asked for: ${answer.toString("hex")}`);
      due.set(answer.readUInt16BE(0), left - 1);
    }
    return sent.length + 1;
  }

  /** Sends `stream` in pieces, perhaps with a lie at its end, and reads answers until `done`. */
  async #exchange(
    prng: Prng,
    stream: Buffer,
    done: (answers: readonly Buffer[]) => boolean,
  ): Promise<readonly Buffer[]> {
    const socket = connect({ host: GATEWAY, port: this.#port, localAddress: "127.0.9.9" });
    socket.setNoDelay(true);
    const reader = new MessageReader();
    const answers: Buffer[] = [];
    const finished = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer on ${stream.toString("hex")}`)),
        ANSWER_MS,
      );
      socket.on("error", reject);
      socket.on("close", () => clearTimeout(timer));
      socket.on("data", (chunk: Buffer) => {
        answers.push(...reader.push(chunk));
        if (done(answers)) resolve();
      });
    });
    await once(socket, "connect");
    for (let at = 0; at < stream.length; ) {
      const size = prng.int(1, prng.chance(0.3) ? 3 : stream.length);
      socket.write(stream.subarray(at, at + size));
      at += size;
      if (prng.chance(0.2)) await new Promise(setImmediate);
    }
    // A message that never becomes whole: its length says so, whatever the noise says.
    if (prng.chance(0.5)) socket.write(Buffer.concat([Buffer.of(255, 255), noise(prng)]));
    await finished;
    if (prng.chance(0.5)) socket.resetAndDestroy();
    else socket.destroy();
    return answers;
  }
}

/** A response, or what is shorter than a header, gets no answer. */
function isDue(message: Buffer): boolean {
  return message.length >= 12 && (message.readUInt16BE(2) & 0x8000) === 0;
}

function plainQuestion(id: number): Buffer {
  const questions = [{ name: "localhost", type: "A" as const }];
  return packet.encode({ type: "query", id, flags: packet.RECURSION_DESIRED, questions });
}

function isPlainAnswer(message: Buffer, id: number): boolean {
  if (message.readUInt16BE(0) !== id || message.readUInt16BE(6) !== 1) return false;
  const [answer] = packet.decode(message).answers ?? [];
  return answer?.type === "A" && answer.name === "localhost" && answer.data === "127.0.0.1";
}

/** The same names, asked on a loopback address. Nobody is asked on: no packet leaves the machine. */
function onLoopback(model: NodeNetworkModel): NodeNetworkModel {
  return {
    ...model,
    forwarders: [],
    networks: model.networks
      .filter(({ id }) => id === NETWORK)
      .map((network) => ({ ...network, subnet: SUBNET, gateway: GATEWAY })),
  };
}

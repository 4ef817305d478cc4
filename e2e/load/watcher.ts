/**
 * Watches what is given out: names by DNS, copies by HAProxy, service addresses by the kernel. Each address
 * that is given out is asked what it is: one that is not fit yet, is stopping or does not answer is a
 * violation; one whose checks fail is, when the checks have had their time.
 */

import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { request } from "node:http";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { PROBE_FAILURES, PROBE_INTERVAL_MS, SERVICE, SERVICE_PORT } from "./load-stack.ts";

export interface WatcherOptions {
  /** Where the network's names are asked for. */
  readonly gateway: string;
  /** HAProxy's master socket. */
  readonly masterSocket: string;
  /** Table in the kernel that spreads connections to service addresses. */
  readonly table: string;
  /** Addresses of containers; what a name answers besides is a service address. */
  readonly isCopy: (address: string) => boolean;
}

export interface WatchReport {
  /** Looks at each source, and addresses that were asked. */
  readonly looks: Readonly<Record<Source, number>>;
  readonly asked: number;
  readonly violations: readonly string[];
}

const SOURCES = ["dns", "haproxy", "service-address"] as const;
export type Source = (typeof SOURCES)[number];

const PERIOD_MS = 40;
const ANSWER_TIMEOUT_MS = 3_000;
/** From the first failed check to out of every list: the checks, one interval before, and a busy machine. */
const UNREADY_TIME_MS = PROBE_INTERVAL_MS * (PROBE_FAILURES + 1) + 1_000;
const TURNS_PER_LISTING = 5;
const VIOLATIONS_MAX = 50;

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #looks: Record<Source, number> = { dns: 0, haproxy: 0, "service-address": 0 };
  readonly #violations: string[] = [];
  /** Copies that the test itself kills without a word. */
  readonly #doomed = new Set<string>();
  readonly #running: Promise<void>;
  #asked = 0;
  #turns = 0;
  #over = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** What is killed at once cannot be taken out before. */
  doom(address: string): void {
    this.#doomed.add(address);
  }

  async stop(): Promise<WatchReport> {
    this.#over = true;
    await this.#running;
    return { looks: this.#looks, asked: this.#asked, violations: this.#violations };
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const asks = SOURCES.map((source) => this.#look(source));
      await Promise.all([...asks, delay(PERIOD_MS)]);
    }
  }

  async #look(source: Source): Promise<void> {
    let given: readonly string[];
    try {
      given = await this.#given(source);
    } catch {
      // Whoever was asked is being started: clients fail by themselves if that matters.
      return;
    }
    this.#looks[source]++;
    await Promise.all(given.map((address) => this.#check(source, address)));
  }

  async #given(source: Source): Promise<readonly string[]> {
    const { gateway, masterSocket, table, isCopy } = this.#options;
    switch (source) {
      case "dns":
        return (await addressesOf(SERVICE, gateway)).filter(isCopy);
      case "haproxy":
        return readyServers(await askMaster(masterSocket, "@1 show servers state"));
      case "service-address":
        // Listing takes some 10 ms of processor: not with each look.
        if (++this.#turns % TURNS_PER_LISTING !== 0) throw new Error("not now");
        return (await targetsIn(table)).filter(isCopy);
    }
  }

  async #check(source: Source, address: string): Promise<void> {
    this.#asked++;
    const { state, since } = await stateOf(address);
    const isLate = since > UNREADY_TIME_MS;
    const isFit = state === "fit" || ((state === "unready" || state === "dead") && !isLate);
    if (isFit || this.#doomed.has(address) || this.#violations.length >= VIOLATIONS_MAX) return;
    const words = `${source} gives out ${address}, which is ${state} since ${since} ms`;
    this.#violations.push(`${new Date().toISOString()} ${words}`);
  }
}

function stateOf(address: string): Promise<{ readonly state: string; readonly since: number }> {
  return new Promise((resolve) => {
    const options = { host: address, port: SERVICE_PORT, path: "/state", agent: false };
    const outgoing = request({ ...options, timeout: ANSWER_TIMEOUT_MS }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      incoming.on("end", () => {
        const [state = "", since = "0"] = text.split(" ");
        resolve({ state, since: Number(since) });
      });
      incoming.on("error", () => resolve({ state: "cut", since: 0 }));
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("silent")));
    outgoing.on("error", (error) => resolve({ state: `gone (${error.message})`, since: 0 }));
    outgoing.end();
  });
}

/** The A records of a name, asked without any cache between. */
export function addressesOf(name: string, server: string): Promise<string[]> {
  const socket = createSocket("udp4");
  return new Promise<string[]>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), ANSWER_TIMEOUT_MS);
    socket.on("error", reject);
    socket.on("message", (message) => {
      clearTimeout(timer);
      resolve(recordsIn(message));
    });
    socket.connect(53, server, () => socket.send(question(name)));
  }).finally(() => socket.close());
}

function question(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from(`\0${label}`));
  for (const label of labels) label[0] = label.length - 1;
  // One question, type A, class IN.
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

function recordsIn(message: Buffer): string[] {
  const addresses: string[] = [];
  let at = afterName(message, 12) + 4;
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    at = afterName(message, at);
    const length = message.readUInt16BE(at + 8);
    if (message.readUInt16BE(at) === 1) {
      addresses.push([...message.subarray(at + 10, at + 14)].join("."));
    }
    at += 10 + length;
  }
  return addresses;
}

function afterName(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const length = message[at] ?? 0;
    if (length >= 0xc0) return at + 2;
    if (length === 0) return at + 1;
    at += 1 + length;
  }
}

export function askMaster(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(socketPath);
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.end(`${command}\n`);
  });
}

/** Addresses of servers of the service without any administrative state: those that get requests. */
function readyServers(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, backend = "", , , address = "", , admin] = line.split(" ");
    return backend.includes(SERVICE) && admin === "0" ? [address] : [];
  });
}

/** Addresses to which the table's chains send connections. */
function targetsIn(table: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    execFile("nft", ["list", "table", "inet", table], (error, stdout) => {
      if (error !== null) return reject(error);
      const rules = stdout.split("\n").filter((line) => line.includes("dnat ip to"));
      resolve(rules.flatMap((line) => line.match(/\d+\.\d+\.\d+\.\d+/g) ?? []));
    });
  });
}

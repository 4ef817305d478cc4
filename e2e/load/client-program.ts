/**
 * Clients of five kinds, each counted apart. One process is one place to ask from: outside through the
 * route, or inside a network by name. It begins by itself, and answers `GET /report` on its control port.
 *
 * Nothing is tried again: whatever the peer did not answer as it should is a failure, also what a browser
 * would silently repeat. A connection that ends between two requests is none, nor is a WebSocket that was
 * told to close by a close frame.
 *
 * It runs alone in a container as well: Node and the files of this folder, nothing else.
 */

import { lookup } from "node:dns/promises";
import { createServer } from "node:http";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Client, Peer } from "./client.ts";
import { keepAliveClient, newConnectionClient, slowBodyClient } from "./http-clients.ts";
import { type KindReport, Tally } from "./tally.ts";
import { webSocketClient } from "./web-socket-client.ts";

export interface ClientSettings {
  /** Port for reports, and for `POST /stop`. */
  readonly controlPort: number;
  /** Name, resolved at each new connection, or an address. */
  readonly host: string;
  readonly port: number;
  /** `Host` header. */
  readonly hostHeader: string;
  /** Concurrent clients of each kind; 0 for none. */
  readonly clients: Readonly<Record<Kind, number>>;
  /** Pause between two requests of one client, milliseconds. */
  readonly pauseMs: number;
}

export const KINDS = {
  "keep-alive": "one connection, request after request",
  "new-connection": "a connection for each request",
  "slow-body": "a body that is sent over 500 ms, answered over 500 ms",
  "web-socket": "echoes on a connection that lives until it is told to close",
  "resolved-once": "a connection for each request, to the address of the first second",
} as const;
export type Kind = keyof typeof KINDS;

export interface ClientReport {
  readonly kinds: Readonly<Record<Kind, KindReport>>;
  /** What `resolved-once` asks. */
  readonly address: string;
}

const CLIENTS: Readonly<Record<Kind, Client>> = {
  "keep-alive": keepAliveClient,
  "new-connection": newConnectionClient,
  "slow-body": slowBodyClient,
  "web-socket": webSocketClient,
  "resolved-once": newConnectionClient,
};
const KIND_NAMES = Object.keys(KINDS) as Kind[];
/** The service may be a moment away when this begins. */
const FIRST_ADDRESS_TIMEOUT_MS = 60_000;

async function main(settings: ClientSettings): Promise<void> {
  const { host, port, hostHeader, clients, pauseMs, controlPort } = settings;
  const resolve = async () => {
    if (isIP(host) !== 0) return host;
    // By the system's resolver, as programs do: what its file says about asking again holds.
    const answers = await lookup(host, { family: 4, all: true });
    return answers[Math.floor(Math.random() * answers.length)]?.address ?? "";
  };
  const address = await firstAddress(resolve);
  const tallies = new Map(KIND_NAMES.map((kind) => [kind, new Tally()]));
  let over = false;
  const running: Promise<void>[] = [];
  for (const kind of KIND_NAMES) {
    const tally = tallies.get(kind) ?? new Tally();
    const once = kind === "resolved-once";
    const peer: Peer = { address: once ? async () => address : resolve, port, hostHeader };
    for (let count = 0; count < clients[kind]; count++) {
      running.push(CLIENTS[kind](peer, tally, { pauseMs, isOver: () => over }));
    }
  }
  const server = createServer((request, response) => {
    const end = () => {
      const kinds = Object.fromEntries([...tallies].map(([kind, tally]) => [kind, tally.report()]));
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ kinds, address }));
    };
    if (request.method !== "POST") return end();
    over = true;
    void Promise.all(running).then(end);
  });
  server.listen(controlPort, "0.0.0.0");
}

async function firstAddress(resolve: () => Promise<string>): Promise<string> {
  const deadline = performance.now() + FIRST_ADDRESS_TIMEOUT_MS;
  for (;;) {
    try {
      const address = await resolve();
      if (address !== "") return address;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await delay(100);
  }
}

if (import.meta.main) {
  // The platform stops the container only when the test is over.
  process.on("SIGTERM", () => process.exit(0));
  await main(JSON.parse(process.env["CLIENT_SETTINGS"] ?? "{}"));
}

/**
 * From ready to present: a copy's readiness changes, and DNS, service address and HAProxy follow.
 *
 * Real copies, whose readiness probe asks for a file that this bench makes and removes through /proc; the
 * moment is the agent's own (`readyAt` of a status, or the time of the status that says unready). One
 * watcher asks all three without a pause, and counts what must never be: an address that was given out
 * although its copy has not been ready for longer than the goal allows.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import packet from "dns-packet";
import { type BenchHost, type BenchPlatform, IMAGE, until } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";
import { StatusWatch } from "./status-watch.ts";

const COPIES = 20;
const CHANGES = 200;
const SPAN_MS = 10_000;
/** What the project promises at p99. */
const GOAL_MS = 100;
const PROBE_MS = 200;
const HOST_DNS_PORT = 7753;
/** Between two looks at HAProxy: each costs it a millisecond of its time. */
const HAPROXY_LOOK_MS = 8;

const COMPOSE = `services:
  app:
    image: ${IMAGE}
    command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
    labels: { bench.present: "yes" }
    stop_grace_period: 0s
    deploy: { replicas: ${COPIES}, update_config: { parallelism: 0 } }
    x-berth:
      min_healthy: 0s
      drain: 0s
      requests: { cpus: "0.001", memory: 1m }
      probes:
        ready: { http: { port: 8080, path: /index.html }, interval: ${PROBE_MS}ms, failure: 1 }
      routes: [{ host: present.localhost, port: 8080 }]
`;

type Place = "dns" | "service address" | "haproxy";

interface Copy {
  readonly task: string;
  readonly address: string;
  readonly pid: number;
}

/** The agent's decision about a copy. */
interface Change {
  readonly address: string;
  readonly ready: boolean;
  readonly atMs: number;
}

/** What a place gave out, in answer to a question. */
interface Look {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly addresses: ReadonlySet<string>;
}

/**
 * Notes only; judged when all is known, as the agent's word comes later than what it causes. Times are of
 * this machine's wall clock.
 */
class Watcher {
  readonly places: readonly Place[];
  readonly changes: Change[] = [];
  readonly looks: Record<Place, Look[]> = { dns: [], "service address": [], haproxy: [] };
  readonly #copies: ReadonlySet<string>;

  constructor(places: readonly Place[], copies: readonly Copy[]) {
    this.places = places;
    this.#copies = new Set(copies.map(({ address }) => address));
  }

  knows(address: string): boolean {
    return this.#copies.has(address);
  }

  saw(place: Place, addresses: readonly string[], askedMs: number): void {
    this.looks[place].push({ askedMs, answeredMs: Date.now(), addresses: new Set(addresses) });
  }

  /** Changes of a copy in order, after the ready state that it begins with. */
  timeline(address: string): readonly Change[] {
    const own = this.changes.filter((change) => change.address === address);
    own.sort((a, b) => a.atMs - b.atMs);
    return [{ address, ready: true, atMs: 0 }, ...own].filter(
      (change, index, all) => change.ready !== all[index - 1]?.ready,
    );
  }

  /** Milliseconds from each decision until the place follows it; changes that were overtaken before are out. */
  delays(place: Place): number[] {
    return this.#each(({ change, nextMs }) => {
      const seen = this.looks[place].find(
        ({ askedMs, addresses }) =>
          askedMs >= change.atMs && addresses.has(change.address) === change.ready,
      );
      const delayMs = (seen?.answeredMs ?? Number.POSITIVE_INFINITY) - change.atMs;
      return change.atMs + delayMs > nextMs && nextMs - change.atMs < GOAL_MS ? [] : [delayMs];
    });
  }

  /** Looks that showed an address although its copy had been unready for longer than the goal. */
  wrong(place: Place): string[] {
    const unready = this.#each(({ change, nextMs }) => {
      const fromMs = change.atMs + GOAL_MS;
      return change.ready || fromMs >= nextMs ? [] : [{ address: change.address, fromMs, nextMs }];
    });
    return this.looks[place].flatMap(({ askedMs, answeredMs, addresses }) => {
      const strangers = [...addresses].filter((address) => !this.#copies.has(address));
      const late = unready.filter(
        ({ address, fromMs, nextMs }) =>
          addresses.has(address) && askedMs > fromMs && answeredMs < nextMs,
      );
      return [
        ...strangers.map((address) => `${place}: ${address} is nobody's`),
        ...late.map(
          ({ address, fromMs }) =>
            `${place}: ${address} unready for ${askedMs - fromMs + GOAL_MS} ms`,
        ),
      ];
    });
  }

  /** Every decision with the time of the next one about the same copy. */
  #each<T>(make: (step: { readonly change: Change; readonly nextMs: number }) => T[]): T[] {
    return [...this.#copies].flatMap((address) =>
      this.timeline(address).flatMap((change, index, all) =>
        change.atMs === 0
          ? []
          : make({ change, nextMs: all[index + 1]?.atMs ?? Number.POSITIVE_INFINITY }),
      ),
    );
  }
}

export async function benchPresent(
  host: BenchHost,
  platform: BenchPlatform,
): Promise<Comparison[]> {
  const status = await StatusWatch.open(platform);
  platform.deploy("present", COMPOSE);
  const copies = copiesOf(host, platform);
  assert.equal(copies.length, COPIES);
  const withServiceAddress = hasServiceAddress(platform);
  const places: Place[] = ["dns", "haproxy"];
  if (withServiceAddress) places.push("service address");
  else console.log("present: the service has no address of its own: not measured");
  const watcher = new Watcher(places, copies);
  const addressOf = new Map(copies.map((copy) => [copy.task, copy.address]));
  status.onStatus = ({ task, ready, readyAt, updatedAt }) => {
    const address = addressOf.get(task);
    if (address === undefined) return;
    watcher.changes.push({ address, ready, atMs: ready ? readyAt : updatedAt });
  };
  const stop = new AbortController();
  const watches = [
    watchDns(watcher, stop.signal),
    watchHaproxy(watcher, platform, stop.signal),
    ...(withServiceAddress ? [watchServiceAddress(watcher, platform, stop.signal)] : []),
  ];
  await until("every place gives out all copies", async () =>
    watcher.places.every((place) => watcher.looks[place].at(-1)?.addresses.size === COPIES),
  );
  // Those of the deployment are not what is measured: nobody looked yet.
  watcher.changes.length = 0;
  await flip(copies);
  await delay(1_000);
  stop.abort();
  await Promise.all(watches);
  status.close();
  platform.remove("present");
  return report(watcher);
}

/** Spreads the changes over the time; the first copy stays ready, so that there always is one. */
async function flip(copies: readonly Copy[]): Promise<void> {
  const from = performance.now();
  const isReady = new Map(copies.map((copy) => [copy, true]));
  for (let change = 0; change < CHANGES; change++) {
    const copy = copies[1 + (change % (copies.length - 1))];
    assert.ok(copy !== undefined);
    const file = `/proc/${copy.pid}/root/www/index.html`;
    const ready = !isReady.get(copy);
    isReady.set(copy, ready);
    if (ready) writeFileSync(file, "ok\n");
    else rmSync(file);
    await delay(Math.max(0, from + ((change + 1) * SPAN_MS) / CHANGES - performance.now()));
  }
}

function report(watcher: Watcher): Comparison[] {
  const { places, looks } = watcher;
  const wrong = places.flatMap((place) => watcher.wrong(place));
  const delays = new Map(places.map((place) => [place, watcher.delays(place)]));
  const counts = places.map((place) => `${place} ${looks[place].length} looks`).join(", ");
  console.log(
    `present: ${delays.get("dns")?.length} changes judged; ${counts}; ${wrong.length} wrong addresses`,
  );
  for (const line of wrong.slice(0, 10)) console.log(`  ${line}`);
  if (wrong.length > 0) process.exitCode = 1;
  return places.flatMap((place) => {
    const sorted = (delays.get(place) ?? []).sort((a, b) => a - b);
    // Changes that come faster than probes look are no changes: most of them must have been.
    assert.ok(sorted.length >= CHANGES / 2, `${sorted.length} changes of ${CHANGES}`);
    const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
    return [
      { what: `from ready to present, ${place}, p50`, unit: "ms", ours: [at(0.5)] },
      {
        what: `from ready to present, ${place}, p99 (worst ${at(1)})`,
        unit: "ms",
        ours: [at(0.99)],
        goal: `${GOAL_MS} ms at p99 with ${CHANGES} changes in ${SPAN_MS / 1_000} s`,
      },
    ];
  });
}

function copiesOf(host: BenchHost, platform: BenchPlatform): Copy[] {
  const rows = platform.berth("ps", "present", "--json").trim().split("\n");
  return rows.flatMap((line) => {
    const row = JSON.parse(line) as { task: { id: string; attachments: { address: string }[] } };
    const { id, attachments } = row.task;
    const address = attachments[0]?.address ?? "";
    const [container] = JSON.parse(
      host.docker("inspect", host.docker("ps", "-q", "--filter", `label=berth.task=${id}`).trim()),
    ) as { State: { Pid: number } }[];
    assert.ok(container !== undefined);
    return [{ task: id, address, pid: container.State.Pid }];
  });
}

/** Asks as this machine itself, on the port that is meant for it. */
async function watchDns(watcher: Watcher, signal: AbortSignal): Promise<void> {
  const socket = createSocket("udp4");
  socket.connect(HOST_DNS_PORT, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  for (let id = 0; !signal.aborted; id = (id + 1) & 0xffff) {
    const askedMs = Date.now();
    const reply = await ask(socket, id);
    const addresses = (reply?.answers ?? []).flatMap((each) =>
      each.type === "A" ? [each.data] : [],
    );
    if (reply !== undefined) watcher.saw("dns", addresses, askedMs);
    await delay(2);
  }
  socket.close();
}

function ask(socket: Socket, id: number): Promise<packet.DecodedPacket | undefined> {
  const query: packet.Packet = {
    type: "query",
    id,
    questions: [{ type: "A", name: "tasks.app.present.main.default.berth" }],
  };
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(undefined), 1_000);
    const onMessage = (message: Buffer) => {
      if (message.readUInt16BE(0) === id) done(packet.decode(message));
    };
    const done = (reply: packet.DecodedPacket | undefined) => {
      clearTimeout(timer);
      socket.off("message", onMessage);
      resolve(reply);
    };
    socket.on("message", onMessage);
    socket.send(packet.encode(query));
  });
}

/** Servers of the route that take new requests, by HAProxy's own word. */
async function watchHaproxy(
  watcher: Watcher,
  platform: BenchPlatform,
  signal: AbortSignal,
): Promise<void> {
  const path = `${platform.dataDir}/net/haproxy/master.sock`;
  while (!signal.aborted) {
    const askedMs = Date.now();
    const text = await say(path, "@1 show servers state\n");
    const ready = text.split("\n").flatMap((line) => {
      const [, , , , address, , admin] = line.split(" ");
      return address?.startsWith("10.") && admin === "0" ? [address] : [];
    });
    watcher.saw("haproxy", ready, askedMs);
    await delay(HAPROXY_LOOK_MS);
  }
}

function say(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    socket.once("error", reject);
    socket.once("close", () => resolve(text));
    socket.end(command);
  });
}

/** Our rules as the kernel has them: where it sends connections to the service's address. */
async function watchServiceAddress(
  watcher: Watcher,
  platform: BenchPlatform,
  signal: AbortSignal,
): Promise<void> {
  const table = `berth_${modelOf(platform).cluster.id}_address`;
  while (!signal.aborted) {
    const askedMs = Date.now();
    const listing = await list(table);
    const rules = listing.split("\n").filter((line) => line.includes("dnat "));
    const addresses = rules.join("\n").match(/\b10\.\d+\.\d+\.\d+\b/g) ?? [];
    const known = addresses.filter((address) => watcher.knows(address));
    watcher.saw("service address", known, askedMs);
    await delay(HAPROXY_LOOK_MS);
  }
}

interface Model {
  readonly cluster: { readonly id: string };
  readonly services: readonly {
    readonly stack: string;
    readonly networks: readonly { readonly virtualAddress?: string }[];
  }[];
}

function modelOf(platform: BenchPlatform): Model {
  return JSON.parse(readFileSync(`${platform.dataDir}/net/model.json`, "utf8")) as Model;
}

function hasServiceAddress(platform: BenchPlatform): boolean {
  const { services } = modelOf(platform);
  const networks = services.flatMap(({ stack, networks }) => (stack === "present" ? networks : []));
  return networks.some(({ virtualAddress }) => virtualAddress !== undefined);
}

function list(table: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("nft", ["-n", "list", "table", "inet", table]);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
}

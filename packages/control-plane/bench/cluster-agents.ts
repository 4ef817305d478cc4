/**
 * Light agents for `cluster.bench.ts`, many in one process: the real protocol over HTTP with mutual TLS (report,
 * lease, watch with all of an agent's selectors, statuses, operations), and containers that run at once.
 *
 * The options come as JSON in the first line on stdin; it says `ready` when every agent has its stream. From then on
 * each line `figures` is answered with what the agents were told and took, and `lose N` ends N agents without a word.
 */

import { createInterface } from "node:readline";
import type { TLSSocket } from "node:tls";
import { assert, sleep, systemClock } from "@berth/base";
import {
  type Assignment,
  type Operation,
  type RouteId,
  routes,
  type TaskStatus,
} from "@berth/protocol";
import { requestTarget } from "@berth/protocol/client/request-target";
import { type LightNode, lightNodeStatus } from "./cluster-seed.ts";
import { connectLight, LightCalls, type LightIdentity, openLines } from "./light-connection.ts";

export interface AgentsOptions {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  /** All nodes share it: what a key is made of is not what is measured. */
  readonly key: string;
  readonly nodes: readonly LightNode[];
}

/** What the agents of one process were told and took, since the last time. */
export interface AgentsFigures {
  readonly events: number;
  readonly bytes: number;
  readonly cpuMs: number;
  /** From a task's creation by the server to its assignment here; milliseconds. */
  readonly toldMs: readonly number[];
}

/** What an agent gathers before it reports, as the real one does. */
const GATHER_MS = 2;
/** Reports follow each other no sooner, as the real one's. */
const SPACING_MS = 20;
/** As the real one: a third of the lease that the server says. */
const RENEWALS_PER_LEASE = 3;
/** Agents that begin at the same time. */
const JOINS_AT_ONCE = 50;
/** Beginnings of the lines that an agent acts upon. */
const ACTED_UPON = ["assignment", "operation"].map((kind) => `{"type":"put","kind":"${kind}"`);
const SYNCED = '{"type":"synced"';
const RESYNC = '{"type":"resync"';
const PREFIX_CHARS = 40;

let events = 0;
let bytes = 0;
let toldMs: number[] = [];

class LightAgent {
  readonly #name: string;
  readonly #identity: LightIdentity;
  readonly #known = new Set<string>();
  readonly #sockets: TLSSocket[] = [];
  #calls: LightCalls | undefined;
  #waiting: TaskStatus[] = [];
  #isScheduled = false;
  #nextReportAt = 0;
  #renewedAt = 0;
  #isLost = false;

  constructor(identity: LightIdentity, name: string) {
    this.#identity = identity;
    this.#name = name;
  }

  /** Joins; resolves when the stream has told everything that there is. */
  async start(): Promise<void> {
    this.#calls = new LightCalls(await this.#connect(), this.#identity.host);
    const joined = await this.#call("reportNode", { status: lightNodeStatus(this.#name) });
    const { leaseMs } = JSON.parse(joined) as { readonly leaseMs: number };
    await this.#watch(await this.#connect());
    void this.#renew(leaseMs / RENEWALS_PER_LEASE);
  }

  async #connect(): Promise<TLSSocket> {
    const socket = await connectLight(this.#identity);
    socket.on("error", (error) => assert(this.#isLost, `${this.#name}: ${error.message}`));
    this.#sockets.push(socket);
    return socket;
  }

  /** As a host does whose power is cut. */
  lose(): void {
    this.#isLost = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The answer's body. */
  async #call(id: RouteId, body?: unknown, operation?: string): Promise<string> {
    if (this.#isLost) return "";
    const route = routes[id];
    const params = { node: this.#name, ...(operation === undefined ? {} : { operation }) };
    const text = body === undefined ? "" : JSON.stringify(body);
    const answer = await this.#calls?.call(route.method, requestTarget(route, params), text);
    // An operation may be gone with its deployment, which another node has answered for.
    const isGone = operation !== undefined && answer?.status === 404;
    assert(isGone || (answer?.status ?? 0) < 300, `${id} of ${this.#name}: ${answer?.body}`);
    return answer?.body ?? "";
  }

  #watch(socket: TLSSocket): Promise<void> {
    const node = this.#name;
    const selectors = [
      { kind: "assignment", node },
      { kind: "operation", node },
      { kind: "network" },
      { kind: "certificate" },
      { kind: "service", node },
      { kind: "attachment", node },
      { kind: "peer", node },
    ];
    const path = requestTarget(routes.watch, {});
    return new Promise((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      const request = { path, host: this.#identity.host, body: JSON.stringify({ selectors }) };
      openLines(socket, request, (buffer, start, end) => {
        events++;
        const prefix = buffer.toString("latin1", start, Math.min(end, start + PREFIX_CHARS));
        if (prefix.startsWith(SYNCED)) resolve();
        assert(!prefix.startsWith(RESYNC), `${node} reads quickly enough`);
        if (!ACTED_UPON.some((beginning) => prefix.startsWith(beginning))) return;
        this.#act(JSON.parse(buffer.toString("utf8", start, end)));
      });
    });
  }

  #act({ kind, value }: { readonly kind: string; readonly value: Assignment | Operation }): void {
    if (kind === "assignment") this.#run(value as Assignment);
    else void this.#operate(value as Operation);
  }

  async #renew(periodMs: number): Promise<void> {
    // Spread over the period, as agents of a real cluster are.
    await sleep(systemClock, Math.random() * periodMs);
    while (!this.#isLost) {
      const dueMs = this.#renewedAt + periodMs - performance.now();
      // A report has renewed it, as the real one's does.
      if (dueMs > 0) await sleep(systemClock, dueMs);
      else {
        this.#renewedAt = performance.now();
        await this.#call("renewLease");
      }
    }
  }

  #run({ task }: Assignment): void {
    if (this.#known.has(task.id) || task.desired !== "running") return;
    this.#known.add(task.id);
    const now = Date.now();
    toldMs.push(now - task.createdAt);
    this.#waiting.push({
      task: task.id,
      node: this.#name,
      sequence: 1,
      attempt: 1,
      state: "running",
      ready: true,
      readyAt: now,
      startedAt: now,
      recentFailures: 0,
      updatedAt: now,
    });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const restMs = this.#nextReportAt - performance.now();
    setTimeout(() => void this.#report(), Math.max(GATHER_MS, restMs));
  }

  async #report(): Promise<void> {
    this.#isScheduled = false;
    const statuses = this.#waiting;
    this.#waiting = [];
    const sentAt = performance.now();
    this.#nextReportAt = sentAt + SPACING_MS;
    await this.#call("reportTasks", { statuses });
    this.#renewedAt = sentAt;
  }

  async #operate({ id, state, input }: Operation): Promise<void> {
    if (state !== "pending" || input.kind !== "resolve-images" || this.#known.has(id)) return;
    this.#known.add(id);
    const images = Object.fromEntries(
      input.images.map(({ reference }) => [
        reference,
        { reference, imageId: `sha256:${"0".repeat(64)}` },
      ]),
    );
    await this.#call("reportOperation", { state: "done", images }, id);
  }
}

function figures(since: NodeJS.CpuUsage): AgentsFigures {
  const { user, system } = process.cpuUsage(since);
  const told = { events, bytes, cpuMs: (user + system) / 1_000, toldMs };
  events = 0;
  bytes = 0;
  toldMs = [];
  return told;
}

const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { nodes, ...place } = JSON.parse((await commands.next()).value ?? "{}") as AgentsOptions;
const agents = nodes.map(
  ({ name, certificate }) => new LightAgent({ ...place, certificate }, name),
);
for (let index = 0; index < agents.length; index += JOINS_AT_ONCE) {
  await Promise.all(agents.slice(index, index + JOINS_AT_ONCE).map((agent) => agent.start()));
}
process.stdout.write("ready\n");
let cpu = process.cpuUsage();
for await (const command of { [Symbol.asyncIterator]: () => commands }) {
  const [word, count] = command.split(" ");
  if (word === "lose") for (const agent of agents.splice(0, Number(count))) agent.lose();
  else {
    process.stdout.write(`${JSON.stringify(figures(cpu))}\n`);
    cpu = process.cpuUsage();
  }
}
process.exit(0);

/**
 * Light agents for `cluster.bench.ts`, many in one process: the real protocol over HTTP (report, lease, watch
 * with all of an agent's selectors, statuses, operations), and containers that run at once.
 *
 * The options come as JSON in the first word; it says `ready` when every agent has its stream, and in the end
 * how many events it was told.
 */

import { createInterface } from "node:readline";
import { sleep, systemClock } from "@berth/base";
import {
  type Assignment,
  asProtocolError,
  type Operation,
  type TaskStatus,
  type WatchEvent,
} from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { lightNodeStatus } from "./cluster-seed.ts";

export interface AgentsOptions {
  readonly url: string;
  readonly nodes: readonly { readonly name: string; readonly token: string }[];
}

/** What an agent gathers before it reports, as the real one does. */
const GATHER_MS = 2;
const LEASE_PERIOD_MS = 2_000;
/** Agents that begin at the same time. */
const JOINS_AT_ONCE = 20;

const options = JSON.parse(process.argv[2] ?? "{}") as AgentsOptions;
let told = 0;

class LightAgent {
  readonly #name: string;
  readonly #client: HttpClient;
  readonly #known = new Set<string>();
  #waiting: TaskStatus[] = [];
  #isScheduled = false;

  constructor(name: string, token: string) {
    this.#name = name;
    this.#client = new HttpClient({ url: options.url, token });
  }

  /** Joins; resolves when the stream has told everything that there is. */
  async start(): Promise<void> {
    const node = this.#name;
    const status = lightNodeStatus(node);
    await this.#client.call("reportNode", { params: { node }, body: { status } });
    const selectors = [
      { kind: "assignment" as const, node },
      { kind: "operation" as const, node },
      { kind: "network" as const },
      { kind: "certificate" as const },
      { kind: "service" as const, node },
      { kind: "attachment" as const, node },
    ];
    const events = await this.#client.call("watch", { params: {}, body: { selectors } });
    const synced = Promise.withResolvers<void>();
    void this.#follow(events as AsyncIterable<WatchEvent>, synced.resolve);
    await synced.promise;
    void this.#renew();
  }

  async #renew(): Promise<void> {
    const params = { node: this.#name };
    // Spread over the period, as agents of a real cluster are.
    await sleep(systemClock, Math.random() * LEASE_PERIOD_MS);
    for (;;) {
      await this.#client.call("renewLease", { params }).catch(() => {});
      await sleep(systemClock, LEASE_PERIOD_MS);
    }
  }

  async #follow(events: AsyncIterable<WatchEvent>, synced: () => void): Promise<void> {
    for await (const event of events) {
      told++;
      if (event.type === "synced") synced();
      if (event.type === "resync") throw new RangeError(`resync: ${event.reason}`);
      if (event.type !== "put") continue;
      if (event.kind === "assignment") this.#run(event.value as Assignment);
      if (event.kind === "operation") void this.#operate(event.value as Operation);
    }
  }

  #run({ task }: Assignment): void {
    if (this.#known.has(task.id) || task.desired !== "running") return;
    this.#known.add(task.id);
    const now = Date.now();
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
    setTimeout(() => void this.#report(), GATHER_MS);
  }

  async #report(): Promise<void> {
    this.#isScheduled = false;
    const statuses = this.#waiting;
    this.#waiting = [];
    await this.#client.call("reportTasks", { params: { node: this.#name }, body: { statuses } });
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
    const params = { node: this.#name, operation: id };
    try {
      await this.#client.call("reportOperation", { params, body: { state: "done", images } });
    } catch (error) {
      // Gone with its deployment, which another node has answered for.
      if (asProtocolError(error).code !== "not_found") throw error;
    }
  }
}

const agents = options.nodes.map(({ name, token }) => new LightAgent(name, token));
for (let index = 0; index < agents.length; index += JOINS_AT_ONCE) {
  await Promise.all(agents.slice(index, index + JOINS_AT_ONCE).map((agent) => agent.start()));
}
process.stdout.write("ready\n");
createInterface({ input: process.stdin })
  .on("line", () => process.stdout.write(`${told}\n`))
  .on("close", () => process.exit(0));

/**
 * An operator: takes nodes out of scheduling for a while and back in, removes them and lets them join again, all
 * through the real API; and makes mistakes: drains every node at once, removes one that serves, deletes
 * containers and images at the engine. When faults end, every node is a member and active again.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import { type ApiClient, asProtocolError } from "@berth/protocol";
import type { Cluster } from "./cluster.ts";
import type { Machine } from "./machine.ts";
import type { Trace } from "./trace.ts";

export interface OperatorOptions {
  readonly api: ApiClient;
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly trace: Trace;
  /** Nothing new is begun once this is over (monotonic, milliseconds). */
  readonly untilMs: number;
}

const PAUSE_MS = { min: 10_000, max: 60_000 } as const;
const DRAINED_MS = { min: 3_000, max: 30_000 } as const;
const REMOVED_MS = { min: 12_000, max: 40_000 } as const;
const RETRY_MS = 1_000;

const ACTIONS = ["drain", "drain", "drain", "drainAll", "remove", "byHand", "byHand"] as const;
export type OperatorAction = (typeof ACTIONS)[number];

export class Operator {
  /** How often each action was done. */
  readonly counts: Partial<Record<OperatorAction, number>> = {};
  readonly #options: OperatorOptions;
  #busy = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** A node is out of scheduling, or a request has no answer yet. */
  get busy(): boolean {
    return this.#busy;
  }

  async run(): Promise<void> {
    const { clock, prng, untilMs } = this.#options;
    for (;;) {
      await sleep(clock, prng.int(PAUSE_MS.min, PAUSE_MS.max));
      if (clock.monotonic() >= untilMs) return;
      this.#busy = true;
      const action = prng.pick(ACTIONS);
      if (await this.#act(action)) this.counts[action] = (this.counts[action] ?? 0) + 1;
      this.#busy = false;
    }
  }

  async #act(action: OperatorAction): Promise<boolean> {
    const { cluster, prng } = this.#options;
    const machine = prng.pick(cluster.machines);
    switch (action) {
      case "drain":
        return await this.#drain([machine.name]);
      case "drainAll":
        return await this.#drain(cluster.machines.map(({ name }) => name));
      case "remove":
        return await this.#remove(machine);
      case "byHand":
        return this.#meddle(machine);
    }
  }

  async #drain(nodes: readonly string[]): Promise<boolean> {
    const { clock, prng } = this.#options;
    const drained: string[] = [];
    for (const node of nodes) if (await this.#set(node, "draining")) drained.push(node);
    await sleep(clock, prng.int(DRAINED_MS.min, DRAINED_MS.max));
    for (const node of drained) await this.#set(node, "active");
    return drained.length > 0;
  }

  /** Repeats the request until there is an answer; false when the node is not known (yet). */
  async #set(node: string, availability: "active" | "draining"): Promise<boolean> {
    const { api } = this.#options;
    const call = () =>
      api.call("setNodeAvailability", { params: { node }, body: { availability } });
    return await this.#ask(`${node} ${availability}`, call);
  }

  /** Takes a node out of the cluster, with what it runs if it is a mistake, and lets it join again. */
  async #remove(machine: Machine): Promise<boolean> {
    const { api, cluster, clock, prng, trace } = this.#options;
    const { name: node, identity } = machine;
    if (identity.kind !== "member") return false;
    const query = prng.chance(0.7) ? { force: "true" } : {};
    const call = () => api.call("removeNode", { params: { node }, query });
    await this.#ask(`remove ${node} ${query.force === undefined ? "" : "by force"}`, call);
    // A reply that was lost hides behind "not found" of the next try: the store tells.
    if (!cluster.isRemoved(machine)) return false;
    await sleep(clock, prng.int(REMOVED_MS.min, REMOVED_MS.max));
    trace.note(node, "M+", "");
    await cluster.rejoin(machine);
    return true;
  }

  /** What nobody should do at an engine that is managed: it must heal all the same. */
  #meddle({ name, host }: Machine): boolean {
    const { prng, trace } = this.#options;
    if (!host.engineUp) return false;
    if (prng.chance(0.3)) {
      trace.note(name, "O!", "removes all images that nothing runs from");
      const used = new Set([...host.containers.values()].map(({ request }) => request.imageId));
      for (const id of [...host.images.keys()]) if (!used.has(id)) host.images.delete(id);
      return true;
    }
    const containers = [...host.containers.values()];
    if (containers.length === 0) return false;
    const victim = prng.pick(containers);
    trace.note(name, "O!", `removes container ${victim.request.name}`);
    host.removeContainer(victim);
    return true;
  }

  /** Repeats `call` until there is an answer; false when it is refused for good. */
  async #ask(what: string, call: () => Promise<unknown>): Promise<boolean> {
    const { clock, trace } = this.#options;
    trace.note("", "U>", what);
    for (;;) {
      try {
        await call();
        trace.note("", "U<", what);
        return true;
      } catch (error) {
        const { code } = asProtocolError(error);
        if (code === "not_found" || code === "still_in_use") {
          trace.note("", "U!", `${what}: ${code}`);
          return false;
        }
        await sleep(clock, RETRY_MS);
      }
    }
  }
}

/**
 * Deliberate damage, one for each checker: what the property forbids, built in. A checker that stays silent
 * over its mutation watches nothing.
 */

import { FakeRuntime } from "@berth/agent/runtime/fake";
import type { FakeHost } from "@berth/agent/runtime/fake-host";
import type { ContainerState } from "@berth/agent/runtime/port";
import type {
  Operation,
  Store,
  StoredEntry,
  Txn,
  WatchBatch,
  WatchEvent,
} from "@berth/control-plane/store/port";
import { type Node, type NodeStatus, parseKey, type Task, type TaskStatus } from "@berth/protocol";
import type { Mutation } from "../cluster.ts";

type Changed = Partial<Pick<Store, "txn" | "watch" | "list">>;

/** A store with some calls replaced; the others are its own. */
function altered(store: Store, changed: Changed): Store {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(changed, property) ?? Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function kindOf(operation: Operation): string {
  return operation.kind === "put" ? (parseKey(operation.key)?.kind ?? "") : "";
}

/** `slots`: a server that makes a twin of every new task. */
export const TWINS: Mutation = {
  store: (store) =>
    altered(store, { txn: (txn, options) => store.txn({ ...txn, then: withTwins(txn) }, options) }),
};

function withTwins(txn: Txn): readonly Operation[] {
  const fresh = new Set(
    txn.compare
      .filter(({ target, op, value }) => target !== "value" && op === "=" && value === 0)
      .map(({ key }) => key),
  );
  return txn.then.flatMap((operation) => {
    if (operation.kind !== "put" || kindOf(operation) !== "task" || !fresh.has(operation.key)) {
      return [operation];
    }
    const task = JSON.parse(operation.value) as Task;
    const id = `twin${task.id}`;
    const key = operation.key.replace(task.id, id);
    return [operation, { kind: "put", key, value: JSON.stringify({ ...task, id }) }];
  });
}

/** `exclusive`: an engine that says a container has ended while its process goes on. */
export const LYING_ENGINE: Mutation = { runtime: (host) => new LyingRuntime(host) };

/** `exclusive`: a fence hook that says of hosts that they are off while they run. */
export const LYING_HOOK: Mutation = { fenceLies: true };

/** `exclusive`: agents that never notice for how long they were without a server. */
export const NO_DEADLINE: Mutation = { bootClockStands: true };

/** Containers that are said to be gone, by host: the lie outlives the agent. */
const saidGone = new WeakMap<FakeHost, Set<string>>();

class LyingRuntime extends FakeRuntime {
  readonly #gone: Set<string>;

  constructor(host: FakeHost) {
    super(host);
    this.#gone = saidGone.get(host) ?? new Set();
    saidGone.set(host, this.#gone);
  }

  override async stopContainer(id: string): Promise<void> {
    this.#gone.add(this.host.findContainer(id)?.id ?? id);
  }

  override killContainer(id: string): Promise<void> {
    return this.stopContainer(id);
  }

  override removeContainer(id: string): Promise<void> {
    return this.stopContainer(id);
  }

  override async inspectContainer(id: string): Promise<ContainerState | undefined> {
    const state = await super.inspectContainer(id);
    return state !== undefined && this.#gone.has(state.id) ? undefined : state;
  }

  override async listContainers(cluster: string): Promise<readonly ContainerState[]> {
    const states = await super.listContainers(cluster);
    return states.filter(({ id }) => !this.#gone.has(id));
  }
}

/** Nodes report a tenth of what they have ... */
const NODE_SHRINK = 10;

/** `room`: ... and the server takes each for ten times as large as it says. */
export const INFLATED_NODES: Mutation = {
  store: (store) => {
    const grown = (entry: StoredEntry): StoredEntry =>
      parseKey(entry.key)?.kind === "node-status"
        ? { ...entry, value: scaled(entry.value, NODE_SHRINK) }
        : entry;
    const grownEvent = (event: WatchEvent): WatchEvent =>
      event.type === "put" ? { ...event, entry: grown(event.entry) } : event;
    async function* grownWatch(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
      for await (const batch of batches) yield { ...batch, events: batch.events.map(grownEvent) };
    }
    const shrunk = (operation: Operation): Operation =>
      operation.kind === "put" && kindOf(operation) === "node-status"
        ? { ...operation, value: scaled(operation.value, 1 / NODE_SHRINK) }
        : operation;
    return altered(store, {
      txn: (txn, options) => store.txn({ ...txn, then: txn.then.map(shrunk) }, options),
      watch: (prefix, from, signal) => grownWatch(store.watch(prefix, from, signal)),
      list: async (prefix, options) => {
        const page = await store.list(prefix, options);
        return { ...page, entries: page.entries.map(grown) };
      },
    });
  },
};

/** A node's report with `factor` times its processors. */
function scaled(value: string, factor: number): string {
  const status = JSON.parse(value) as NodeStatus;
  const cpuMillis = Math.round(status.capacity.cpuMillis * factor);
  return JSON.stringify({ ...status, capacity: { ...status.capacity, cpuMillis } });
}

/** `addresses`: a server that gives every task of a network the same address. */
export const ONE_ADDRESS: Mutation = {
  store: (store) =>
    altered(store, {
      txn: (txn, options) => store.txn({ ...txn, then: txn.then.map(withOneAddress) }, options),
    }),
};

function withOneAddress(operation: Operation): Operation {
  if (operation.kind !== "put" || kindOf(operation) !== "task") return operation;
  const task = JSON.parse(operation.value) as Task;
  const attachments = task.attachments.map((each) => ({ ...each, address: "10.79.255.9" }));
  return { ...operation, value: JSON.stringify({ ...task, attachments }) };
}

/** Every so many writes of a kind are damaged. */
const EVERY = 5;

/** `acknowledged`: a store that says of some scales and deployments that they are written. */
export function forgetfulStore(): Mutation {
  let count = 0;
  return {
    store: (store) =>
      altered(store, {
        txn: async (txn, options) => {
          const matters = txn.then.some((each) => ["scale", "deployment"].includes(kindOf(each)));
          if (!matters || ++count % EVERY !== 0) return await store.txn(txn, options);
          const revision = await store.currentRevision();
          return { succeeded: true, revision, results: [] };
        },
      }),
  };
}

/** Node rows are written without `field`: what the server noted there is forgotten. */
function forgetsOfNodes(field: keyof Node): Mutation {
  const without = (operation: Operation): Operation => {
    if (operation.kind !== "put" || kindOf(operation) !== "node") return operation;
    const { [field]: _forgotten, ...rest } = JSON.parse(operation.value) as Node;
    return { ...operation, value: JSON.stringify(rest) };
  };
  return {
    store: (store) =>
      altered(store, {
        txn: (txn, options) => store.txn({ ...txn, then: txn.then.map(without) }, options),
      }),
  };
}

/** `patience`: a server that gives up what it lost, however many nodes are silent. */
export const IMPATIENT = forgetsOfNodes("evictionPausedUntil");

/** `flapping`: a server that forgets that nodes fell silent. */
export const FORGIVING = forgetsOfNodes("silences");

/** `forward`: a server that takes a report that goes back. */
export function backwardStatuses(): Mutation {
  let count = 0;
  const turnBack = (operation: Operation): Operation => {
    if (operation.kind !== "put" || kindOf(operation) !== "status") return operation;
    if (++count % EVERY !== 0) return operation;
    const status = JSON.parse(operation.value) as TaskStatus;
    return { ...operation, value: JSON.stringify({ ...status, state: "assigned", ready: false }) };
  };
  return {
    store: (store) =>
      altered(store, {
        txn: (txn, options) => store.txn({ ...txn, then: txn.then.map(turnBack) }, options),
      }),
  };
}

/** `converges`: watches with a gap: some reports are never told. */
export function gappyWatch(): Mutation {
  let count = 0;
  const isLost = (batch: WatchBatch) =>
    batch.events.some(({ key }) => parseKey(key)?.kind === "status") && ++count % EVERY === 0;
  async function* gappy(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
    for await (const batch of batches) yield isLost(batch) ? { ...batch, events: [] } : batch;
  }
  return {
    store: (store) =>
      altered(store, {
        watch: (prefix, from, signal) => gappy(store.watch(prefix, from, signal)),
      }),
  };
}

/** `own-code`: code of ours that throws what only wrong code throws. */
export function faultyCode(): Mutation {
  let count = 0;
  return {
    store: (store) =>
      altered(store, {
        txn: (txn, options) => {
          const matters = txn.then.some((operation) => kindOf(operation) === "task");
          if (matters && ++count % EVERY === 0) throw new TypeError("undefined is not a task");
          return store.txn(txn, options);
        },
      }),
  };
}

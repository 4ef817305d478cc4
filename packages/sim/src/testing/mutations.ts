/**
 * Deliberate damage, one for each checker: what the property forbids, built in. A checker that stays silent
 * over its mutation watches nothing.
 */

import { FakeRuntime } from "@berth/agent/runtime/fake";
import type { FakeHost } from "@berth/agent/runtime/fake-host";
import type { ContainerState } from "@berth/agent/runtime/port";
import type { ClaimHolder } from "@berth/control-plane/state/claim-holder";
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
export const NO_DEADLINE: Mutation = { bootClockStands: true, settings: { massOutageShare: 1 } };

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
    const shrunk = (operation: Operation): Operation =>
      operation.kind === "put" && kindOf(operation) === "node-status"
        ? { ...operation, value: scaled(operation.value, 1 / NODE_SHRINK) }
        : operation;
    return altered(reading(store, grown), {
      txn: (txn, options) => store.txn({ ...txn, then: txn.then.map(shrunk) }, options),
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

/**
 * `reach`: a store that forgets which node has which address, of those that are written with a task. Others come in
 * writes of nothing else: a store that takes such a write and changes nothing would be asked for ever.
 */
export const NO_NODE_ADDRESSES: Mutation = {
  store: (store) =>
    altered(store, {
      txn: (txn, options) => {
        if (!txn.then.some(isTask)) return store.txn(txn, options);
        const then = txn.then.filter((operation) => !isNodeAddress(operation));
        return store.txn({ ...txn, then }, options);
      },
    }),
};

function isTask(operation: Operation): boolean {
  return operation.kind === "put" && kindOf(operation) === "task";
}

function isNodeAddress(operation: Operation): boolean {
  if (operation.kind !== "put" || kindOf(operation) !== "claim") return false;
  return (JSON.parse(operation.value) as ClaimHolder).node !== undefined;
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

/** `healthy`: a server that takes every copy for ready as soon as it runs. */
export const HASTY_SERVER: Mutation = {
  store: (store) => {
    const ready = (entry: StoredEntry): StoredEntry => {
      if (parseKey(entry.key)?.kind !== "status") return entry;
      const status = JSON.parse(entry.value) as TaskStatus;
      if (status.state !== "running" && status.state !== "starting") return entry;
      const readyAt = status.readyAt ?? 0;
      const value = JSON.stringify({ ...status, state: "running", ready: true, readyAt });
      return { ...entry, value };
    };
    return reading(store, ready);
  },
};

/** `endpoints`: a node that sends requests to every copy as soon as it has an address. */
export const HASTY_NODE: Mutation = {
  model: (model) => ({
    ...model,
    endpoints: model.attachments.map(({ mac: _mac, ...copy }) => ({ ...copy, state: "ready" })),
  }),
};

/** `attachments`: a data plane that loses the address of every other copy. */
export const LOST_ATTACHMENTS: Mutation = {
  model: (model) => ({
    ...model,
    attachments: model.attachments.filter((_, index) => index % 2 === 0),
  }),
};

/** `removed`: a server that is never told that a member was removed. */
export const KEPT_MEMBERS: Mutation = {
  store: (store) => {
    /** Members as the server goes on seeing them. */
    const kept = new Map<string, StoredEntry>();
    async function* watch(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
      for await (const batch of batches) {
        yield { ...batch, events: batch.events.filter((event) => !isRemoval(event)) };
      }
    }
    return altered(store, {
      watch: (prefix, from, signal) => watch(store.watch(prefix, from, signal)),
      list: async (prefix, options) => {
        const page = await store.list(prefix, options);
        for (const entry of page.entries) {
          if (parseKey(entry.key)?.kind === "member") kept.set(entry.key, entry);
        }
        const known = new Set(page.entries.map(({ key }) => key));
        const missing = [...kept.values()].filter(
          ({ key }) => key.startsWith(prefix) && !known.has(key),
        );
        return { ...page, entries: [...page.entries.filter(isNoRemoval), ...missing] };
      },
    });
  },
};

function isRemoval({ type, key }: WatchEvent): boolean {
  const kind = parseKey(key)?.kind;
  return kind === "removal" || (kind === "member" && type === "delete");
}

function isNoRemoval({ key }: StoredEntry): boolean {
  return parseKey(key)?.kind !== "removal";
}

/** `growth`: an engine that says of containers that they are removed, and keeps them. */
export const HOARDING_ENGINE: Mutation = { runtime: (host) => new HoardingRuntime(host) };

/** What is hidden from agents, by host. */
const hoarded = new WeakMap<FakeHost, Set<string>>();

class HoardingRuntime extends FakeRuntime {
  readonly #hidden: Set<string>;

  constructor(host: FakeHost) {
    super(host);
    this.#hidden = hoarded.get(host) ?? new Set();
    hoarded.set(host, this.#hidden);
  }

  override async removeContainer(id: string): Promise<void> {
    const container = this.host.findContainer(id);
    if (container === undefined) return;
    container.signal("SIGKILL");
    this.#hidden.add(container.id);
  }

  override async inspectContainer(id: string): Promise<ContainerState | undefined> {
    const state = await super.inspectContainer(id);
    return state !== undefined && this.#hidden.has(state.id) ? undefined : state;
  }

  override async listContainers(cluster: string): Promise<readonly ContainerState[]> {
    const states = await super.listContainers(cluster);
    return states.filter(({ id }) => !this.#hidden.has(id));
  }
}

/** A store whose reader sees other entries than were written. */
function reading(store: Store, seen: (entry: StoredEntry) => StoredEntry): Store {
  const seenEvent = (event: WatchEvent): WatchEvent =>
    event.type === "put" ? { ...event, entry: seen(event.entry) } : event;
  async function* seenWatch(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
    for await (const batch of batches) yield { ...batch, events: batch.events.map(seenEvent) };
  }
  return altered(store, {
    watch: (prefix, from, signal) => seenWatch(store.watch(prefix, from, signal)),
    list: async (prefix, options) => {
      const page = await store.list(prefix, options);
      return { ...page, entries: page.entries.map(seen) };
    },
  });
}

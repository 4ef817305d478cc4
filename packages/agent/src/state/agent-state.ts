/**
 * What an agent knows, in memory, with its durable copy behind: assignments as they were told, records,
 * locks, networks, and what it knows of its server. The only writer of the local database.
 *
 * Rows of an unknown shape (a newer agent's, after a downgrade) are refused at the start rather than
 * guessed at. O(1) a change.
 */

import type {
  Assignment,
  DeclaredService,
  FloatingPart,
  Network,
  NetworkNeighbor,
  NetworkPeer,
} from "@berth/protocol";
import { SEQUENCE_RESERVE, type TaskRecord } from "../task/record.ts";
import type { Intent } from "../task/step-input.ts";
import type { Change, LocalDb, Table } from "./local-db.ts";
import { VolumeLocks } from "./volume-locks.ts";

/** A task as the server told it last, with what follows from it. */
export interface ToldTask {
  readonly assignment: Assignment;
  readonly intent: Intent;
}

/** What is known of the server; all absent before the first contact. */
export interface ServerMemory {
  /** Pinned at the first contact. */
  readonly cluster?: string;
  /** Epoch of the store whose word counts. */
  readonly epoch?: string;
  /** Highest revision seen in that epoch. */
  readonly revision?: number;
  /** Boot in which a server of our cluster last answered. */
  readonly contactBootId?: string;
  /** When a call was sent that a server answered, on the boot-time clock; written where a deadline counts from it. */
  readonly contact?: { readonly bootId: string; readonly bootMs: number };
  readonly ingressHttpPort?: number;
  /** This node's parts in floating addresses, as the server said last. */
  readonly floating?: readonly FloatingPart[];
}

/** What a registry had under a reference, and when (wall time). */
export interface RegistryLookUp {
  readonly at: number;
  readonly repoDigest: string;
}

/** Builds that are remembered: more than the stacks of one machine have. */
const BUILT_MAX = 1_000;

export class AgentState {
  readonly #db: LocalDb;
  readonly #told = new Map<string, ToldTask>();
  readonly #records = new Map<string, TaskRecord>();
  readonly #networks = new Map<string, Network>();
  readonly #services = new Map<string, DeclaredService>();
  readonly #neighbors = new Map<string, NetworkNeighbor>();
  readonly #peers = new Map<string, NetworkPeer>();
  readonly #seeded: Set<string>;
  readonly #built = new Map<string, string>();
  #server: ServerMemory;
  readonly locks: VolumeLocks;

  constructor(db: LocalDb) {
    this.#db = db;
    this.locks = new VolumeLocks(db);
    for (const [id, row] of db.read("assignment")) this.#told.set(id, row as ToldTask);
    for (const [id, row] of db.read("record")) this.#records.set(id, loaded(row as TaskRecord));
    for (const [id, row] of db.read("network")) this.#networks.set(id, row as Network);
    for (const [key, row] of db.read("service")) this.#services.set(key, row as DeclaredService);
    for (const [key, row] of db.read("neighbor")) this.#neighbors.set(key, row as NetworkNeighbor);
    for (const [key, row] of db.read("peer")) this.#peers.set(key, row as NetworkPeer);
    this.#seeded = new Set(db.read("seeded").keys());
    for (const [key, id] of db.read("built")) if (typeof id === "string") this.#built.set(key, id);
    this.#server = (db.read("meta").get("server") ?? {}) as ServerMemory;
  }

  get told(): ReadonlyMap<string, ToldTask> {
    return this.#told;
  }

  get records(): ReadonlyMap<string, TaskRecord> {
    return this.#records;
  }

  get networks(): ReadonlyMap<string, Network> {
    return this.#networks;
  }

  /** Services declared on the networks that this node carries, by key of the watch. */
  get services(): ReadonlyMap<string, DeclaredService> {
    return this.#services;
  }

  /** Tasks of other nodes on those networks, by key of the watch. */
  get neighbors(): ReadonlyMap<string, NetworkNeighbor> {
    return this.#neighbors;
  }

  /** Nodes of networks that span hosts, this one included, by key of the watch. */
  get peers(): ReadonlyMap<string, NetworkPeer> {
    return this.#peers;
  }

  get server(): ServerMemory {
    return this.#server;
  }

  /** The record is in memory at once and durable when the promise resolves. */
  putRecord(record: TaskRecord): Promise<void> {
    this.#records.set(record.task, record);
    return this.#db.commit([{ table: "record", key: record.task, value: record }]);
  }

  /** Nothing is left of a task: its record and the end of its locks, in one commit, then in memory. */
  async putRemoved(record: TaskRecord): Promise<void> {
    const row: Change = { table: "record", key: record.task, value: record };
    await this.#db.commit([row, ...this.locks.release(record.task)]);
    // Not before: while it is not written, the removal has to be tried again, and the locks hold.
    this.#records.set(record.task, record);
    this.locks.freed(record.task);
  }

  /** As `putRecord`, without waiting: what is lost with it is observed again. */
  noteRecord(record: TaskRecord): void {
    this.#records.set(record.task, record);
  }

  putTold(tasks: readonly ToldTask[]): Promise<void> {
    for (const told of tasks) this.#told.set(told.assignment.task.id, told);
    return this.#db.commit(
      tasks.map((told) => ({ table: "assignment", key: told.assignment.task.id, value: told })),
    );
  }

  /** Everything about a task that was removed and is not known to the server any more. */
  async forgetTask(task: string): Promise<void> {
    await this.#db.commit([
      { table: "assignment", key: task, value: undefined },
      { table: "record", key: task, value: undefined },
      { table: "secret", key: task, value: undefined },
    ]);
    this.#told.delete(task);
    this.#records.delete(task);
  }

  putNetworks(networks: readonly Network[], gone: readonly string[]): Promise<void> {
    for (const network of networks) this.#networks.set(network.id, network);
    for (const id of gone) this.#networks.delete(id);
    return this.#db.commit([
      ...networks.map((value) => ({ table: "network" as const, key: value.id, value })),
      ...gone.map((key) => ({ table: "network" as const, key, value: undefined })),
    ]);
  }

  putServices(put: ReadonlyMap<string, DeclaredService>, gone: readonly string[]): Promise<void> {
    return this.#putDirectory("service", this.#services, put, gone);
  }

  putNeighbors(put: ReadonlyMap<string, NetworkNeighbor>, gone: readonly string[]): Promise<void> {
    return this.#putDirectory("neighbor", this.#neighbors, put, gone);
  }

  putPeers(put: ReadonlyMap<string, NetworkPeer>, gone: readonly string[]): Promise<void> {
    return this.#putDirectory("peer", this.#peers, put, gone);
  }

  /** In memory at once: names follow before the disk has, and what is lost with it is told again. */
  #putDirectory<T>(
    table: Table,
    known: Map<string, T>,
    put: ReadonlyMap<string, T>,
    gone: readonly string[],
  ): Promise<void> {
    for (const [key, value] of put) known.set(key, value);
    for (const key of gone) known.delete(key);
    return this.#db.commit([
      ...[...put].map(([key, value]) => ({ table, key, value })),
      ...gone.map((key) => ({ table, key, value: undefined })),
    ]);
  }

  putServer(server: ServerMemory): Promise<void> {
    this.#server = server;
    return this.#db.commit([{ table: "meta", key: "server", value: server }]);
  }

  /** Whether the volume got its seed: for the life of the volume, whatever its user did since. */
  isSeeded(engineName: string): boolean {
    return this.#seeded.has(engineName);
  }

  async noteSeeded(engineName: string): Promise<void> {
    await this.#db.commit([{ table: "seeded", key: engineName, value: true }]);
    this.#seeded.add(engineName);
  }

  async forgetSeeded(engineName: string): Promise<void> {
    await this.#db.commit([{ table: "seeded", key: engineName, value: undefined }]);
    this.#seeded.delete(engineName);
  }

  /** What an equal build made, by the key of its input. */
  builtBefore(key: string): string | undefined {
    return this.#built.get(key);
  }

  async noteBuilt(key: string, imageId: string): Promise<void> {
    this.#built.set(key, imageId);
    const oldest = this.#built.size > BUILT_MAX ? this.#built.keys().next().value : undefined;
    if (oldest !== undefined) this.#built.delete(oldest);
    const gone =
      oldest === undefined ? [] : [{ table: "built" as const, key: oldest, value: undefined }];
    await this.#db.commit([{ table: "built", key, value: imageId }, ...gone]);
  }

  /** The last answer of a registry about a reference; kept among the builds, which are no references. */
  lookUpOf(reference: string): RegistryLookUp | undefined {
    const [at, repoDigest] = (this.#built.get(`registry ${reference}`) ?? "").split(" ");
    return repoDigest === undefined ? undefined : { at: Number(at), repoDigest };
  }

  async noteLookUp(reference: string, { at, repoDigest }: RegistryLookUp): Promise<void> {
    await this.noteBuilt(`registry ${reference}`, `${at} ${repoDigest}`);
  }

  readSecret(task: string): unknown {
    return this.#db.read("secret").get(task);
  }

  putSecret(task: string, sealed: string): Promise<void> {
    return this.#db.commit([{ table: "secret", key: task, value: sealed }]);
  }

  commit(changes: readonly Change[]): Promise<void> {
    return this.#db.commit(changes);
  }
}

/**
 * Numbers of statuses that were sent but not written (progress, for one) must not be used again: a report
 * with a number that the server has seen is ignored.
 */
function loaded(record: TaskRecord): TaskRecord {
  return { ...record, sequence: record.sequence + SEQUENCE_RESERVE };
}

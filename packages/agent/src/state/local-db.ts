/**
 * The local database of an agent: a few tables of JSON values that survive its process and its host.
 *
 * Everything is read once at the start; from then on memory is the truth and the database its durable
 * copy. `commit` resolves when the changes would survive a power loss: effects wait for it. Commits of one
 * turn of the event loop share one flush (group commit).
 * Design page: docs/design/agent.md
 */

/** What is kept, and why a start without the server needs it. */
export const TABLES = {
  meta: "Cluster, epoch and position of the server; boot of the host; contact.",
  assignment: "What the server told, with what it wants, by task.",
  record: "Where each task stands, by task.",
  lock: "Holder of each exclusive volume, by name at the engine.",
  secret: "Contents of secrets, sealed, by task.",
  certificate: "Certificates of routes with their keys, sealed, by identifier.",
  seeded: "Volumes that got their seed, by name at the engine.",
  built: "Images that builds made, by the build's input.",
  kept: "Images of the last releases of each service, for going back.",
  image: "Images that Berth brought to this node with their last use, by identifier.",
  network: "Networks of the cluster that this node was told of, by identifier.",
  service: "Services declared on the networks of this node, by key.",
  neighbor: "Tasks of other nodes on the networks of this node, by key.",
  peer: "Nodes that networks of this node reach, itself included, by key.",
} as const satisfies Readonly<Record<string, string>>;
export type Table = keyof typeof TABLES;

/** One row's new value; `undefined` deletes the row. Values are plain data. */
export interface Change {
  readonly table: Table;
  readonly key: string;
  readonly value: unknown;
}

/**
 * Failures are `ProtocolError`s: `storage_full`, or `internal` with the cause. After a failed commit
 * nothing of it is stored.
 */
export interface LocalDb {
  /** All rows of a table. Called at the start only. */
  read(table: Table): ReadonlyMap<string, unknown>;
  commit(changes: readonly Change[]): Promise<void>;
  close(): Promise<void>;
}

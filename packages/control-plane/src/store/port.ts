/**
 * The store as a port: where all state of the platform lives. It has etcd's semantics and etcd's limits
 * (`limits.ts`), so that one code runs on memory, SQLite and etcd.
 *
 * Invariants, held for every implementation by `contract.ts`: one counter of revisions; a transaction
 * that changes anything raises it by exactly one, one that changes nothing leaves it (concurrent ones of
 * which none touches what another changes may share one: then no order among them could be told);
 * transactions are atomic and strictly ordered; an acknowledged change survives; a watch shows every
 * revision from its start in order, once, without a gap, or ends with `StoreCompacted`.
 *
 * Design page: docs/design/store.md.
 */

/** A point in the life of a store: 0 is the empty store, each changing transaction adds one. */
export type Revision = number;

/** Names a lease; never used twice in one epoch. */
export type LeaseId = number;

/** A key with its value, as it was at some revision. */
export interface StoredEntry {
  readonly key: string;
  /** JSON text; the store does not look inside. */
  readonly value: string;
  /** The transaction that made the key exist (again). */
  readonly createRevision: Revision;
  /** The transaction that wrote this value. */
  readonly modRevision: Revision;
  /** 1 when the key is made, one more with each put. */
  readonly version: number;
  /** The entry vanishes with this lease. Absent: it stays until it is deleted. */
  readonly leaseId?: LeaseId;
}

export type CompareOp = "=" | ">" | "<" | "!=";

/**
 * A condition of a transaction. All numbers of an absent key are 0; an absent key's value compares with
 * nothing, so every `value` comparison on it fails.
 */
export type Compare =
  | {
      readonly key: string;
      readonly target: "modRevision" | "createRevision" | "version";
      readonly op: CompareOp;
      readonly value: number;
    }
  | {
      readonly key: string;
      readonly target: "value";
      /** Order is that of the UTF-8 bytes. */
      readonly op: CompareOp;
      readonly value: string;
    };

export type Operation =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly value: string;
      /** Attaches the entry to a lease; without it the entry is attached to none. */
      readonly leaseId?: LeaseId;
    }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "delete-prefix"; readonly prefix: string }
  | { readonly kind: "get"; readonly key: string }
  | {
      readonly kind: "list";
      readonly prefix: string;
      readonly limit?: number;
      readonly after?: string;
    };

/**
 * If all of `compare` hold, `then` is done, else `otherwise`: all of it or nothing. Operations see what
 * earlier ones of the same transaction did. A key is changed at most once in a transaction.
 */
export interface Txn {
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export type OperationResult =
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number }
  | { readonly kind: "delete-prefix"; readonly deleted: number }
  | { readonly kind: "get"; readonly entry: StoredEntry | undefined }
  | { readonly kind: "list"; readonly entries: readonly StoredEntry[]; readonly more: boolean };

export interface TxnResult {
  /** Whether all conditions held, hence which branch was done. */
  readonly succeeded: boolean;
  /** The store's revision after the transaction: that of its changes, if it made any. */
  readonly revision: Revision;
  /** One for each operation of the branch that was done, in order. */
  readonly results: readonly OperationResult[];
}

/** One change of one key. `revision` is that of the transaction that made it. */
export type WatchEvent =
  | {
      readonly type: "put";
      readonly key: string;
      readonly revision: Revision;
      readonly entry: StoredEntry;
      /** What the key held before; absent when it did not exist. */
      readonly previous?: StoredEntry;
    }
  | {
      readonly type: "delete";
      readonly key: string;
      readonly revision: Revision;
      readonly previous: StoredEntry;
    };

/** Everything that happened under the prefix up to and including `revision`, since the last batch. */
export interface WatchBatch {
  readonly revision: Revision;
  /** Of one or several whole revisions, in order. Empty: a progress notification. */
  readonly events: readonly WatchEvent[];
}

export interface GetOptions {
  /** Refuse to answer from a state older than this. */
  readonly minRevision?: Revision;
  readonly signal?: AbortSignal;
}

export interface GetResult {
  readonly entry: StoredEntry | undefined;
  readonly revision: Revision;
}

export interface ListOptions {
  /** At most this many entries; `LIST_LIMIT_DEFAULT` by default, `LIST_LIMIT_MAX` at most. */
  readonly limit?: number;
  /** Only keys greater than this: the last key of the page before. */
  readonly after?: string;
  /** The state as it was then; `StoreCompacted` when that is forgotten. Pages of one list share one. */
  readonly atRevision?: Revision;
  readonly signal?: AbortSignal;
}

export interface ListResult {
  /** In order of key. */
  readonly entries: readonly StoredEntry[];
  /** The revision that the entries show. */
  readonly revision: Revision;
  /** There are further keys: a page ends at its limit or at `LIST_PAGE_BYTES_MAX`. */
  readonly more: boolean;
}

export interface Lease {
  readonly leaseId: LeaseId;
  readonly ttlMs: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Rejections are of the family in `errors.ts`, or the signal's reason when nothing was begun. */
export interface Store {
  /** The life of the store: revisions of different epochs cannot be compared. A restore begins one. */
  readonly epoch: string;

  get(key: string, options?: GetOptions): Promise<GetResult>;

  /** One page of the keys that begin with `prefix`, in order. Cost: O(log n + page). */
  list(prefix: string, options?: ListOptions): Promise<ListResult>;

  /**
   * Rejects with `StoreUnknownOutcome` when it cannot be known whether it was committed; with any other
   * error nothing was changed.
   */
  txn(txn: Txn, options?: CallOptions): Promise<TxnResult>;

  /**
   * Events from `fromRevision` on, that one included: after a list at revision r, watch from r + 1.
   * Holds no queue: a consumer that is slow reads on from where it was, until that is compacted.
   * Throws `StoreCompacted`, `StoreFutureRevision`, `StoreClosed`, or the signal's reason when it aborts.
   */
  watch(prefix: string, fromRevision: Revision, signal: AbortSignal): AsyncIterable<WatchBatch>;

  /** Every watch reports its position as soon as it has reached what is committed now. */
  requestProgress(): void;

  /** Forgets what was before the state at `revision`: watches must start after it. Idempotent. */
  compact(revision: Revision): Promise<void>;

  /** Begins a lease: unless kept alive, it and its entries vanish `ttlMs` later, in one revision. */
  grantLease(ttlMs: number): Promise<Lease>;
  /** Starts the lease's time anew; `StoreLeaseNotFound` when it has ended. */
  keepAlive(leaseId: LeaseId): Promise<Lease>;
  /** Ends a lease and deletes its entries in one revision. Idempotent. */
  revokeLease(leaseId: LeaseId): Promise<void>;

  /** The newest committed revision. */
  currentRevision(): Promise<Revision>;

  /** Writes a consistent copy to a new file at `path`. A store that is opened from it has a new epoch. */
  snapshot(path: string): Promise<void>;

  /** Ends watches, refuses new calls, finishes what was accepted. Idempotent. */
  close(): Promise<void>;
}

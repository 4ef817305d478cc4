/**
 * The store on etcd: a cluster's state on three or more members, shared by all servers.
 *
 * Writes go together (`etcd-writer.ts`), reads are linearizable, watches of this server are all served from
 * one watch of etcd (`etcd-feed.ts`) and, further back, from etcd's history.
 *
 * Other than on one machine, this server may know of a revision before its feed shows it; a watch that is
 * to begin behind it waits for that. Transactions that went together share a revision.
 * Design page: docs/design/store.md. Decision: docs/adr/0035-etcd-client.md.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Logger, SECOND_MS } from "@berth/base";
import { takePage } from "./apply-txn.ts";
import { copyStore } from "./copy-store.ts";
import { StoreClosed, StoreCompacted, StoreFutureRevision, StoreLeaseNotFound } from "./errors.ts";
import type { TlsFiles } from "./etcd-channel.ts";
import { EtcdClient, type EtcdCredentials } from "./etcd-client.ts";
import { isCompacted, isFuture, isLeaseNotFound } from "./etcd-failures.ts";
import { EtcdFeed } from "./etcd-feed.ts";
import { readEtcdHistory } from "./etcd-history.ts";
import { EtcdKeyspace } from "./etcd-keyspace.ts";
import {
  decodeLeaseTtl,
  decodeRange,
  decodeTxn,
  type EtcdRange,
  type EtcdRangeAnswer,
  encodeCompaction,
  encodeLease,
  encodeLeaseGrant,
  encodeRange,
  encodeTxn,
  METHODS,
} from "./etcd-messages.ts";
import { EtcdWriter } from "./etcd-writer.ts";
import {
  checkKey,
  checkLeaseTtl,
  checkPrefix,
  checkTxn,
  LIST_PAGE_BYTES_MAX,
  pageLimit,
} from "./limits.ts";
import type {
  CallOptions,
  GetOptions,
  GetResult,
  Lease,
  LeaseId,
  ListOptions,
  ListResult,
  Revision,
  Store,
  StoredEntry,
  Txn,
  TxnResult,
  WatchBatch,
} from "./port.ts";
import { RevisionWaiters } from "./revision-waiters.ts";
import { openSqliteStore } from "./sqlite.ts";
import { ETCD_PREFIX_DEFAULT } from "./store-url.ts";
import { WatchHub } from "./watch-hub.ts";

/** Entries of the first read of a page, whose sizes nobody knows: 64 MiB at the very most. */
const FIRST_READ_ENTRIES = 64;
/** A watch that waits this long for a revision has others' writes before it: a mark shows where etcd is. */
const MARK_DELAY_MS = SECOND_MS / 2;
/** etcd's leases are named by 63 bits; these are whole numbers here. */
const LEASE_ID_BYTES = 6;

export interface EtcdStoreOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT` of members, at least one. */
  readonly endpoints: readonly string[];
  /** All keys begin with it: `/berth/` by default. etcd must serve nobody else. */
  readonly prefix?: string;
  readonly tls?: TlsFiles;
  readonly credentials?: EtcdCredentials;
  readonly clock: Clock;
  readonly log: Logger;
  /** The program of the embedded store's worker, which writes snapshots: another file when bundled. */
  readonly workerUrl?: URL;
}

/** Opens the store, making its beginning if there is none. Rejects with a `StoreError`: `io` mostly. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const { prefix = ETCD_PREFIX_DEFAULT } = options;
  checkKey(prefix);
  const client = new EtcdClient(options);
  try {
    const found = await readBeginning(client, new EtcdKeyspace(prefix, 0));
    const keyspace = new EtcdKeyspace(prefix, found.base);
    return new EtcdStore(client, keyspace, found, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Beginning {
  readonly epoch: string;
  /** etcd's revision when the store was empty. */
  readonly base: number;
  /** etcd's revision now. */
  readonly revision: number;
}

/** Reads the store's epoch, or writes one; whoever was first has decided. */
async function readBeginning(client: EtcdClient, keyspace: EtcdKeyspace): Promise<Beginning> {
  const key = keyspace.epochKey;
  const value = randomBytes(8).toString("hex");
  const absent = { target: "version", op: "=", key, value: 0 } as const;
  const begin = encodeTxn({
    compare: [absent],
    then: [{ kind: "put", key, value, lease: 0 }],
    otherwise: [],
  });
  // Repeating it does no harm: the condition holds once.
  const begun = await client.call(METHODS.txn, begin, { isWrite: false });
  if (!begun.ok) throw begun.error;
  const read = await client.call(METHODS.range, encodeRange({ key }), { isWrite: false });
  if (!read.ok) throw read.error;
  const { entries, revision, clusterId } = decodeRange(read.message);
  const [entry] = entries;
  if (entry === undefined) throw new StoreClosed("the store's beginning was deleted in etcd");
  // An etcd that was restored from a snapshot has another name, and another life.
  const epoch = `${entry.value}${clusterId.toString(16)}`;
  return { epoch, base: entry.createRevision, revision };
}

class EtcdStore implements Store {
  readonly epoch: string;
  readonly #client: EtcdClient;
  readonly #keyspace: EtcdKeyspace;
  readonly #writer: EtcdWriter;
  readonly #feed: EtcdFeed;
  readonly #hub: WatchHub;
  readonly #waiters = new RevisionWaiters();
  readonly #options: EtcdStoreOptions;
  #closing: Promise<void> | undefined;

  constructor(
    client: EtcdClient,
    keyspace: EtcdKeyspace,
    beginning: Beginning,
    options: EtcdStoreOptions,
  ) {
    const { clock, log } = options;
    this.epoch = beginning.epoch;
    this.#client = client;
    this.#keyspace = keyspace;
    this.#options = options;
    this.#writer = new EtcdWriter(client, keyspace);
    const revision = keyspace.fromEtcd(beginning.revision);
    this.#hub = new WatchHub({
      clock,
      revision,
      compactRevision: 0,
      readHistory: async (from) => {
        const changes = await readEtcdHistory(client, keyspace, from);
        // What this server's feed has not shown yet comes from there.
        return changes.filter((change) => change.revision <= this.#hub.revision);
      },
    });
    this.#feed = new EtcdFeed(
      {
        client,
        keyspace,
        clock,
        log,
        publish: (changes) => {
          this.#hub.publish(changes);
          this.#waiters.reached(this.#hub.revision);
        },
        onGap: (compactRevision) => this.#skipTo(compactRevision),
      },
      revision,
    );
    this.#feed.start();
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    checkKey(key);
    const found = await this.#range({ key: this.#keyspace.key(key) }, options.signal);
    const revision = this.#keyspace.fromEtcd(found.revision);
    const { minRevision = 0 } = options;
    if (minRevision > revision) throw new StoreFutureRevision(minRevision, revision);
    const [entry] = found.entries;
    return { entry: entry === undefined ? undefined : this.#keyspace.entry(entry), revision };
  }

  /** Reads on at one revision until the page is full; how many at a time follows from their sizes. */
  async list(prefix: string, options: ListOptions = {}): Promise<ListResult> {
    checkPrefix(prefix);
    const limit = pageLimit(options.limit);
    const entries: StoredEntry[] = [];
    let revision = options.atRevision;
    let after = options.after;
    let bytes = 0;
    for (;;) {
      const wanted = entriesToRead(limit - entries.length, entries.length, bytes);
      const range = this.#keyspace.range(prefix, after);
      const at = revision === undefined ? 0 : this.#keyspace.toEtcd(revision);
      const found = await this.#range({ ...range, limit: wanted, revision: at }, options.signal);
      revision ??= this.#keyspace.fromEtcd(found.revision);
      for (const entry of found.entries) {
        bytes += entry.key.length + entry.value.length;
        entries.push(this.#keyspace.entry(entry));
      }
      after = entries.at(-1)?.key;
      if (found.more && entries.length < limit && bytes < LIST_PAGE_BYTES_MAX) continue;
      const page = takePage(entries, limit);
      return { entries: page.entries, more: page.more || found.more, revision };
    }
  }

  async txn(txn: Txn, options: CallOptions = {}): Promise<TxnResult> {
    const bytes = checkTxn(txn);
    this.#throwIfClosed();
    return this.#writer.write(txn, bytes, options.signal);
  }

  async *watch(
    prefix: string,
    fromRevision: Revision,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch, void, undefined> {
    checkPrefix(prefix);
    if (fromRevision - 1 > this.#hub.revision) {
      const current = await this.currentRevision();
      if (fromRevision - 1 > current) throw new StoreFutureRevision(fromRevision, current);
      await this.#shows(fromRevision - 1, signal);
    }
    yield* this.#hub.watch(prefix, fromRevision, signal);
  }

  requestProgress(): void {
    const ask = async () => {
      await this.#shows(await this.currentRevision(), undefined);
      this.#hub.requestProgress();
    };
    ask().catch((error: unknown) => {
      if (this.#closing === undefined)
        this.#options.log.debug("no progress could be asked", { error });
    });
  }

  async compact(revision: Revision): Promise<void> {
    const message = encodeCompaction(this.#keyspace.toEtcd(revision));
    const reply = await this.#call(METHODS.compact, message);
    if (!reply.ok && isFuture(reply.failure)) {
      throw new StoreFutureRevision(revision, await this.currentRevision());
    }
    if (!reply.ok && !isCompacted(reply.failure)) throw reply.error;
    this.#hub.compacted(revision);
  }

  /** etcd counts in seconds, and has a least time of its own: what it grants is told. */
  async grantLease(ttlMs: number): Promise<Lease> {
    checkLeaseTtl(ttlMs);
    const leaseId = randomBytes(LEASE_ID_BYTES).readUIntBE(0, LEASE_ID_BYTES) + 1;
    const message = encodeLeaseGrant(Math.ceil(ttlMs / SECOND_MS), leaseId);
    const reply = await this.#call(METHODS.leaseGrant, message, true);
    if (!reply.ok) throw reply.error;
    return { leaseId, ttlMs: decodeLeaseTtl(reply.message) * SECOND_MS };
  }

  async keepAlive(leaseId: LeaseId): Promise<Lease> {
    const reply = await this.#call(METHODS.leaseKeepAlive, encodeLease(leaseId));
    if (!reply.ok) throw reply.error;
    const ttlSeconds = decodeLeaseTtl(reply.message);
    if (ttlSeconds === 0) throw new StoreLeaseNotFound(leaseId);
    return { leaseId, ttlMs: ttlSeconds * SECOND_MS };
  }

  async revokeLease(leaseId: LeaseId): Promise<void> {
    const reply = await this.#call(METHODS.leaseRevoke, encodeLease(leaseId));
    if (!reply.ok && !isLeaseNotFound(reply.failure)) throw reply.error;
  }

  async currentRevision(): Promise<Revision> {
    const { revision } = await this.#range({ key: this.#keyspace.epochKey }, undefined);
    return this.#keyspace.fromEtcd(revision);
  }

  /** A file of the embedded store: what can be opened and looked at without etcd. */
  async snapshot(path: string): Promise<void> {
    this.#throwIfClosed();
    const { clock, log, workerUrl } = this.#options;
    const folder = await mkdtemp(`${path}.partial-`);
    try {
      const worker = workerUrl === undefined ? {} : { workerUrl };
      const copy = await openSqliteStore({ path: join(folder, "copy.db"), clock, log, ...worker });
      try {
        await copyStore(this, copy);
        await copy.snapshot(path);
      } finally {
        await copy.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#hub.close();
    this.#waiters.close(new StoreClosed());
    await this.#writer.drain();
    this.#feed.close();
    this.#client.close();
  }

  #throwIfClosed(): void {
    if (this.#closing !== undefined) throw new StoreClosed();
  }

  async #call(path: string, message: Buffer, isWrite = false, signal?: AbortSignal) {
    this.#throwIfClosed();
    return this.#client.call(path, message, {
      isWrite,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #range(range: EtcdRange, signal: AbortSignal | undefined): Promise<EtcdRangeAnswer> {
    const reply = await this.#call(METHODS.range, encodeRange(range), false, signal);
    if (reply.ok) return decodeRange(reply.message);
    const revision = this.#keyspace.fromEtcd(range.revision ?? 0);
    if (isFuture(reply.failure)) {
      throw new StoreFutureRevision(revision, await this.currentRevision());
    }
    if (isCompacted(reply.failure)) throw await this.#compacted(revision);
    throw reply.error;
  }

  /** etcd's refusal of a read does not say what is compacted; that of a watch does. */
  async #compacted(revision: Revision): Promise<Error> {
    if (revision >= this.#hub.compactRevision) {
      const told = await readEtcdHistory(this.#client, this.#keyspace, revision).catch(
        (error: unknown) => error,
      );
      if (told instanceof StoreCompacted) this.#hub.compacted(told.compactRevision);
    }
    return new StoreCompacted(revision, this.#hub.compactRevision);
  }

  /** Resolves when the hub shows `revision`, which exists. */
  async #shows(revision: Revision, signal: AbortSignal | undefined): Promise<void> {
    if (this.#hub.revision >= revision) return;
    const cancelMark = this.#options.clock.setTimer(MARK_DELAY_MS, () => void this.#mark());
    try {
      await this.#waiters.wait(revision, signal);
    } finally {
      cancelMark();
    }
  }

  /** A write of our own, behind which everything else is known to be told. */
  async #mark(): Promise<void> {
    const put = { kind: "put", key: this.#keyspace.markKey, value: "", lease: 0 } as const;
    const message = encodeTxn({ compare: [], then: [put], otherwise: [] });
    const reply = await this.#client.call(METHODS.txn, message, { isWrite: false });
    if (reply.ok)
      this.#options.log.debug("marked a revision", { revision: decodeTxn(reply.message).revision });
  }

  #skipTo(compactRevision: Revision): void {
    this.#hub.skipTo(compactRevision);
    this.#feed.skipTo(compactRevision);
    this.#waiters.reached(this.#hub.revision);
  }
}

/** How many more to read for a page of which `have` entries with `bytes` are there. */
function entriesToRead(wanted: number, have: number, bytes: number): number {
  if (have === 0) return Math.min(wanted, FIRST_READ_ENTRIES);
  const average = Math.max(1, bytes / have);
  return Math.min(wanted, Math.max(1, Math.ceil((LIST_PAGE_BYTES_MAX - bytes) / average)));
}

/**
 * Translates between the store's keys and revisions and etcd's.
 *
 * All keys lie under one prefix, so that etcd's permissions can name it. The store's revision 0 is the one
 * at which its epoch key was made, so an empty store begins at 0 whatever etcd did before. etcd must serve
 * nobody else: others' writes would be revisions in which nothing happens.
 */

import { assert, assertNever } from "@berth/base";
import { takePage } from "./apply-txn.ts";
import type {
  EtcdCompare,
  EtcdKeyValue,
  EtcdOperation,
  EtcdOperationAnswer,
  EtcdRange,
  EtcdTxn,
  EtcdTxnAnswer,
  EtcdWatchEvent,
} from "./etcd-messages.ts";
import { pageLimit, prefixEnd } from "./limits.ts";
import type {
  Compare,
  Operation,
  OperationResult,
  Revision,
  StoredEntry,
  Txn,
  TxnResult,
  WatchEvent,
} from "./port.ts";

export class EtcdKeyspace {
  /** Everything of this store, its own marks too. */
  readonly start: string;
  readonly end: string;
  /** Names the life of the store. */
  readonly epochKey: string;
  /** Written to see how far etcd is, when others' writes have hidden it. */
  readonly markKey: string;
  readonly #entries: string;
  readonly #base: number;

  /** `prefix` is printable ASCII; `base` is etcd's revision at the store's revision 0. */
  constructor(prefix: string, base: number) {
    this.start = prefix;
    this.end = prefixEnd(prefix) ?? "\0";
    this.epochKey = `${prefix}epoch`;
    this.markKey = `${prefix}mark`;
    this.#entries = `${prefix}k/`;
    this.#base = base;
  }

  toEtcd(revision: Revision): number {
    return revision + this.#base;
  }

  /** Never negative: what was before the store began is its beginning. */
  fromEtcd(revision: number): Revision {
    return Math.max(0, revision - this.#base);
  }

  key(key: string): string {
    return this.#entries + key;
  }

  range(prefix: string, after: string | undefined): EtcdRange & { readonly end: string } {
    const first = this.key(prefix);
    const end = prefixEnd(first);
    assert(end !== undefined, "a key of etcd's has a prefix");
    const isInside = after !== undefined && after >= prefix;
    return { key: isInside ? `${this.key(after)}\0` : first, end };
  }

  entry(found: EtcdKeyValue): StoredEntry {
    return {
      key: found.key.slice(this.#entries.length),
      value: found.value,
      createRevision: this.fromEtcd(found.createRevision),
      modRevision: this.fromEtcd(found.modRevision),
      version: found.version,
      ...(found.lease === 0 ? {} : { leaseId: found.lease }),
    };
  }

  txn(txn: Txn): EtcdTxn {
    return {
      compare: txn.compare.map((compare) => this.#compare(compare)),
      then: txn.then.map((operation) => this.#operation(operation)),
      otherwise: (txn.otherwise ?? []).map((operation) => this.#operation(operation)),
    };
  }

  result(txn: Txn, answer: EtcdTxnAnswer, etcdRevision: number): TxnResult {
    const operations = answer.succeeded ? txn.then : (txn.otherwise ?? []);
    return {
      succeeded: answer.succeeded,
      revision: this.fromEtcd(etcdRevision),
      results: operations.map((operation, index) => {
        const given = answer.answers[index];
        assert(given !== undefined, "etcd answers each operation");
        return this.#result(operation, given);
      }),
    };
  }

  /** `undefined` for the store's own marks. Throws away nothing else. */
  event(event: EtcdWatchEvent): WatchEvent | undefined {
    const { entry, isDelete, previous } = event;
    if (!entry.key.startsWith(this.#entries)) return undefined;
    const revision = this.fromEtcd(entry.modRevision);
    const before = previous === undefined ? {} : { previous: this.entry(previous) };
    if (!isDelete) {
      const stored = this.entry(entry);
      return { type: "put", key: stored.key, revision, entry: stored, ...before };
    }
    assert(before.previous !== undefined, "a deletion tells what was deleted");
    const key = entry.key.slice(this.#entries.length);
    return { type: "delete", key, revision, previous: before.previous };
  }

  #compare(compare: Compare): EtcdCompare {
    const key = this.key(compare.key);
    if (compare.target === "value") return { ...compare, key };
    const isRevision = compare.target !== "version" && compare.value > 0;
    return { ...compare, key, value: isRevision ? this.toEtcd(compare.value) : compare.value };
  }

  #operation(operation: Operation): EtcdOperation {
    switch (operation.kind) {
      case "put": {
        const { value, leaseId: lease = 0 } = operation;
        return { kind: "put", key: this.key(operation.key), value, lease };
      }
      case "delete":
        return { kind: "delete", key: this.key(operation.key) };
      case "delete-prefix": {
        const { key, end } = this.range(operation.prefix, undefined);
        return { kind: "delete", key, end };
      }
      case "get":
        return { kind: "range", key: this.key(operation.key) };
      case "list": {
        const range = this.range(operation.prefix, operation.after);
        return { kind: "range", ...range, limit: pageLimit(operation.limit) };
      }
      default:
        return assertNever(operation, "operation");
    }
  }

  #result(operation: Operation, answer: EtcdOperationAnswer): OperationResult {
    switch (operation.kind) {
      case "put":
        return { kind: "put" };
      case "delete":
      case "delete-prefix":
        assert(answer.kind === "delete", "a deletion is answered as one");
        return { kind: operation.kind, deleted: answer.deleted };
      case "get": {
        assert(answer.kind === "range", "a read is answered as one");
        const [found] = answer.entries;
        return { kind: "get", entry: found === undefined ? undefined : this.entry(found) };
      }
      case "list": {
        assert(answer.kind === "range", "a read is answered as one");
        const found = answer.entries.map((entry) => this.entry(entry));
        const page = takePage(found, pageLimit(operation.limit));
        return { kind: "list", entries: page.entries, more: page.more || answer.more };
      }
      default:
        return assertNever(operation, "operation");
    }
  }
}

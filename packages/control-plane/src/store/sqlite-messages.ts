/**
 * What the store's main thread and its SQLite worker say to each other. Plain data only: it crosses by
 * structured clone. One batch is one SQLite transaction, hence one fsync.
 */

import { assert } from "@berth/base";
import {
  StoreCompacted,
  StoreError,
  type StoreErrorCode,
  StoreFutureRevision,
  StoreLeaseNotFound,
} from "./errors.ts";
import type { GetResult, Lease, LeaseId, ListResult, Revision, Txn, TxnResult } from "./port.ts";
import type { HistoryRow } from "./sqlite-history.ts";

/** Each request kind with what it asks and what it is answered. */
export interface StoreCalls {
  readonly txn: { ask: { readonly txn: Txn }; answer: TxnResult };
  readonly get: { ask: { readonly key: string }; answer: GetResult };
  readonly list: {
    ask: {
      readonly prefix: string;
      readonly limit: number;
      readonly after?: string;
      readonly atRevision?: Revision;
    };
    answer: ListResult;
  };
  readonly history: {
    ask: { readonly from: Revision; readonly revisionsMax: number };
    answer: readonly HistoryRow[];
  };
  readonly compact: { ask: { readonly revision: Revision }; answer: Revision };
  readonly grant: { ask: { readonly ttlMs: number }; answer: Lease };
  readonly revoke: { ask: { readonly leaseId: LeaseId }; answer: Revision };
  readonly snapshot: { ask: { readonly path: string }; answer: Revision };
}

export type StoreCallKind = keyof StoreCalls;

export type StoreRequest = {
  [Kind in StoreCallKind]: { readonly kind: Kind } & StoreCalls[Kind]["ask"];
}[StoreCallKind];

export type StoreAnswer = StoreCalls[StoreCallKind]["answer"];

export interface PlainStoreError {
  readonly storeCode: StoreErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type StoreReply =
  | { readonly ok: true; readonly answer: StoreAnswer }
  | { readonly ok: false; readonly error: PlainStoreError };

/** To the worker. */
export type ToWorker =
  | { readonly kind: "batch"; readonly requests: readonly StoreRequest[] }
  | { readonly kind: "close" };

/** What the file was when it was opened. */
export interface OpenedDatabase {
  readonly epoch: string;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly leases: readonly Lease[];
}

/** From the worker. `failed`: nothing more will be served. */
export type FromWorker =
  | { readonly kind: "opened"; readonly opened: OpenedDatabase }
  | { readonly kind: "failed"; readonly error: PlainStoreError }
  | {
      readonly kind: "batch";
      /** One for each request, in order. */
      readonly replies: readonly StoreReply[];
      readonly changes: readonly HistoryRow[];
      readonly compactRevision: Revision;
    }
  | { readonly kind: "closed" };

/** How the worker is started. */
export interface WorkerOptions {
  readonly path: string;
  readonly historyRevisionsMax: number;
  readonly databaseBytesMax: number;
}

export function plainError(error: unknown): PlainStoreError {
  if (error instanceof StoreError) {
    return { storeCode: error.storeCode, message: error.message, details: error.details };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { storeCode: "io", message, details: {} };
}

/** The error that `plain` was, with its class where callers decide by the class. */
export function storeErrorOf(plain: PlainStoreError): StoreError {
  const { storeCode, message, details } = plain;
  switch (storeCode) {
    case "compacted":
      return new StoreCompacted(
        numberOf(details, "revision"),
        numberOf(details, "compactRevision"),
      );
    case "future-revision":
      return new StoreFutureRevision(
        numberOf(details, "revision"),
        numberOf(details, "currentRevision"),
      );
    case "lease-not-found":
      return new StoreLeaseNotFound(numberOf(details, "leaseId"));
    default:
      return new StoreError(storeCode, message, details);
  }
}

function numberOf(details: PlainStoreError["details"], name: string): number {
  const value = details[name];
  assert(typeof value === "number", `an error of the store's worker has ${name}`);
  return value;
}

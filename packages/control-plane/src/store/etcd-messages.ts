/**
 * The messages of etcd's API that the store uses, written and read. Field numbers are those of etcd's
 * `rpc.proto` and `kv.proto` (API version 3, unchanged from 3.4 on).
 *
 * Keys and revisions here are etcd's own; the store's are translated in `etcd-keyspace.ts`.
 */

import { assertNever } from "@berth/base";
import { ProtoWriter, readFields } from "./etcd-protobuf.ts";
import type { CompareOp } from "./port.ts";

/** Methods by their path of gRPC. */
export const METHODS = {
  range: "/etcdserverpb.KV/Range",
  txn: "/etcdserverpb.KV/Txn",
  compact: "/etcdserverpb.KV/Compact",
  watch: "/etcdserverpb.Watch/Watch",
  leaseGrant: "/etcdserverpb.Lease/LeaseGrant",
  leaseRevoke: "/etcdserverpb.Lease/LeaseRevoke",
  leaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive",
  authenticate: "/etcdserverpb.Auth/Authenticate",
} as const;

export interface EtcdKeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** 0: none. */
  readonly lease: number;
}

export interface EtcdRange {
  readonly key: string;
  /** Exclusive; absent for a single key. */
  readonly end?: string;
  /** 0: no limit. */
  readonly limit?: number;
  /** 0: the newest. */
  readonly revision?: number;
}

export interface EtcdRangeAnswer {
  readonly revision: number;
  readonly clusterId: number;
  readonly entries: readonly EtcdKeyValue[];
  readonly more: boolean;
}

export type EtcdCompare =
  | {
      readonly target: "version" | "createRevision" | "modRevision";
      readonly op: CompareOp;
      readonly key: string;
      readonly value: number;
    }
  | {
      readonly target: "value";
      readonly op: CompareOp;
      readonly key: string;
      readonly value: string;
    };

export type EtcdOperation =
  | ({ readonly kind: "range" } & EtcdRange)
  | { readonly kind: "put"; readonly key: string; readonly value: string; readonly lease: number }
  | { readonly kind: "delete"; readonly key: string; readonly end?: string }
  | { readonly kind: "txn"; readonly txn: EtcdTxn };

export interface EtcdTxn {
  readonly compare: readonly EtcdCompare[];
  readonly then: readonly EtcdOperation[];
  readonly otherwise: readonly EtcdOperation[];
}

export type EtcdOperationAnswer =
  | ({ readonly kind: "range" } & Omit<EtcdRangeAnswer, "revision" | "clusterId">)
  | { readonly kind: "put" }
  | { readonly kind: "delete"; readonly deleted: number }
  | { readonly kind: "txn"; readonly txn: EtcdTxnAnswer };

export interface EtcdTxnAnswer {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly answers: readonly EtcdOperationAnswer[];
}

export interface EtcdWatchEvent {
  readonly isDelete: boolean;
  /** Of a deletion: only its key and the revision that deleted it. */
  readonly entry: EtcdKeyValue;
  readonly previous: EtcdKeyValue | undefined;
}

export interface EtcdWatchAnswer {
  readonly revision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  /** More than 0 when the watch was refused because its start is compacted. */
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly EtcdWatchEvent[];
}

const COMPARE_RESULT: Readonly<Record<CompareOp, number>> = { "=": 0, ">": 1, "<": 2, "!=": 3 };
/** Of each target: its number, and the field that holds what is compared with. */
const COMPARE_TARGET = {
  version: { number: 0, field: 4 },
  createRevision: { number: 1, field: 5 },
  modRevision: { number: 2, field: 6 },
  value: { number: 3, field: 7 },
} as const;

export function encodeRange(range: EtcdRange): Buffer {
  const writer = new ProtoWriter();
  writeRange(writer, range);
  return writer.finish();
}

export function encodeTxn(txn: EtcdTxn): Buffer {
  const writer = new ProtoWriter();
  writeTxn(writer, txn);
  return writer.finish();
}

export function encodeCompaction(revision: number): Buffer {
  const writer = new ProtoWriter();
  writer.uint(1, revision);
  return writer.finish();
}

/** A watch of the keys from `key` up to `end` (exclusive) that tells values before changes, too. */
export function encodeWatchCreate(key: string, end: string, startRevision: number): Buffer {
  const writer = new ProtoWriter();
  writer.message(1, (create) => {
    create.text(1, key);
    create.text(2, end);
    create.uint(3, startRevision);
    create.flag(6, true);
  });
  return writer.finish();
}

export function encodeLeaseGrant(ttlSeconds: number, lease: number): Buffer {
  const writer = new ProtoWriter();
  writer.uint(1, ttlSeconds);
  writer.uint(2, lease);
  return writer.finish();
}

/** Revocation and renewal alike. */
export function encodeLease(lease: number): Buffer {
  const writer = new ProtoWriter();
  writer.uint(1, lease);
  return writer.finish();
}

export function encodeAuthenticate(name: string, password: string): Buffer {
  const writer = new ProtoWriter();
  writer.text(1, name);
  writer.text(2, password);
  return writer.finish();
}

export function decodeRange(message: Buffer): EtcdRangeAnswer {
  const entries: EtcdKeyValue[] = [];
  let header = NO_HEADER;
  let more = false;
  readFields(message, (field, value) => {
    if (field === 1) header = decodeHeader(value as Buffer);
    else if (field === 2) entries.push(decodeKeyValue(value as Buffer));
    else if (field === 3) more = value !== 0;
  });
  return { ...header, entries, more };
}

export function decodeTxn(message: Buffer): EtcdTxnAnswer {
  const answers: EtcdOperationAnswer[] = [];
  let revision = 0;
  let succeeded = false;
  readFields(message, (field, value) => {
    if (field === 1) revision = decodeHeader(value as Buffer).revision;
    else if (field === 2) succeeded = value !== 0;
    else if (field === 3) answers.push(decodeOperation(value as Buffer));
  });
  return { revision, succeeded, answers };
}

export function decodeWatch(message: Buffer): EtcdWatchAnswer {
  const events: EtcdWatchEvent[] = [];
  const answer = {
    revision: 0,
    created: false,
    canceled: false,
    compactRevision: 0,
    cancelReason: "",
  };
  readFields(message, (field, value) => {
    if (field === 1) answer.revision = decodeHeader(value as Buffer).revision;
    else if (field === 3) answer.created = value !== 0;
    else if (field === 4) answer.canceled = value !== 0;
    else if (field === 5) answer.compactRevision = value as number;
    else if (field === 6) answer.cancelReason = (value as Buffer).toString();
    else if (field === 11) events.push(decodeEvent(value as Buffer));
  });
  return { ...answer, events };
}

/** Seconds that a lease has from now on; 0 when it has ended. Of grants and renewals alike. */
export function decodeLeaseTtl(message: Buffer): number {
  let ttlSeconds = 0;
  readFields(message, (field, value) => {
    if (field === 3) ttlSeconds = value as number;
  });
  return ttlSeconds;
}

export function decodeToken(message: Buffer): string {
  let token = "";
  readFields(message, (field, value) => {
    if (field === 2) token = (value as Buffer).toString();
  });
  return token;
}

function writeRange(writer: ProtoWriter, range: EtcdRange): void {
  writer.text(1, range.key);
  writer.text(2, range.end ?? "");
  writer.uint(3, range.limit ?? 0);
  writer.uint(4, range.revision ?? 0);
}

function writeTxn(writer: ProtoWriter, txn: EtcdTxn): void {
  for (const compare of txn.compare) writer.message(1, (nested) => writeCompare(nested, compare));
  for (const operation of txn.then)
    writer.message(2, (nested) => writeOperation(nested, operation));
  for (const operation of txn.otherwise) {
    writer.message(3, (nested) => writeOperation(nested, operation));
  }
}

function writeCompare(writer: ProtoWriter, compare: EtcdCompare): void {
  const target = COMPARE_TARGET[compare.target];
  writer.uint(1, COMPARE_RESULT[compare.op]);
  writer.uint(2, target.number);
  writer.text(3, compare.key);
  if (compare.target === "value") writer.presentText(target.field, compare.value);
  else writer.presentUint(target.field, compare.value);
}

function writeOperation(writer: ProtoWriter, operation: EtcdOperation): void {
  switch (operation.kind) {
    case "range":
      writer.message(1, (nested) => writeRange(nested, operation));
      break;
    case "put":
      writer.message(2, (nested) => {
        nested.text(1, operation.key);
        nested.text(2, operation.value);
        nested.uint(3, operation.lease);
      });
      break;
    case "delete":
      writer.message(3, (nested) => {
        nested.text(1, operation.key);
        nested.text(2, operation.end ?? "");
      });
      break;
    case "txn":
      writer.message(4, (nested) => writeTxn(nested, operation.txn));
      break;
    default:
      assertNever(operation, "operation of etcd");
  }
}

function decodeOperation(message: Buffer): EtcdOperationAnswer {
  let answer: EtcdOperationAnswer = { kind: "put" };
  readFields(message, (field, value) => {
    const nested = value as Buffer;
    if (field === 1) answer = { kind: "range", ...decodeRange(nested) };
    else if (field === 3) answer = { kind: "delete", deleted: decodeDeleted(nested) };
    else if (field === 4) answer = { kind: "txn", txn: decodeTxn(nested) };
  });
  return answer;
}

function decodeDeleted(message: Buffer): number {
  let deleted = 0;
  readFields(message, (field, value) => {
    if (field === 2) deleted = value as number;
  });
  return deleted;
}

function decodeEvent(message: Buffer): EtcdWatchEvent {
  let isDelete = false;
  let entry = NO_KEY_VALUE;
  let previous: EtcdKeyValue | undefined;
  readFields(message, (field, value) => {
    if (field === 1) isDelete = value !== 0;
    else if (field === 2) entry = decodeKeyValue(value as Buffer);
    else if (field === 3) previous = decodeKeyValue(value as Buffer);
  });
  return { isDelete, entry, previous };
}

const NO_HEADER = { revision: 0, clusterId: 0 };

function decodeHeader(message: Buffer): { revision: number; clusterId: number } {
  const header = { ...NO_HEADER };
  readFields(message, (field, value) => {
    if (field === 1) header.clusterId = value as number;
    else if (field === 3) header.revision = value as number;
  });
  return header;
}

const NO_KEY_VALUE: EtcdKeyValue = {
  key: "",
  value: "",
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: 0,
};

function decodeKeyValue(message: Buffer): EtcdKeyValue {
  const entry = { ...NO_KEY_VALUE };
  readFields(message, (field, value) => {
    if (field === 1) entry.key = (value as Buffer).toString("latin1");
    else if (field === 2) entry.createRevision = value as number;
    else if (field === 3) entry.modRevision = value as number;
    else if (field === 4) entry.version = value as number;
    else if (field === 5) entry.value = (value as Buffer).toString("utf8");
    else if (field === 6) entry.lease = value as number;
  });
  return entry;
}

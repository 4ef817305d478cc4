/**
 * What a failed call to etcd means: may it be repeated, is it known that nothing was changed, and which
 * error is it for the store's callers. One ordered table; the first row that fits decides.
 *
 * The texts are etcd's own (`rpctypes/error.go`): several causes share a status code of gRPC.
 */

import { StoreError, StoreOverloaded, StoreTooLarge, StoreUnknownOutcome } from "./errors.ts";
import { GRPC_STATUS, type GrpcFailure } from "./etcd-channel.ts";
import { TXN_BYTES_MAX, TXN_OPERATIONS_MAX } from "./limits.ts";

export type EtcdVerdict =
  /** Nothing was done: the same call may go to another member. */
  | "elsewhere"
  /** Nothing was done: log in again, then repeat. */
  | "login"
  /** Nothing was done, and repeating would not help. */
  | "refused"
  /** It may have been done. */
  | "unknown";

interface Rule {
  readonly words?: RegExp;
  readonly status?: number;
  readonly verdict: EtcdVerdict;
  readonly why: string;
}

const RULES: readonly Rule[] = [
  { words: /invalid auth token/, verdict: "login", why: "tokens end with time and with a restart" },
  { words: /revision of auth store is old/, verdict: "login", why: "users or roles were changed" },
  { words: /no leader|proposal dropped/, verdict: "elsewhere", why: "no member took it" },
  { words: /too many requests/, verdict: "elsewhere", why: "refused before it was proposed" },
  { words: /server stopped/, verdict: "unknown", why: "it may have been proposed before" },
  { status: GRPC_STATUS.unavailable, verdict: "unknown", why: "connection or leader was lost" },
  { status: GRPC_STATUS.deadlineExceeded, verdict: "unknown", why: "nobody waited for the end" },
];

/** What is to be thought of `failure`. */
export function verdictOf(failure: GrpcFailure): EtcdVerdict {
  if (!failure.sent) return "elsewhere";
  const rule = RULES.find(
    ({ words, status }) =>
      (words?.test(failure.message) ?? true) && (status === undefined || status === failure.status),
  );
  return rule?.verdict ?? "refused";
}

/** The error for who asked. `isWrite`: only then does an unknown outcome matter. */
export function errorOf(failure: GrpcFailure, isWrite: boolean): StoreError {
  const { message, cause } = failure;
  if (/database space exceeded/.test(message)) {
    return new StoreError("disk-full", "etcd's database is full (its quota)", {}, { cause });
  }
  if (/request is too large/.test(message)) {
    return new StoreTooLarge("transaction bytes", TXN_BYTES_MAX, TXN_BYTES_MAX);
  }
  if (/too many operations/.test(message)) {
    return new StoreTooLarge("transaction operations", TXN_OPERATIONS_MAX, TXN_OPERATIONS_MAX);
  }
  const verdict = verdictOf(failure);
  if (verdict === "unknown" && isWrite) return new StoreUnknownOutcome(message, { cause });
  if (failure.status === GRPC_STATUS.resourceExhausted) {
    return new StoreOverloaded("requests at etcd", 1, 0);
  }
  const status = failure.status;
  return new StoreError("io", `etcd does not serve: ${message}`, { status }, { cause });
}

/** Revisions at which nothing can be read any more, or not yet. */
export function isCompacted(failure: GrpcFailure): boolean {
  return failure.status === GRPC_STATUS.outOfRange && /has been compacted/.test(failure.message);
}

export function isFuture(failure: GrpcFailure): boolean {
  return failure.status === GRPC_STATUS.outOfRange && /future revision/.test(failure.message);
}

export function isLeaseNotFound(failure: GrpcFailure): boolean {
  return failure.status === GRPC_STATUS.notFound && /lease not found/.test(failure.message);
}

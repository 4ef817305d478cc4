/**
 * How a decision about somebody's request ends: a transaction to commit, or a refusal with the numbers
 * behind it. Cores return it; the API throws refusals as `ProtocolError` and commits transactions.
 */

import { type ErrorCode, type ErrorDetails, ProtocolError } from "@berth/protocol";
import type { Compare, Operation, Txn } from "../store/port.ts";

export interface Refusal {
  readonly kind: "refused";
  readonly code: ErrorCode;
  /** One sentence for the reader. */
  readonly message: string;
  readonly details: ErrorDetails;
}

/**
 * What to write, and the object as it will then be. The transaction compares what the decision read: when
 * it does not succeed, somebody else was faster, and the decision is made again on the newer state.
 */
export interface Accepted<T> {
  readonly kind: "accepted";
  readonly txn: Txn;
  readonly value: T;
}

export type Decision<T> = Accepted<T> | Refusal;

export function refuse(code: ErrorCode, message: string, details: ErrorDetails = {}): Refusal {
  return { kind: "refused", code, message, details };
}

/** A refusal as the error that travels. */
export function refusalError(refusal: Refusal): ProtocolError {
  return new ProtocolError(refusal.code, refusal.message, refusal.details);
}

export function accept<T>(
  value: T,
  compare: readonly Compare[],
  operations: readonly Operation[],
): Accepted<T> {
  return { kind: "accepted", value, txn: { compare, then: operations } };
}

/** Holds while `key` is as it was read: at `revision`, or absent. */
export function unchangedSince(key: string, revision: number | undefined): Compare {
  return { key, target: "modRevision", op: "=", value: revision ?? 0 };
}

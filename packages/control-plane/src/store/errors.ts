/**
 * What a store refuses or cannot do. All are `ProtocolError`s, so that they travel over the API with the
 * right status without a translation; the classes exist for callers that decide by them.
 */

import { type ErrorCode, type ErrorDetails, ProtocolError } from "@berth/protocol/errors";
import type { LeaseId, Revision } from "./port.ts";

export type StoreErrorCode =
  | "compacted"
  | "future-revision"
  | "unknown-outcome"
  | "too-large"
  | "invalid"
  | "lease-not-found"
  | "overloaded"
  | "closed"
  | "locked"
  | "corrupt"
  | "newer-schema"
  | "disk-full"
  | "io";

const PROTOCOL_CODES: Readonly<Record<StoreErrorCode, ErrorCode>> = {
  compacted: "position_gone",
  "future-revision": "position_gone",
  "unknown-outcome": "unavailable",
  "too-large": "limit_exceeded",
  invalid: "internal",
  "lease-not-found": "conflict",
  overloaded: "too_many_requests",
  closed: "unavailable",
  locked: "unavailable",
  corrupt: "internal",
  "newer-schema": "unavailable",
  "disk-full": "storage_full",
  io: "unavailable",
};

/** The base of the family: `storeCode` says which, `details` hold the numbers behind it. */
export class StoreError extends ProtocolError {
  readonly storeCode: StoreErrorCode;

  constructor(
    storeCode: StoreErrorCode,
    message: string,
    details: ErrorDetails = {},
    options?: { readonly cause?: unknown },
  ) {
    super(PROTOCOL_CODES[storeCode], message, { store: storeCode, ...details }, options);
    this.storeCode = storeCode;
  }
}

/** The revision asked for is forgotten: list again and watch from there. */
export class StoreCompacted extends StoreError {
  readonly compactRevision: Revision;

  constructor(revision: Revision, compactRevision: Revision) {
    const message = `revision ${revision} is compacted: history begins after ${compactRevision}`;
    super("compacted", message, { revision, compactRevision });
    this.compactRevision = compactRevision;
  }
}

/** The revision asked for does not exist yet: the caller's position is of another life of the store. */
export class StoreFutureRevision extends StoreError {
  readonly currentRevision: Revision;

  constructor(revision: Revision, currentRevision: Revision) {
    const message = `revision ${revision} is in the future: the store is at ${currentRevision}`;
    super("future-revision", message, { revision, currentRevision });
    this.currentRevision = currentRevision;
  }
}

/** It cannot be known whether the transaction was committed. Resolve it by reading an idempotency key. */
export class StoreUnknownOutcome extends StoreError {
  constructor(reason: string, options?: { readonly cause?: unknown }) {
    super("unknown-outcome", `the outcome of a write is unknown: ${reason}`, {}, options);
  }
}

/** A named limit of the store would be exceeded; nothing was changed. */
export class StoreTooLarge extends StoreError {
  constructor(limit: string, value: number, maximum: number) {
    super("too-large", `${limit} is ${value}, at most ${maximum}`, { limit, value, maximum });
  }
}

/** The call contradicts itself: an ill-formed key, a key changed twice. A mistake of the caller's code. */
export class StoreInvalid extends StoreError {
  constructor(message: string, details: ErrorDetails = {}) {
    super("invalid", message, details);
  }
}

/** The lease has expired, was revoked, or never was. */
export class StoreLeaseNotFound extends StoreError {
  constructor(leaseId: LeaseId) {
    super("lease-not-found", `lease ${leaseId} has ended`, { leaseId });
  }
}

/** Too many requests wait already; nothing was changed. */
export class StoreOverloaded extends StoreError {
  constructor(limit: string, value: number, maximum: number) {
    const message = `the store is overloaded: ${limit} is ${value}, at most ${maximum}`;
    super("overloaded", message, { limit, value, maximum });
  }
}

/** The store is closed or has failed; nothing was changed. */
export class StoreClosed extends StoreError {
  constructor(reason = "the store is closed", options?: { readonly cause?: unknown }) {
    super("closed", reason, {}, options);
  }
}

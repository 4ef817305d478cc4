/**
 * The same key makes a repeated write the same write.
 *
 * The record of a key is committed in the transaction of the write itself, so that no crash can come
 * between: either both are there or neither. A repetition with the same request gets the stored answer,
 * another request under the same key is refused. Keys belong to the token that used them. Records are kept
 * for `settings.idempotencyAgeMs`.
 */

import { createHash } from "node:crypto";
import { KIB } from "@berth/base";
import { keys, ProtocolError, type RouteId } from "@berth/protocol";
import type { Compare, Operation, Store, StoredEntry } from "../store/port.ts";
import type { ApiCall } from "./call.ts";

/** Answers up to this size are kept in the record; larger ones are read again from their object. */
const ANSWER_BYTES_MAX = 64 * KIB;
const KEY_PATTERN = /^[\x21-\x7e]{1,200}$/;

/** What is kept of a write. */
export interface IdempotencyRecord {
  readonly at: number;
  readonly request: string;
  readonly answer?: unknown;
  /** Key of the object that is the answer, where the answer itself is too large. */
  readonly answerKey?: string;
}

/** A call's right to its idempotency key: what its transaction has to carry. */
export interface IdempotencyClaim {
  readonly key: string;
  readonly request: string;
}

/** The claim of a call; `undefined` without a key. */
export function idempotencyOf({
  call,
  body,
  actor,
}: {
  readonly call: ApiCall;
  readonly body: unknown;
  readonly actor: string;
}): IdempotencyClaim | undefined {
  const key = call.headers.idempotencyKey;
  if (key === undefined) return undefined;
  if (!KEY_PATTERN.test(key)) {
    const message = "an idempotency key is 1 to 200 printable characters without spaces";
    throw new ProtocolError("invalid_request", message, { header: "Idempotency-Key" });
  }
  const { route, params, query, headers } = call;
  const request = digest(JSON.stringify([route, params, query, body, headers.ifMatch]));
  return { key: keys.idempotency(digest(`${actor}\n${key}`)), request };
}

/** Conditions and operations that a write with `claim` carries. `answer` is what it will be answered. */
export function recordOf(
  claim: IdempotencyClaim,
  options: {
    readonly answer: unknown;
    readonly answerKey: string | undefined;
    readonly now: number;
  },
): { readonly compare: Compare; readonly operation: Operation } {
  const { answer, answerKey, now } = options;
  const inline = answerKey === undefined || JSON.stringify(answer).length <= ANSWER_BYTES_MAX;
  const record: IdempotencyRecord = {
    at: now,
    request: claim.request,
    ...(inline ? { answer } : { answerKey }),
  };
  return {
    compare: { key: claim.key, target: "version", op: "=", value: 0 },
    operation: { kind: "put", key: claim.key, value: JSON.stringify(record) },
  };
}

/** The stored answer to an earlier call with this claim. */
export interface EarlierAnswer {
  readonly answer: unknown;
}

/**
 * The answer to an earlier call with the same claim; `undefined` when there was none.
 *
 * @throws ProtocolError `idempotency_mismatch` when the key was used for another request.
 */
export async function earlierAnswer(
  store: Store,
  claim: IdempotencyClaim,
  route: RouteId,
): Promise<EarlierAnswer | undefined> {
  const { entry } = await store.get(claim.key);
  if (entry === undefined) return undefined;
  const record = JSON.parse(entry.value) as IdempotencyRecord;
  if (record.request !== claim.request) {
    throw new ProtocolError(
      "idempotency_mismatch",
      `the idempotency key was used for another request than this ${route}`,
    );
  }
  if (record.answerKey === undefined) return { answer: record.answer };
  return { answer: storedAnswer((await store.get(record.answerKey)).entry, record.answerKey) };
}

function storedAnswer(entry: StoredEntry | undefined, key: string): unknown {
  if (entry !== undefined) return JSON.parse(entry.value);
  const message = "the request was carried out before; what it made is not there any more";
  throw new ProtocolError("not_found", message, { key });
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

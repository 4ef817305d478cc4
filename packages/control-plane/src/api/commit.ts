/**
 * From a decision to a committed write: decide on the newest state, commit with what the decision read as
 * conditions, decide again when somebody else was faster.
 *
 * The record of an idempotency key goes into the same transaction. When it returns, this server's reads
 * show the write.
 */

import { ProtocolError, type RouteId } from "@berth/protocol";
import { type Accepted, type Decision, refusalError } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { StoreUnknownOutcome } from "../store/errors.ts";
import type { TxnResult } from "../store/port.ts";
import type { ApiContext, ApiRequest } from "./handler.ts";
import { earlierAnswer, recordOf } from "./idempotency.ts";

/** Attempts before `conflict`: more means that somebody writes the same object in a loop. */
export const COMMIT_ATTEMPTS_MAX = 10;

export interface CommitOptions {
  readonly route: RouteId;
  /** The object that `If-Match` is about; the decision's conditions include its revision. */
  readonly matched?: (view: ClusterView) => Entity<unknown> | undefined;
}

/**
 * Commits what `decide` wants and returns its value; the value of an earlier call with the same
 * idempotency key when there was one.
 *
 * @throws ProtocolError the refusal's code, `precondition_failed`, or `conflict` after too many attempts.
 */
export async function commitDecision<T>(
  context: ApiContext,
  request: Pick<ApiRequest<RouteId>, "ifMatch" | "idempotency" | "signal">,
  options: CommitOptions,
  decide: (view: ClusterView) => Decision<T>,
): Promise<T> {
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    const { view } = context.state;
    if (request.ifMatch !== undefined) checkMatch(view, request.ifMatch, options.matched);
    const decision = decide(view);
    if (decision.kind === "refused") throw refusalError(decision);
    if (decision.txn.then.length === 0 && request.idempotency === undefined) return decision.value;
    const result = await tryCommit(context, request, decision);
    if (result === "unknown" || !result.succeeded) {
      const earlier =
        request.idempotency &&
        (await earlierAnswer(context.store, request.idempotency, options.route));
      // The same request, carried out at the same time or before its reply was lost.
      if (earlier !== undefined) return earlier.answer as T;
    }
    if (result === "unknown") continue;
    await context.state.waitFor(result.revision, request.signal);
    if (result.succeeded) return decision.value;
  }
  throw new ProtocolError("conflict", "others keep changing the same object", {
    limit: "attempts",
    maximum: COMMIT_ATTEMPTS_MAX,
  });
}

/** `unknown` only where trying again is safe: with an idempotency key. */
async function tryCommit<T>(
  context: ApiContext,
  request: Pick<ApiRequest<RouteId>, "idempotency">,
  decision: Accepted<T>,
): Promise<TxnResult | "unknown"> {
  const { txn, value } = decision;
  if (request.idempotency === undefined) return context.store.txn(txn);
  const first = txn.then.find((operation) => operation.kind === "put");
  const record = recordOf(request.idempotency, {
    answer: value,
    answerKey: first?.key,
    now: context.clock.now(),
  });
  try {
    return await context.store.txn({
      compare: [...txn.compare, record.compare],
      then: [...txn.then, record.operation],
    });
  } catch (error) {
    if (error instanceof StoreUnknownOutcome) return "unknown";
    throw error;
  }
}

function checkMatch(view: ClusterView, ifMatch: number, matched: CommitOptions["matched"]): void {
  if (matched === undefined) {
    throw new ProtocolError("invalid_request", "this request takes no If-Match");
  }
  const revision = matched(view)?.revision ?? 0;
  if (revision === ifMatch) return;
  const message = `the object is at revision ${revision}, not ${ifMatch}`;
  throw new ProtocolError("precondition_failed", message, { revision, expected: ifMatch });
}

/**
 * Folds what came out of an operation into the record. Pure; together with `step` it is the whole life of
 * a task. Design page: docs/design/tasks.md
 */

import { assertNever } from "@berth/base";
import { afterFailure } from "./exit.ts";
import { OPERATIONS, type OperationFailure, type OperationResult } from "./operation.ts";
import { advance, type TaskRecord } from "./record.ts";

/** The record after `result`. */
export function settle(record: TaskRecord, result: OperationResult): TaskRecord {
  switch (result.operation) {
    case "pull":
      return { ...record, imageId: result.imageId };
    case "create":
      return {
        ...record,
        containerId: result.containerId,
        ...(result.podContainerId === undefined ? {} : { podContainerId: result.podContainerId }),
      };
    case "start":
      return { ...record, startedAt: result.startedAt, everRan: true };
    case "exit":
      return result.logTail.length === 0 ? record : { ...record, logTail: result.logTail };
    case "remove":
      return advance(record, "removed");
    case "hook":
      return record;
    default:
      return assertNever(result, "result");
  }
}

/** The record after an operation failed for good; the same record for operations that are tried again. */
export function settleFailure(
  record: TaskRecord,
  failure: OperationFailure,
  now: number,
): TaskRecord {
  if (!OPERATIONS[failure.operation].fatal) return record;
  return afterFailure(record, failure, now);
}

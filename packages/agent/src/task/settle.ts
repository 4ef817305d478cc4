/**
 * Folds what came out of an operation into the record. Pure; together with `step` it is the whole life of
 * a task. Design page: docs/design/tasks.md
 */

import { assertNever } from "@berth/base";
import { afterFailure } from "./exit.ts";
import { OPERATIONS, type OperationFailure, type OperationResult } from "./operation.ts";
import { advance, type TaskRecord, without } from "./record.ts";

/** Codes of a creation that say that somebody removed the image meanwhile. */
const IMAGE_GONE: ReadonlySet<string> = new Set(["image_unavailable", "not_found"]);

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
      return {
        ...record,
        startedAt: result.startedAt,
        containerId: result.containerId,
        everRan: true,
      };
    case "leave": {
      const { acknowledgedAt, drainUntil } = result;
      return { ...record, acknowledgedAt, drainUntil };
    }
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
  if (failure.operation === "create" && IMAGE_GONE.has(failure.code)) {
    // It was there after the pull: the next attempt fetches it again.
    return without(afterFailure({ ...record, everRan: true }, failure, now), "imageId");
  }
  return afterFailure(record, failure, now);
}

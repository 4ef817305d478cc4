/** Waits as data with their one rendering into words: what a copy waits for and until when. */

import { assertNever, formatBytes, formatDuration } from "@berth/base";
import { type Pause, type Task, type TaskStatus, taskName, type Wait } from "@berth/protocol";
import type { Place, TaskRecord } from "./service-input.ts";

/** `web-1` of a place that has no task. */
export function placeName(service: string, place: Place): string {
  return taskName({ service, slot: place.slot });
}

/** What a started copy that is not ready waits for. */
export function comingWait(record: TaskRecord, runsToCompletion: boolean): Wait {
  const { task, status } = record;
  const base = { slot: task.slot, task: task.id };
  if (status === undefined) {
    const message = `${taskName(task)} waits for its node ${task.node} to begin`;
    return { kind: "node", message, since: task.createdAt, ...base };
  }
  if (runsToCompletion && status.state === "running") {
    const message = `${taskName(task)} on ${task.node} runs; it is done when it ends with code 0`;
    return { kind: "completion", message, since: status.updatedAt, ...base };
  }
  const detail = status.message === undefined ? "" : `: ${status.message}`;
  const message = `${taskName(task)} on ${task.node} ${stateWords(status)}${detail}`;
  const until = status.nextAttemptAt;
  return {
    kind: waitKind(status),
    message,
    since: status.updatedAt,
    ...base,
    ...(until === undefined ? {} : { until }),
  };
}

function waitKind(status: TaskStatus): string {
  if (status.state === "pulling") return "image";
  if (status.state === "exited") return "backoff";
  return status.state === "running" ? "readiness" : "start";
}

/** What an agent is doing with a task, as part of a sentence about it. */
export function stateWords(status: TaskStatus): string {
  switch (status.state) {
    case "assigned":
      return "was taken over by its node";
    case "pulling": {
      const { pullDoneBytes: done, pullTotalBytes: total } = status;
      if (done === undefined || total === undefined) return "fetches its image";
      return `fetches its image, ${formatBytes(done)} of ${formatBytes(total)}`;
    }
    case "creating":
      return "is being created";
    case "starting":
      return "is starting";
    case "running":
      return status.ready ? "is ready" : "runs and is not ready";
    case "draining":
      return "finishes open connections";
    case "stopping":
      return "is stopping";
    case "exited":
      return `exited ${exitWords(status)} and starts again soon`;
    case "ended":
      return `has ended ${exitWords(status)}`;
    case "removed":
      return status.outcome === undefined ? "is gone" : `has ended ${exitWords(status)}`;
    default:
      return assertNever(status.state, "task state");
  }
}

/** `1`, `137 (out of memory)`, `before it ran` */
export function exitWords(status: TaskStatus): string {
  if (status.exitCode === undefined) return "before it ran";
  return `${status.exitCode}${status.oomKilled ? " (out of memory)" : ""}`;
}

export function minimumHealthyWait(task: Task, until: number, minHealthyMs: number): Wait {
  const time = formatDuration(minHealthyMs);
  const message = `${taskName(task)} is ready; waiting ${time} minimum healthy time`;
  return { kind: "minimum-healthy", message, until, slot: task.slot, task: task.id };
}

/** A copy that a person took out of service. */
export function pausedWait(task: Task, { at, by, reason }: Pause): Wait {
  const why = reason === undefined ? "" : `: ${reason}`;
  const message = `${taskName(task)} is paused by ${by}${why}`;
  return { kind: "paused", message, since: at, slot: task.slot, task: task.id };
}

/** `movable`: its volumes do not bind it to its node. */
export function lostWait(record: TaskRecord, movable: boolean): Wait {
  const { task } = record;
  const bound = movable ? [] : task.volumes;
  const volumes = bound.filter((volume) => volume.exclusive).map((each) => each.volume);
  const alone = `it may still run there, and only one may run at a time; what would free it: berth node describe ${task.node}`;
  const why =
    volumes.length === 0
      ? task.exclusive
        ? alone
        : "it can run nowhere else"
      : `its volume ${volumes.join(", ")} lives there`;
  const message = `${taskName(task)} is lost with ${task.node} and waits for it: ${why}`;
  return { kind: "node", message, slot: task.slot, task: task.id };
}

export function predecessorWait(record: TaskRecord): Wait {
  const { task } = record;
  const message = `${taskName(task)} waits until the old copy on ${task.node} has stopped`;
  return { kind: "predecessor", message, slot: task.slot, task: task.id };
}

export function backoffWait(name: string, slot: number, until: number, status: TaskStatus): Wait {
  const detail = status.message ?? `it ended ${exitWords(status)}`;
  return { kind: "backoff", message: `${name} is tried again soon: ${detail}`, until, slot };
}

export function failedWait(record: TaskRecord, status: TaskStatus): Wait {
  const detail = status.message === undefined ? "" : `: ${status.message}`;
  const message = `${taskName(record.task)} on ${record.task.node} ${stateWords(status)}${detail}; it is not started again for this release`;
  return { kind: "failed", message, slot: record.task.slot, task: record.task.id };
}

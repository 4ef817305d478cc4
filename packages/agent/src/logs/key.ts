/** Whose output it is, and where it lies: the path of a log's segments says everything about it. */

import type { Task } from "@berth/protocol";

/** Identity of one task's log. Attempts of the task are told apart record by record. */
export interface LogKey {
  readonly project: string;
  readonly environment: string;
  readonly stack: string;
  readonly service: string;
  readonly slot: number;
  readonly task: string;
  readonly release: number;
}

/** Rotation of one task's log; from the service's spec. */
export interface LogLimits {
  /** A segment grows to this size. */
  readonly maxBytes: number;
  /** Segments kept. */
  readonly maxFiles: number;
}

/** Names and identifiers are safe in paths by construction (`names.ts` of the protocol). */
const SEGMENT_PATH = /^([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)\/(\d+)\.([a-z0-9]+)\.r(\d+)\/(\d+)\.log$/;
const SEGMENT_DIGITS = 6;

export function logKeyOf(task: Task): LogKey {
  const { project, environment, stack, service, slot, id, release } = task;
  return { project, environment, stack, service, slot, task: id, release };
}

/** `default/main/shop/web/1.abc123.r4/000001.log` */
export function segmentPath(key: LogKey, segment: number): string {
  const number = String(segment).padStart(SEGMENT_DIGITS, "0");
  const task = `${key.slot}.${key.task}.r${key.release}`;
  return [key.project, key.environment, key.stack, key.service, task, `${number}.log`].join("/");
}

/** The reverse; `undefined` for files that are none of ours. */
export function parseSegmentPath(
  path: string,
): { readonly key: LogKey; readonly segment: number } | undefined {
  const match = SEGMENT_PATH.exec(path);
  if (match === null) return undefined;
  const [, project = "", environment = "", stack = "", service = "", slot, task = ""] = match;
  const numbers = { slot: Number(slot), release: Number(match[7]) };
  const key = { project, environment, stack, service, task, ...numbers };
  return { key, segment: Number(match[8]) };
}

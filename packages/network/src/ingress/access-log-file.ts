/**
 * The access log as files: put aside when it has grown, and read from its end or as it grows.
 *
 * HAProxy has the file open for appending and never opens it again, so it is copied and emptied: a line that is
 * written in the instant between the last copied byte and the emptying is lost (microseconds, once in a file).
 * Lines are at most 8 KiB. Reading costs O(bytes read), from the end backwards where lines are counted.
 */

import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { type Clock, sleep } from "@berth/base";
import type { AccessLogModel } from "../model.ts";
import { parseAccessLine } from "./access-log-line.ts";

/** A day of a busy site or a year of a quiet one. */
export const ACCESS_LOG_DEFAULT: AccessLogModel = {
  enabled: true,
  maxBytes: 64 * 1024 * 1024,
  files: 3,
};

const READ_BYTES = 256 * 1024;
/** Between looks for more, while somebody follows. */
const FOLLOW_POLL_MS = 200;

/** Puts the file aside when it is over its limit. Returns whether it was. */
export function rotateAccessLog(path: string, { maxBytes, files }: AccessLogModel): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return false;
  if (files > 0) {
    for (let number = files - 1; number >= 1; number--) {
      const from = `${path}.${number}`;
      if (statSync(from, { throwIfNoEntry: false }) !== undefined) {
        renameSync(from, `${path}.${number + 1}`);
      }
    }
    copyFileSync(path, `${path}.1`);
    copyRest(path, `${path}.1`);
  }
  truncateSync(path);
  return true;
}

/** What was written while the file was being copied. */
function copyRest(path: string, copy: string): void {
  const from = openSync(path, "r");
  const to = openSync(copy, "a", 0o600);
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let at = fstatSync(to).size; ; ) {
      const bytes = readSync(from, buffer, 0, buffer.length, at);
      if (bytes === 0) return;
      writeSync(to, buffer, 0, bytes);
      at += bytes;
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

export interface AccessLogRequest {
  /** Beginning of the service's name: `default/main/`, `default/main/shop/web`. */
  readonly service: string;
  /** Last lines; all that are kept when absent. */
  readonly tail?: number;
  readonly follow: boolean;
}

/** Lines of a service, each a JSON object, in the order in which requests ended. */
export async function* readAccessLog(
  path: string,
  request: AccessLogRequest,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<string, void, undefined> {
  const kept: string[] = [];
  let position: Position = { at: 0, rest: "" };
  for (const file of [...olderFiles(path), path]) {
    position = { at: 0, rest: "" };
    for (let more = true; more; ) {
      const chunk = readLines(file, position);
      position = chunk.position;
      more = chunk.bytes > 0;
      for (const line of chunk.lines.flatMap((each) => jsonOf(each, request.service))) {
        if (request.tail === undefined) yield line;
        else if (kept.push(line) > request.tail) kept.shift();
      }
      signal.throwIfAborted();
    }
  }
  yield* kept;
  while (request.follow) {
    await sleep(clock, FOLLOW_POLL_MS, signal);
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    // Emptied in between: what was last in it has been put aside.
    if (size < position.at) position = { at: 0, rest: "" };
    const chunk = readLines(path, position);
    position = chunk.position;
    yield* chunk.lines.flatMap((line) => jsonOf(line, request.service));
  }
}

/** Oldest first. */
function olderFiles(path: string): string[] {
  const files: string[] = [];
  for (let number = 1; statSync(`${path}.${number}`, { throwIfNoEntry: false }); number++) {
    files.unshift(`${path}.${number}`);
  }
  return files;
}

interface Position {
  readonly at: number;
  /** The beginning of a line whose end is not there yet. */
  readonly rest: string;
}

function readLines(path: string, { at, rest }: Position) {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    return { lines: [], bytes: 0, position: { at, rest } };
  }
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const bytes = readSync(file, buffer, 0, buffer.length, at);
    const lines = (rest + buffer.toString("utf8", 0, bytes)).split("\n");
    const last = lines.pop() ?? "";
    return { lines, bytes, position: { at: at + bytes, rest: last } };
  } finally {
    closeSync(file);
  }
}

/**
 * A line as JSON, if it is the service's. Lines that are JSON already were written by an older version; HAProxy's own
 * remarks are nobody's.
 */
function jsonOf(line: string, service: string): string[] {
  const isJson = line.startsWith("{");
  const fields = isJson ? undefined : parseAccessLine(line);
  if (!isJson && fields === undefined) return [];
  const name = isJson ? /"service":"([^"]*)"/.exec(line)?.[1] : fields?.["service"];
  const own = String(name ?? "");
  const wanted = service.endsWith("/")
    ? own.startsWith(service)
    : own === service || own.startsWith(`${service}/`);
  if (!wanted) return [];
  return [isJson ? line : JSON.stringify(fields)];
}

/**
 * Output of tasks on this node: kept beyond the containers that wrote it.
 *
 * What is stored is found again from the files' names alone. Lines of several tasks are read merged by time,
 * with a bounded part of each in memory. See docs/design/logs.md.
 */

import type { Clock, Logger } from "@berth/base";
import type { LogLine } from "@berth/protocol";
import type { LogFiles } from "./files.ts";
import { type LogKey, parseSegmentPath } from "./key.ts";
import { type LogQuery, mergedLines } from "./merge.ts";
import { textOfRecord } from "./record.ts";
import { expiredLogs, RETENTION_DEFAULT, type RetentionPolicy } from "./retention.ts";
import { TaskLog } from "./task-log.ts";

export interface LogStoreOptions {
  readonly files: LogFiles;
  readonly clock: Clock;
  readonly log: Logger;
  /** This node, named in each line. */
  readonly node: string;
  readonly retention?: RetentionPolicy;
}

/** Lines of a failed attempt that its report carries. */
export const TAIL_LINES = 50;
/** A report is no place for a megabyte on one line. */
const TAIL_LINE_CHARS_MAX = 2_000;

export class LogStore {
  readonly #options: LogStoreOptions;
  readonly #logs = new Map<string, TaskLog>();
  readonly #active = new Map<string, number>();
  readonly #watchers = new Set<(log: TaskLog) => void>();

  /** Nothing is known before `open`. */
  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** Finds what earlier lives of the agent stored. Call once, before anything else. */
  async open(): Promise<void> {
    const found = new Map<string, { key: LogKey; segments: { number: number; bytes: number }[] }>();
    for (const { path, bytes } of await this.#options.files.list()) {
      const parsed = parseSegmentPath(path);
      if (parsed === undefined) continue;
      const known = found.get(parsed.key.task) ?? { key: parsed.key, segments: [] };
      known.segments.push({ number: parsed.segment, bytes });
      found.set(parsed.key.task, known);
    }
    for (const { key, segments } of found.values()) {
      this.#logs.set(key.task, new TaskLog(this.#options.files, key, segments));
    }
  }

  /** The log to write a task's output to; made on first use. Each `acquire` needs its `release`. */
  acquire(key: LogKey): TaskLog {
    this.#active.set(key.task, (this.#active.get(key.task) ?? 0) + 1);
    const known = this.#logs.get(key.task);
    if (known !== undefined) return known;
    const log = new TaskLog(this.#options.files, key, []);
    this.#logs.set(key.task, log);
    for (const watcher of [...this.#watchers]) watcher(log);
    return log;
  }

  async release(key: LogKey): Promise<void> {
    const users = (this.#active.get(key.task) ?? 1) - 1;
    if (users > 0) {
      this.#active.set(key.task, users);
      return;
    }
    this.#active.delete(key.task);
    await this.#logs.get(key.task)?.rest();
  }

  /** Tasks of which there is output. */
  keys(): readonly LogKey[] {
    return [...this.#logs.values()].map((log) => log.key);
  }

  /** Last lines of one attempt, oldest first; for reports of failures. */
  async tail(task: string, attempt: number, count = TAIL_LINES): Promise<readonly string[]> {
    const log = this.#logs.get(task);
    await log?.flushed();
    const records = (await log?.tail(attempt, count)) ?? [];
    return records.map((record) => textOfRecord(record).slice(0, TAIL_LINE_CHARS_MAX));
  }

  /** Lines of the tasks that `query` selects, merged by time; with `follow` until the signal. */
  read(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    return mergedLines(
      {
        node: this.#options.node,
        logs: () => [...this.#logs.values()],
        onNew: (notify) => {
          this.#watchers.add(notify);
          return () => this.#watchers.delete(notify);
        },
      },
      query,
      signal,
    );
  }

  /** Removes what is too old or too much. Answers the tasks whose logs went. */
  async collect(policy?: RetentionPolicy): Promise<readonly string[]> {
    const { clock, log } = this.#options;
    const retention = policy ?? this.#options.retention ?? RETENTION_DEFAULT;
    const stored = await Promise.all(
      [...this.#logs.values()].map(async (taskLog) => ({
        task: taskLog.key.task,
        bytes: taskLog.bytes,
        lastAt: await this.#lastAt(taskLog),
        active: this.#active.has(taskLog.key.task),
      })),
    );
    const expired = expiredLogs(stored, retention, clock.now());
    for (const task of expired) await this.#remove(task);
    if (expired.length > 0) log.info("logs of ended tasks removed", { count: expired.length });
    return expired;
  }

  async #remove(task: string): Promise<void> {
    const log = this.#logs.get(task);
    // A task may have come back to life while earlier ones were removed.
    if (log === undefined || this.#active.has(task)) return;
    this.#logs.delete(task);
    await log.remove();
  }

  async #lastAt(log: TaskLog): Promise<number> {
    const record = await log.last();
    return record === undefined ? 0 : Date.parse(record.stamp);
  }
}

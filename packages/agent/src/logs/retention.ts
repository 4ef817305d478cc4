/** Which ended tasks' logs are to go: by age, then by size, the oldest first. Pure. */

/** A task's log as retention sees it. */
export interface StoredLog {
  readonly task: string;
  readonly bytes: number;
  /** Wall time of its last line. */
  readonly lastAt: number;
  /** Something is still written to it: never removed, its rotation bounds it. */
  readonly active: boolean;
}

export interface RetentionPolicy {
  /** All logs of the node together. */
  readonly totalBytesMax: number;
  /** After its last line a log of an ended task is kept this long. */
  readonly retainMs: number;
}

/** A week of what ended; 4 GiB hold the full rotation of some 130 tasks, and years of quiet ones. */
export const RETENTION_DEFAULT: RetentionPolicy = {
  totalBytesMax: 4 * 1024 ** 3,
  retainMs: 7 * 24 * 60 * 60 * 1_000,
};

/** Tasks whose logs go, oldest first. Cost: O(n log n). */
export function expiredLogs(
  logs: readonly StoredLog[],
  policy: RetentionPolicy,
  now: number,
): readonly string[] {
  const ended = logs.filter((log) => !log.active).sort((a, b) => a.lastAt - b.lastAt);
  let total = logs.reduce((sum, log) => sum + log.bytes, 0);
  const expired: string[] = [];
  for (const log of ended) {
    const old = now - log.lastAt > policy.retainMs;
    if (!old && total <= policy.totalBytesMax) break;
    expired.push(log.task);
    total -= log.bytes;
  }
  return expired;
}

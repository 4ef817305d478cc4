/**
 * The kernel's accounting files of a control group → figures. Pure: text in, numbers out.
 *
 * Version 1 has a tree a controller, version 2 one tree; both are read with the same result. Memory is what
 * cannot be reclaimed at once: usage without the inactive part of the page cache, as `docker stats` shows it.
 */

/** What one control group used and may use. */
export interface CgroupFigures {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes?: number;
  readonly pids: number;
  readonly oomKills: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
}

/** Texts of version 1, absent where the controller is off. */
export interface CgroupV1Texts {
  readonly cpuacctUsage?: string;
  readonly memoryUsage?: string;
  readonly memoryLimit?: string;
  readonly memoryStat?: string;
  readonly memoryOomControl?: string;
  readonly pidsCurrent?: string;
  readonly blkioServiceBytes?: string;
}

/** Texts of version 2. */
export interface CgroupV2Texts {
  readonly cpuStat?: string;
  readonly memoryCurrent?: string;
  readonly memoryMax?: string;
  readonly memoryStat?: string;
  readonly memoryEvents?: string;
  readonly pidsCurrent?: string;
  readonly ioStat?: string;
}

/** Version 1 writes "no limit" as the largest multiple of a page; no machine has this much. */
const UNLIMITED_BYTES = 2 ** 60;

export function figuresOfV1(texts: CgroupV1Texts): CgroupFigures {
  const usage = numberOf(texts.memoryUsage);
  const inactive = keyed(texts.memoryStat, "total_inactive_file");
  const io = blkioBytes(texts.blkioServiceBytes ?? "");
  return {
    cpuNanos: numberOf(texts.cpuacctUsage),
    memoryBytes: Math.max(0, usage - inactive),
    ...limitOf(texts.memoryLimit),
    pids: numberOf(texts.pidsCurrent),
    oomKills: keyed(texts.memoryOomControl, "oom_kill"),
    blockReadBytes: io.read,
    blockWriteBytes: io.write,
  };
}

export function figuresOfV2(texts: CgroupV2Texts): CgroupFigures {
  const usage = numberOf(texts.memoryCurrent);
  const inactive = keyed(texts.memoryStat, "inactive_file");
  const io = ioStatBytes(texts.ioStat ?? "");
  return {
    cpuNanos: keyed(texts.cpuStat, "usage_usec") * 1_000,
    memoryBytes: Math.max(0, usage - inactive),
    ...limitOf(texts.memoryMax),
    pids: numberOf(texts.pidsCurrent),
    oomKills: keyed(texts.memoryEvents, "oom_kill"),
    blockReadBytes: io.read,
    blockWriteBytes: io.write,
  };
}

/**
 * Paths of `/proc/<pid>/cgroup`: by controller in version 1, under the empty name in version 2.
 *
 * `4:memory:/docker/ab` → `memory` → `/docker/ab`; `0::/system.slice/x` → `` → `/system.slice/x`.
 */
export function cgroupPaths(procText: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of procText.split("\n")) {
    const [, controllers, ...path] = line.split(":");
    if (controllers === undefined || path.length === 0) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path.join(":"));
  }
  return paths;
}

function numberOf(text: string | undefined): number {
  const value = Number(text?.trim());
  return Number.isFinite(value) ? value : 0;
}

/** The number after `key` in lines of `key number`. */
function keyed(text: string | undefined, key: string): number {
  for (const line of text?.split("\n") ?? []) {
    if (line.startsWith(`${key} `)) return numberOf(line.slice(key.length));
  }
  return 0;
}

function limitOf(text: string | undefined): { memoryLimitBytes?: number } {
  const value = text === undefined || text.trim() === "max" ? 0 : numberOf(text);
  return value > 0 && value < UNLIMITED_BYTES ? { memoryLimitBytes: value } : {};
}

/** Lines of `8:0 Read 4096`, and totals, which would count twice. */
function blkioBytes(text: string): { readonly read: number; readonly write: number } {
  let read = 0;
  let write = 0;
  for (const line of text.split("\n")) {
    const [, operation, bytes] = line.split(" ");
    if (operation === "Read") read += numberOf(bytes);
    else if (operation === "Write") write += numberOf(bytes);
  }
  return { read, write };
}

/** Lines of `8:0 rbytes=1 wbytes=2 rios=3 ...`. */
function ioStatBytes(text: string): { readonly read: number; readonly write: number } {
  let read = 0;
  let write = 0;
  for (const [, key, value] of text.matchAll(/\b(rbytes|wbytes)=(\d+)/g)) {
    if (key === "rbytes") read += numberOf(value);
    else write += numberOf(value);
  }
  return { read, write };
}

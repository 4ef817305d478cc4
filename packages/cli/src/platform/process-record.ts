/**
 * Records of running processes on disk: a pid together with the start time that the kernel gives, so that
 * a number that was used again is never taken for the process that had it before.
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface ProcessRecord {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTicks: string;
  /** Boot of the host in which the process was started. */
  readonly bootId: string;
}

/** Start time of a living process; `undefined` when there is none or it is a zombie. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command may contain spaces and parentheses: the fields begin after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Writes down that `pid` runs. Does nothing when it has ended already. */
export function writeProcessRecord(file: string, pid: number): void {
  const startTicks = startTicksOf(pid);
  if (startTicks === undefined) return;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const record: ProcessRecord = { pid, startTicks, bootId: bootId() };
  writeFileSync(`${file}.fresh`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${file}.fresh`, file);
}

/** The pid that `file` records, if that very process still runs. */
export function livingProcess(file: string): number | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof record !== "object" || record === null) return undefined;
    if (!("pid" in record && "startTicks" in record && "bootId" in record)) return undefined;
    if (typeof record.pid !== "number" || record.bootId !== bootId()) return undefined;
    return startTicksOf(record.pid) === record.startTicks ? record.pid : undefined;
  } catch {
    return undefined;
  }
}

export function removeProcessRecord(file: string): void {
  rmSync(file, { force: true });
}

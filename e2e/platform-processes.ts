/**
 * The living processes of one platform, found in /proc by the data folder in their environment or command
 * line: a test kills its own processes and no other's.
 */

import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export type ProcessName = "supervise" | "server" | "agent" | "net" | "haproxy";

export interface PlatformProcess {
  readonly name: ProcessName;
  readonly pid: number;
}

/** Every process of the platform in `dataDir`; HAProxy as its master and its workers. */
export function processesOf(dataDir: string): PlatformProcess[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const name = nameOf(entry, dataDir);
      return name === undefined ? [] : [{ name, pid: Number(entry) }];
    });
}

/** Pids of `name`, oldest first. */
export function pidsOf(dataDir: string, name: ProcessName): number[] {
  return processesOf(dataDir)
    .filter((process) => process.name === name)
    .map(({ pid }) => pid);
}

/** SIGKILL to every process of `name`; answers once they are gone. */
export async function killAll(dataDir: string, ...names: ProcessName[]): Promise<number[]> {
  const pids = names.flatMap((name) => pidsOf(dataDir, name));
  for (const pid of pids) signal(pid, "SIGKILL");
  while (pids.some(isAlive)) await delay(5);
  return pids;
}

/**
 * True until the process has ended; a zombie has. A first thread that has ended is shown as a zombie while
 * others of its process still run and hold its files and ports.
 */
export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== "" && (state !== "Z" || threadsOf(pid) > 1);
}

function threadsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

/** Whether SIGSTOP has come into force. */
export function isStopped(pid: number): boolean {
  return stateOf(pid) === "T";
}

/** The letter of `proc(5)`; empty when there is no such process. */
function stateOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  const at = stat.lastIndexOf(")") + 2;
  return stat.slice(at, at + 1);
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
}

const NODE_PROCESSES: readonly ProcessName[] = ["supervise", "server", "agent", "net"];

function nameOf(pid: string, dataDir: string): ProcessName | undefined {
  const words = read(`/proc/${pid}/cmdline`).split("\0");
  if (!isAlive(Number(pid))) return undefined;
  if (words[0]?.endsWith("haproxy")) {
    return words.some((word) => word.startsWith(`${dataDir}/`)) ? "haproxy" : undefined;
  }
  const name = NODE_PROCESSES.find((known) =>
    words.some((word) => word.endsWith(`/${known}.ts`) || word.endsWith(`/${known}.mjs`)),
  );
  if (name === undefined) return undefined;
  const own = read(`/proc/${pid}/environ`).split("\0").includes(`BERTH_DATA=${dataDir}`);
  return own ? name : undefined;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * Catches a container's first process in the moment between its namespaces and its program.
 *
 * runc makes a container's namespaces in a process of its own name, and only a second call of runc lets it
 * become the container's program. Stopped in between by SIGSTOP, and still of that name, it cannot have run
 * anything of the container; stopped processes can always be killed, so an agent that dies here leaves
 * nothing that cannot be removed. Synchronous: it runs in a thread of its own (direct-thread.ts).
 */

import { existsSync, readFileSync, readlinkSync } from "node:fs";

/** runc's name for the process that becomes the container's program, once its namespaces are made. */
const INIT_NAME = "runc:[2:INIT]";
/** Until a process that was told to stop has stopped: microseconds, unless it waits for the disk. */
const STOP_LOOK_MS = 1;
const STOP_LOOKS_MAX = 5_000;

/** Stops the first process in a control group, if it is there and has not become the program yet. */
export function stopInit(processesPath: string): number | undefined {
  return processesIn(processesPath).find((pid) => isInit(pid) && stop(pid));
}

/** It goes on and becomes the program. */
export function releaseInit(pid: number): void {
  signal(pid, "SIGCONT");
}

/** It never becomes the program. */
export function killInit(pid: number): void {
  signal(pid, "SIGKILL");
}

/**
 * Everything of a container that is to be removed: a first process that a dead agent left stopped, for which
 * the engine would wait for ever, and a program of which a restarted engine knows nothing.
 */
export function killProcesses(processesPath: string): void {
  for (const pid of processesIn(processesPath)) signal(pid, "SIGKILL");
}

/** Identifiers of the processes in a control group; none when it is gone. */
export function processesIn(path: string): number[] {
  // Most looks are for a group that is not there yet, and a failed read costs ten times as much.
  if (!existsSync(path)) return [];
  return textOf(path)
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Blocks this thread. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** False when it has become something else meanwhile; it goes on then. */
function stop(pid: number): boolean {
  signal(pid, "SIGSTOP");
  for (let look = 0; look < STOP_LOOKS_MAX && !isStopped(pid); look++) {
    if (nameOf(pid) === "") return false;
    pause(STOP_LOOK_MS);
  }
  if (isStopped(pid) && isInit(pid)) return true;
  signal(pid, "SIGCONT");
  return false;
}

function isInit(pid: number): boolean {
  return nameOf(pid) === INIT_NAME && networkOf(pid) !== networkOf("self");
}

function isStopped(pid: number): boolean {
  const stat = textOf(`/proc/${pid}/stat`);
  return /^[Tt]/.test(stat.slice(stat.lastIndexOf(")") + 2));
}

function nameOf(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trim();
}

/** The network namespace as text. */
function networkOf(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone: what is not there needs no signal.
  }
}

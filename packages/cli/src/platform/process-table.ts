/** The processes of the platform on this machine: what is started, how, and with which environment. */

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { HALT_VARIABLE } from "./halt.ts";
import type { PlatformPaths } from "./paths.ts";
import { startTicksOf } from "./process-record.ts";
import type { PlatformSettings } from "./settings.ts";
import type { ProcessDescription } from "./supervised-process.ts";
import { BUNDLED } from "./version.ts";

/**
 * argv of one of our own processes, for the code that runs now: the bundle beside this file, or the
 * sources. The folder is resolved, so that a process keeps its version when `current` moves on.
 */
export function ownProcess(name: "server" | "agent" | "net" | "supervise"): string[] {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const file = BUNDLED ? join(here, `${name}.mjs`) : join(here, "..", "processes", `${name}.ts`);
  // Memory is dearer than peak speed in processes that run on every node.
  const flags = ["--disable-warning=ExperimentalWarning", ...PROCESS_FLAGS[name]];
  return [process.execPath, ...flags, file];
}

/** One helper thread for compiling and collecting instead of four. */
const SMALL = ["--max-semi-space-size=1", "--v8-pool-size=1"] as const;

/**
 * V8 keeps compiled code for one set of flags (`v8.cachedDataVersionTag()`): with a flag of another set, as most are,
 * a process and each of its threads compiles Node's own modules anew, at its start and in its first work. Memory is
 * dearer than that only in `net`, whose work is small. docs/adr/0051-flags-of-processes.md
 */
export const PROCESS_FLAGS = {
  server: ["--max-semi-space-size=4"],
  // On a heap of some ten megabytes handing collection over costs more than doing it.
  // Below 2 GiB V8 calls its built-in code where it is, instead of a copy of 2 MiB.
  agent: [...SMALL, "--single-threaded-gc", "--max-old-space-size=1024"],
  // Without V8's middle compiler: what is hot reaches the optimizing one all the same. Names come before all else of
  // the machine, so that their thread must not wait for a helper that collects with it and does not.
  net: [...SMALL, "--optimize-for-size", "--no-maglev", "--single-threaded-gc"],
  supervise: SMALL,
} as const;

/**
 * The C library's heaps: one for each thread by default, each with its own leftovers. Our threads allocate
 * little there. For our own processes only: a process of ours takes it out of what it hands on.
 */
export const ARENAS_VARIABLE = "MALLOC_ARENA_MAX";

/** What our processes inherit: nothing of the user's shell but where to find programs. */
export function processEnvironment(paths: PlatformPaths): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "TZ", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", HALT_VARIABLE];
  const inherited = kept.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...Object.fromEntries(inherited),
    BERTH_DATA: paths.dataDir,
    NODE_COMPILE_CACHE: join(paths.dataDir, "cache"),
    [ARENAS_VARIABLE]: "1",
  };
}

/** What runs here of ours: the server's machine is a node as well, a host that joined is nothing else. */
export function ownProcesses({ joined }: PlatformSettings): readonly ("server" | "agent")[] {
  return joined === undefined ? ["server", "agent"] : ["agent"];
}

/** What the supervisor keeps running. The agent keeps `net` running, and `net` HAProxy. */
export function processTable(
  settings: PlatformSettings,
  paths: PlatformPaths,
): ProcessDescription[] {
  const ours = ownProcesses(settings).map((name) => ({
    name,
    argv: ownProcess(name),
    environment: processEnvironment(paths),
    recordFile: join(paths.processes, name),
    logFile: join(paths.logs, `${name}.log`),
  }));
  return settings.engineManaged ? [engineProcess(settings, paths), ...ours] : ours;
}

const ENGINE_PID_FILE = "/var/run/docker.pid";

function engineProcess(settings: PlatformSettings, paths: PlatformPaths): ProcessDescription {
  return {
    name: "engine",
    argv: ["dockerd", "-H", `unix://${settings.engineSocket}`, ...liveRestoreFlag()],
    environment: processEnvironment(paths),
    recordFile: join(paths.processes, "engine"),
    logFile: join(paths.logs, "engine.log"),
    beforeStart: removeStaleEnginePid,
  };
}

/** Containers survive a crash of the engine; a flag that stands in daemon.json may not be given twice. */
function liveRestoreFlag(): string[] {
  const file = "/etc/docker/daemon.json";
  if (!existsSync(file)) return ["--live-restore"];
  return readFileSync(file, "utf8").includes('"live-restore"') ? [] : ["--live-restore"];
}

/** A killed engine leaves its pid behind and refuses to start while the number is in use by anybody. */
function removeStaleEnginePid(): void {
  try {
    const pid = Number(readFileSync(ENGINE_PID_FILE, "utf8"));
    const command = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
    if (startTicksOf(pid) !== undefined && command === "dockerd") return;
  } catch {
    // No file or no such process: nothing to protect.
  }
  rmSync(ENGINE_PID_FILE, { force: true });
}

/**
 * What every long-running process of ours has: paths and settings of the platform, a log, the loop driver,
 * and an orderly end. An assertion that fails ends the process; its supervisor starts it again from stored
 * state.
 */

import { Driver, type Logger, lineLogger, Prng, systemClock } from "@berth/base";
import { localPaths, localSettings } from "../connection/context.ts";
import { keepAlive } from "../keep-alive.ts";
import type { PlatformPaths } from "../platform/paths.ts";
import { ARENAS_VARIABLE } from "../platform/process-table.ts";
import type { PlatformSettings } from "../platform/settings.ts";

export interface ProcessShell {
  readonly paths: PlatformPaths;
  readonly settings: PlatformSettings;
  readonly clock: typeof systemClock;
  readonly log: Logger;
  readonly prng: Prng;
  readonly driver: Driver;
}

/** How a process ends; with more time than usual where that is said. */
export type StopProcess =
  | (() => Promise<void>)
  | { readonly stop: () => Promise<void>; readonly timeoutMs: number };

/** A process that does not end within this time after SIGTERM is ended, milliseconds. */
const STOP_TIMEOUT_MS = 10_000;

/** Runs `main` until SIGTERM or SIGINT, then what `main` answered. */
export async function runProcessShell(
  name: string,
  main: (shell: ProcessShell) => Promise<StopProcess>,
): Promise<void> {
  // Read when the process began; HAProxy and hooks have more threads, and their own needs.
  delete process.env[ARENAS_VARIABLE];
  const log = lineLogger({
    write: (line) => process.stderr.write(line),
    now: systemClock.now,
    level: process.env["BERTH_LOG"] === "debug" ? "debug" : "info",
    fields: { process: name },
  });
  process.on("uncaughtException", (error) => endBecause(log, error));
  process.on("unhandledRejection", (error) => endBecause(log, error));
  // Seeds differ between processes and starts: retries of many must not fall together.
  const prng = new Prng(process.pid * 65_536 + (systemClock.now() % 65_536));
  const driver = new Driver({ clock: systemClock, log, prng });
  const shell = {
    paths: localPaths(process.env),
    settings: localSettings(process.env),
    clock: systemClock,
    log,
    prng,
    driver,
  };
  keepAlive();
  try {
    const stop = await main(shell);
    log.info("started", { pid: process.pid, startMs: Math.round(performance.now()) });
    const onSignal = () => void end(log, stop);
    process.once("SIGTERM", onSignal);
    process.once("SIGINT", onSignal);
  } catch (error) {
    endBecause(log, error);
  }
}

function endBecause(log: Logger, error: unknown): void {
  log.error("ends because of an error", { error });
  process.exit(1);
}

async function end(log: Logger, how: StopProcess): Promise<void> {
  const { stop, timeoutMs } =
    typeof how === "function" ? { stop: how, timeoutMs: STOP_TIMEOUT_MS } : how;
  setTimeout(() => process.exit(1), timeoutMs).unref();
  await stop();
  log.info("stopped");
  process.exit(0);
}

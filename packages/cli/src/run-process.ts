/** The command line as a process: signals, broken pipes and the end of it. */

import { keepAlive } from "./keep-alive.ts";
import type { RunOptions } from "./run-description.ts";

/** How long a command may clean up after Ctrl-C before the process ends anyway, milliseconds. */
const INTERRUPT_GRACE_MS = 2_000;

/** Commands that pass signals on to a process of their own, which ends in its own time. */
const FOREGROUND = new Set(["server", "agent", "net"]);

/** Runs `argv` by `run`; answers the exit code. */
export async function runProcess(
  argv: readonly string[],
  run: (options: RunOptions) => Promise<number>,
): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => {
    interrupt.abort(new DOMException("interrupted", "AbortError"));
    setTimeout(() => process.exit(130), INTERRUPT_GRACE_MS).unref();
  };
  if (!FOREGROUND.has(argv[0] ?? "")) {
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
  }
  const release = keepAlive();
  const code = await run({
    argv,
    environment: process.env,
    workingDirectory: process.cwd(),
    signal: interrupt.signal,
  });
  release();
  process.removeListener("SIGINT", onSignal);
  process.removeListener("SIGTERM", onSignal);
  return interrupt.signal.aborted ? 130 : code;
}

/**
 * Keeps the `net` process of this node alive without being its lifeline: it is started detached, survives
 * the agent, and is adopted by the next one through its socket.
 *
 * The end of one is noticed at once: an own child's as such, an adopted one's by a connection that is held. A look
 * for the process every second finds what those miss.
 */

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  backoffMs,
  type Clock,
  type Driver,
  type Logger,
  type Loop,
  type LoopResult,
} from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { EndWatch } from "./end-watch.ts";
import type { NetPort } from "./net-port.ts";

export interface NetSupervisorOptions {
  readonly net: Pick<NetPort, "status">;
  /** Program and arguments; started without a shell. */
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Where it answers. */
  readonly socketPath: string;
  /** Its output is appended here. */
  readonly logPath: string;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly log: Logger;
  /** `net` answers again after it did not. */
  readonly onUp: () => void;
}

/** Between looks for the process of an adopted `net` whose end nobody told. */
const LOOK_PERIOD_MS = 1_000;
/** A new process has this long to answer before another is started: it takes 200 ms on a slow machine. */
const START_TIMEOUT_MS = 10_000;
/** Pauses between starts of a `net` that does not stay. */
const RESTART = { initialMs: 100, maxMs: 30_000 } as const;
/** One that lived this long is not part of a row of failures. */
const STABLE_AFTER_MS = 60_000;

export class NetSupervisor {
  readonly #options: NetSupervisorOptions;
  readonly #loop: Loop;
  readonly #endWatch: EndWatch;
  /** The held connection was closed: whether `net` still answers has to be asked. */
  #isDoubtful = false;
  #pid: number | undefined;
  #startedAt = 0;
  #isUp = false;
  #failures = 0;

  constructor(options: NetSupervisorOptions) {
    this.#options = options;
    this.#endWatch = new EndWatch(options.socketPath, () => {
      this.#isDoubtful = true;
      this.#loop.wake();
    });
    this.#loop = options.driver.add({
      name: "net-supervisor",
      purpose: "Keeps the data-plane process of this node running.",
      periodMs: LOOK_PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  /** Process of `net`, when one is known to run. */
  get pid(): number | undefined {
    return this.#isUp ? this.#pid : undefined;
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { clock } = this.#options;
    if (this.#pid !== undefined && isProcess(this.#pid)) {
      if (this.#isUp && !this.#isDoubtful) {
        // Here, not where it was found to answer: a false alarm is asked about once in a period at most.
        this.#endWatch.open(signal);
        return;
      }
      await this.#look(signal);
      const isLate = clock.monotonic() - this.#startedAt > START_TIMEOUT_MS;
      if (this.#isUp || !isLate) return { againMs: this.#isUp ? LOOK_PERIOD_MS : 50 };
      return this.#startAnew();
    }
    // Nothing of ours is known to run: somebody else's may, of an agent before us.
    await this.#look(signal);
    return this.#isUp ? undefined : this.#startAnew();
  }

  /** Asks the socket. */
  async #look(signal: AbortSignal): Promise<void> {
    const { net, log, onUp } = this.#options;
    try {
      const { pid } = await net.status(signal);
      if (pid !== this.#pid) log.info("adopted the net process", { pid });
      this.#pid = pid;
      if (!this.#isUp) onUp();
      this.#isUp = true;
      this.#isDoubtful = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProtocolError)) throw error;
      this.#isUp = false;
    }
  }

  #startAnew(): LoopResult {
    const { clock, log } = this.#options;
    const livedMs = clock.monotonic() - this.#startedAt;
    this.#failures = this.#startedAt === 0 || livedMs > STABLE_AFTER_MS ? 0 : this.#failures + 1;
    const pauseMs = this.#failures === 0 ? 0 : backoffMs(this.#failures, RESTART) - livedMs;
    if (pauseMs > 0) {
      this.#failures--;
      return { againMs: Math.max(50, pauseMs) };
    }
    this.#pid = this.#spawn();
    this.#startedAt = clock.monotonic();
    this.#isUp = false;
    log.info("started the net process", { pid: this.#pid, failuresInRow: this.#failures });
    return { againMs: 50 };
  }

  #spawn(): number | undefined {
    const { command, environment, logPath, log } = this.#options;
    const [program, ...parameters] = command;
    mkdirSync(dirname(logPath), { recursive: true, mode: 0o700 });
    const output = openSync(logPath, "a", 0o600);
    try {
      const child = spawn(program, parameters, {
        detached: true,
        stdio: ["ignore", output, output],
        env: { ...environment },
      });
      // A child that nobody waits for would stay a zombie, and look alive.
      child.on("exit", (exitCode, killedBy) => {
        log.warn("the net process ended", { pid: child.pid, exitCode, killedBy });
        if (this.#pid === child.pid) this.#pid = undefined;
        this.#isUp = false;
        this.#loop.wake();
      });
      child.on("error", (error) => log.error("starting the net process", { error, program }));
      child.unref();
      return child.pid;
    } finally {
      closeSync(output);
    }
  }
}

/**
 * Whether the process runs. One that has ended and that nobody waits for (its parent was an agent that is gone,
 * and the first process of this host does not reap) is still there for the kernel, and for nobody else.
 */
function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.charAt(stat.lastIndexOf(")") + 2) !== "Z";
  } catch {
    return false;
  }
}

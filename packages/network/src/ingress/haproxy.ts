/**
 * The HAProxy of this node as a process: find, start, reload, stop.
 *
 * It is started detached and outlives `net`, which finds it again by its master's socket. It is ours alone:
 * the socket lies in our data directory, and what is left of a dead master is found by that path on its
 * command line. A reload counts only when a new worker says by its description what it has loaded.
 *
 * Design page: docs/design/ingress.md
 */

import { spawn } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type Clock, type Logger, sleep } from "@berth/base";
import { runProgram } from "../program.ts";
import { type MasterCli, masterCli } from "./master-cli.ts";
import { type HaproxyProcesses, parseProcesses } from "./runtime.ts";

export interface HaproxyOptions {
  /** Folder for configuration, sockets and log; short, as sockets' paths are limited. */
  readonly dir: string;
  readonly program: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunningHaproxy extends HaproxyProcesses {
  /** Skeleton that the current worker has loaded; see `RenderedConfig`. */
  readonly skeleton: string;
}

/** Outcome of giving HAProxy a configuration. */
export type LoadResult =
  | { readonly kind: "loaded"; readonly running: RunningHaproxy }
  | { readonly kind: "missing" }
  | { readonly kind: "refused"; readonly detail: string };

/** HAProxy adds a suffix of 10 characters to its socket's path while it binds; the kernel's limit is 107. */
const SOCKET_PATH_BYTES_MAX = 97;
/** `haproxy -c` reads 10,000 routes in a second. */
const CHECK_TIMEOUT_MS = 10_000;
/** From start or reload to a worker that answers: 20 to 50 ms, far more under load. */
const LOAD_TIMEOUT_MS = 5_000;
const LOAD_POLL_MS = 5;
/** Workers of a dead master end by themselves within milliseconds; then they are killed. */
const ORPHAN_TIMEOUT_MS = 500;
/** HAProxy writes notices only; the file begins anew at a start when it has grown beyond this. */
const LOG_BYTES_MAX = 1024 * 1024;

export class Haproxy {
  readonly #options: HaproxyOptions;
  readonly #cli: MasterCli;
  /** Text that this program has accepted: after a crash it is not checked again, which halves the gap. */
  #accepted: string | undefined;

  constructor(options: HaproxyOptions) {
    this.#options = options;
    this.#cli = masterCli(this.masterSocketPath, options.clock);
    mkdirSync(options.dir, { recursive: true, mode: 0o755 });
  }

  get cli(): MasterCli {
    return this.#cli;
  }

  get statsSocketPath(): string {
    return `${this.#options.dir}/worker.sock`;
  }

  get masterSocketPath(): string {
    return `${this.#options.dir}/master.sock`;
  }

  get configPath(): string {
    return `${this.#options.dir}/haproxy.cfg`;
  }

  /** Why this folder cannot be used, if so. */
  get pathProblem(): string | undefined {
    const long = [this.statsSocketPath, this.masterSocketPath].find(
      (path) => Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX,
    );
    return long && `the path ${long} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`;
  }

  /** The running HAProxy of this folder, whoever started it; `undefined` when there is none. */
  async find(): Promise<RunningHaproxy | undefined> {
    try {
      const processes = parseProcesses(await this.#cli.ask("show proc"));
      if (processes === undefined || processes.currentWorkers.length === 0) return undefined;
      const info = await this.#cli.ask("@1 show info");
      const skeleton = /^description: (.*)$/m.exec(info)?.[1];
      return skeleton === undefined ? undefined : { ...processes, skeleton };
    } catch {
      return undefined; // Nobody listens, or a master that hangs: `start` clears it away.
    }
  }

  /** Keeps the file what a reload or a start should begin with. */
  writeConfig(text: string): void {
    writeFileSync(`${this.configPath}.new`, text, { mode: 0o640 });
    renameSync(`${this.configPath}.new`, this.configPath);
  }

  /** Starts HAProxy with `text`. What was left of an earlier one has been cleared (`clearOrphans`). */
  async start(text: string, skeleton: string): Promise<LoadResult> {
    const refusal = await this.#check(text);
    if (refusal !== undefined) return refusal;
    this.writeConfig(text);
    this.#spawn();
    const running = await this.#awaitLoaded((found) => found.skeleton === skeleton);
    if (running !== undefined) return { kind: "loaded", running };
    return { kind: "refused", detail: `it did not start: ${this.#lastWords()}` };
  }

  /** Changes to `text` without closing a port or a connection. The old worker goes on if that fails. */
  async reload(text: string, skeleton: string, before: RunningHaproxy): Promise<LoadResult> {
    const refusal = await this.#check(text);
    if (refusal !== undefined) return refusal;
    this.writeConfig(text);
    await this.#cli.ask("reload");
    const [oldWorker] = before.currentWorkers;
    const running = await this.#awaitLoaded(
      (found) => found.skeleton === skeleton && found.currentWorkers[0] !== oldWorker,
      (found) => found.reloadsFailed > before.reloadsFailed,
    );
    if (running !== undefined) return { kind: "loaded", running };
    return { kind: "refused", detail: `the reload failed: ${this.#lastWords()}` };
  }

  /** Ends HAProxy and all its workers, with their connections. */
  async stop(): Promise<void> {
    for (const pid of this.#ownProcesses()) signal(pid, "SIGTERM");
    await this.clearOrphans();
  }

  async #check(text: string): Promise<Exclude<LoadResult, { kind: "loaded" }> | undefined> {
    if (text === this.#accepted) return undefined;
    const path = `${this.configPath}.check`;
    writeFileSync(path, text, { mode: 0o640 });
    const { program, clock } = this.#options;
    const args = ["-c", "-q", "-f", path];
    const result = await runProgram({ file: program, args, clock, timeoutMs: CHECK_TIMEOUT_MS });
    if (result.kind === "missing") return { kind: "missing" };
    if (result.code === 0) {
      this.#accepted = text;
      return undefined;
    }
    const alert = result.stderr.split("\n").find((line) => line.includes("[ALERT]"));
    return { kind: "refused", detail: (alert ?? result.stderr).slice(0, 500) };
  }

  #spawn(): void {
    const path = `${this.#options.dir}/haproxy.log`;
    const large = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX;
    const log = openSync(path, large ? "w" : "a", 0o640);
    const args = ["-W", "-S", `${this.masterSocketPath},mode,600`, "-f", this.configPath];
    const child = spawn(this.#options.program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/",
    });
    child.on("error", (error) => this.#options.log.warn("HAProxy could not be started", { error }));
    child.unref();
    closeSync(log);
  }

  async #awaitLoaded(
    done: (found: RunningHaproxy) => boolean,
    failed: (found: RunningHaproxy) => boolean = () => false,
  ): Promise<RunningHaproxy | undefined> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonic() + LOAD_TIMEOUT_MS;
    while (clock.monotonic() < deadlineMs) {
      const found = await this.find();
      if (found !== undefined && done(found)) return found;
      if (found !== undefined && failed(found)) return undefined;
      await sleep(clock, LOAD_POLL_MS);
    }
    return undefined;
  }

  /** The file's last lines: HAProxy says there why it would not. */
  #lastWords(): string {
    try {
      return readFileSync(`${this.#options.dir}/haproxy.log`, "utf8").trimEnd().slice(-500);
    } catch {
      return "no log";
    }
  }

  /**
   * Waits until nothing is left of a dead master, and kills what does not end: its workers hold the ports
   * that the next one needs, and would be taken for somebody else.
   */
  async clearOrphans(): Promise<void> {
    const { clock, log } = this.#options;
    const deadlineMs = clock.monotonic() + ORPHAN_TIMEOUT_MS;
    for (let left = this.#ownProcesses(); left.length > 0; left = this.#ownProcesses()) {
      if (clock.monotonic() >= deadlineMs) {
        log.warn("HAProxy processes without a master are killed", { pids: left });
        for (const pid of left) signal(pid, "SIGKILL");
      }
      await sleep(clock, LOAD_POLL_MS);
    }
  }

  /** Processes with our master's socket on their command line: masters and workers alike have it. */
  #ownProcesses(): number[] {
    const mark = `\0${this.masterSocketPath},mode,600\0`;
    return readdirSync("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      try {
        return readFileSync(`/proc/${entry}/cmdline`, "utf8").includes(mark) ? [Number(entry)] : [];
      } catch {
        return []; // Ended in between.
      }
    });
  }
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // Ended in between, which was the aim.
  }
}

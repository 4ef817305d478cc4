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
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type CancelTimer, type Clock, type Logger, sleep } from "@berth/base";
import { runProgram } from "../program.ts";
import { GeneratedFiles, linkTo } from "./generated-files.ts";
import { type MasterCli, masterCli } from "./master-cli.ts";
import { type HaproxyProcesses, parseProcesses } from "./runtime.ts";

export interface HaproxyOptions {
  /** Folder for configuration, sockets and log; short, as sockets' paths are limited. */
  readonly dir: string;
  /** Folder for what it reads: configuration, tables, certificates; in memory, as keys are in it. */
  readonly filesDir: string;
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
  | {
      readonly kind: "refused";
      readonly detail: string;
      /** Lines that it complains about, the first is 1; empty when it was not the text. */
      readonly lines: readonly number[];
    };

/** What HAProxy is given. */
export interface LoadableConfig {
  readonly text: string;
  readonly skeleton: string;
  readonly files: ReadonlyMap<string, string>;
  /** Copies that it sends requests to from the first; see `RenderedConfig`. */
  readonly servers: ReadonlySet<string>;
}

/** HAProxy adds a suffix of 10 characters to its socket's path while it binds; the kernel's limit is 107. */
const SOCKET_PATH_BYTES_MAX = 97;
/** `haproxy -c` reads 5,000 routes in about a second; a loaded machine takes far longer. */
const CHECK_TIMEOUT_MS = 30_000;
/** From start or reload to a worker that answers: 20 to 50 ms, far more under load. */
const LOAD_TIMEOUT_MS = 5_000;
const LOAD_POLL_MS = 5;
/** Until the files say what HAProxy was told by its runtime API. */
const KEEP_AFTER_MS = 1_000;
/** Workers of a dead master end by themselves within milliseconds; then they are killed. */
const ORPHAN_TIMEOUT_MS = 500;
/**
 * A master between two workers answers after 50 ms, on a machine that is full after a second; what is
 * silent for longer hangs. Workers of a dead master are gone within milliseconds, so its successor is not late.
 */
const SILENCE_TIMEOUT_MS = 10_000;
/** HAProxy writes notices only; the file begins anew at a start when it has grown beyond this. */
const LOG_BYTES_MAX = 1024 * 1024;

export class Haproxy {
  readonly #options: HaproxyOptions;
  readonly #cli: MasterCli;
  readonly #files: GeneratedFiles;
  /** Text that this program has accepted: after a crash it is not checked again, which halves the gap. */
  #accepted: string | undefined;
  #kept: LoadableConfig | undefined;
  /** What the file on disk says; unknown until this process has written it. */
  #written: LoadableConfig | undefined;
  #cancelKeeping: CancelTimer | undefined;

  constructor(options: HaproxyOptions) {
    this.#options = options;
    this.#cli = masterCli(this.masterSocketPath, options.clock);
    mkdirSync(options.dir, { recursive: true, mode: 0o755 });
    this.#files = new GeneratedFiles(options.filesDir);
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

  /** A link into the folder in memory: the path that a running master knows stays the same. */
  get configPath(): string {
    return `${this.#options.dir}/haproxy.cfg`;
  }

  /** Its standard output, a line for each request. */
  get accessLogPath(): string {
    return `${this.#options.dir}/access.log`;
  }

  /** Why this folder cannot be used, if so. */
  get pathProblem(): string | undefined {
    const long = [this.statsSocketPath, this.masterSocketPath].find(
      (path) => Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX,
    );
    return long && `the path ${long} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`;
  }

  /**
   * The running HAProxy of this folder, whoever started it; `undefined` when there is none. One that exists and
   * says nothing is waited for: a master that reloads is not to be taken for a dead one, and killed.
   */
  async findSettled(): Promise<RunningHaproxy | undefined> {
    const { clock, log } = this.#options;
    const deadlineMs = clock.monotonic() + SILENCE_TIMEOUT_MS;
    for (;;) {
      const found = await this.find();
      if (found !== undefined || this.#ownProcesses().length === 0) return found;
      if (clock.monotonic() >= deadlineMs) {
        log.warn("HAProxy says nothing any more", { pids: this.#ownProcesses() });
        return undefined;
      }
      await sleep(clock, LOAD_POLL_MS);
    }
  }

  /** One look: `undefined` when it gave no answer, dead or busy. */
  async find(): Promise<RunningHaproxy | undefined> {
    try {
      const said = await this.#cli.run(["show proc", "@1 show info"]);
      const processes = parseProcesses(said);
      if (processes === undefined || processes.currentWorkers.length === 0) return undefined;
      const skeleton = /^description: (.*)$/m.exec(said)?.[1];
      return skeleton === undefined ? undefined : { ...processes, skeleton };
    } catch {
      return undefined; // Nobody listens, or a master that hangs: `start` clears it away.
    }
  }

  /**
   * As `writeConfig`, soon: the running HAProxy has been told otherwise, a reload or a start writes its own,
   * and replacing files for each changed copy costs more than telling HAProxy does. But at once when a copy
   * of the file leaves: somebody else's reload would send requests to it until it is drained again.
   */
  keepConfig(config: LoadableConfig): void {
    const written = this.#written;
    if (written === undefined || [...written.servers].some((copy) => !config.servers.has(copy))) {
      this.writeConfig(config);
      return;
    }
    this.#kept = config;
    this.#cancelKeeping ??= this.#options.clock.setTimer(KEEP_AFTER_MS, () => this.writeKept());
  }

  /** Writes what `keepConfig` has left for later. */
  writeKept(): void {
    const kept = this.#kept;
    if (kept !== undefined) this.writeConfig(kept);
  }

  /** Keeps the files what a reload or a start should begin with. */
  writeConfig(config: LoadableConfig): void {
    const { text, files } = config;
    this.#kept = undefined;
    this.#written = config;
    this.#cancelKeeping?.();
    this.#cancelKeeping = undefined;
    this.#files.write(files);
    const path = this.#files.path("haproxy.cfg");
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    linkTo(path, this.configPath);
    this.#files.removeOthers(files);
  }

  /** Whether a running HAProxy writes its access log to our file: an older `net` started it otherwise. */
  writesAccessLog({ masterPid }: RunningHaproxy): boolean {
    try {
      return readlinkSync(`/proc/${masterPid}/fd/1`) === this.accessLogPath;
    } catch {
      return false;
    }
  }

  /** Starts HAProxy. What was left of an earlier one has been cleared (`clearOrphans`). */
  async start(config: LoadableConfig): Promise<LoadResult> {
    const refusal = await this.check(config);
    if (refusal !== undefined) return refusal;
    this.writeConfig(config);
    this.#spawn();
    const running = await this.#awaitLoaded((found) => found.skeleton === config.skeleton);
    if (running !== undefined) return { kind: "loaded", running };
    return { kind: "refused", detail: `it did not start: ${this.#lastWords()}`, lines: [] };
  }

  /** Changes to `config` without closing a port or a connection. The old worker goes on if that fails. */
  async reload(config: LoadableConfig, before: RunningHaproxy): Promise<LoadResult> {
    const refusal = await this.check(config);
    if (refusal !== undefined) return refusal;
    this.writeConfig(config);
    await this.#cli.ask("reload");
    const [oldWorker] = before.currentWorkers;
    const running = await this.#awaitLoaded(
      (found) => found.skeleton === config.skeleton && found.currentWorkers[0] !== oldWorker,
      (found) => found.reloadsFailed > before.reloadsFailed,
    );
    if (running !== undefined) return { kind: "loaded", running };
    return { kind: "refused", detail: `the reload failed: ${this.#lastWords()}`, lines: [] };
  }

  /** Ends HAProxy and all its workers, with their connections. */
  async stop(): Promise<void> {
    for (const pid of this.#ownProcesses()) signal(pid, "SIGTERM");
    await this.clearOrphans();
  }

  /** What the installed HAProxy says against it, if anything. */
  async check({
    text,
    files,
  }: LoadableConfig): Promise<Exclude<LoadResult, { kind: "loaded" }> | undefined> {
    if (text === this.#accepted) return undefined;
    this.#files.write(files);
    const path = this.#files.path("haproxy.cfg.check");
    writeFileSync(path, text, { mode: 0o600 });
    const { program, clock } = this.#options;
    const args = ["-c", "-q", "-f", path];
    const result = await runProgram({ file: program, args, clock, timeoutMs: CHECK_TIMEOUT_MS });
    if (result.kind === "missing") return { kind: "missing" };
    if (result.code === 0) {
      this.#accepted = text;
      return undefined;
    }
    const alerts = result.stderr.split("\n").filter((line) => line.includes("[ALERT]"));
    const words = (alerts[0] ?? result.stderr).replaceAll(path, "haproxy.cfg");
    const lines = alerts.flatMap((line) => /\.check:(\d+)\]/.exec(line)?.[1] ?? []).map(Number);
    return { kind: "refused", detail: words.slice(0, 500), lines };
  }

  #spawn(): void {
    const path = `${this.#options.dir}/haproxy.log`;
    const large = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX;
    const log = openSync(path, large ? "w" : "a", 0o640);
    // Appending: whoever shortens the file does not leave a hole.
    const accessLog = openSync(this.accessLogPath, "a", 0o600);
    const args = ["-W", "-S", `${this.masterSocketPath},mode,600`, "-f", this.configPath];
    const child = spawn(this.#options.program, args, {
      detached: true,
      stdio: ["ignore", accessLog, log],
      cwd: "/",
    });
    child.on("error", (error) => this.#options.log.warn("HAProxy could not be started", { error }));
    child.unref();
    closeSync(log);
    closeSync(accessLog);
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

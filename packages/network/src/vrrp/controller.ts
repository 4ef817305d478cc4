/**
 * Keeps keepalived on the floating addresses of the model: started when there are some, told to read its file again
 * when it changed, ended when there are none. It outlives `net`, like HAProxy: an address does not move because of us.
 *
 * A file that keepalived refuses is not used, and said; the one before stays in force.
 * Design page: docs/design/ingress.md.
 */

import { spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { networkInterfaces } from "node:os";
import type { Clock, Driver, Logger, Loop } from "@berth/base";
import type { FloatingModel } from "../ingress-model.ts";
import { runProgram } from "../program.ts";
import type { NetProblem } from "../report.ts";
import { checkText, type PlacedFloating, vrrpConfig } from "./config.ts";
import { type HostInterface, interfaceFor } from "./interface-for.ts";

export interface VrrpControllerOptions {
  /** Folder of its files, for root alone. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** `keepalived`, found by PATH. */
  readonly program?: string;
}

/** What of a model this part follows. */
export interface VrrpInput {
  readonly floating: readonly FloatingModel[];
  readonly httpPort: number;
}

/** How long a keepalived that died leaves this node without its addresses; another node has them meanwhile. */
const LOOK_PERIOD_MS = 4_000;
const LOOP_NAME = "floating-addresses";
/** Reading a file of 255 addresses takes milliseconds. */
const CHECK_TIMEOUT_MS = 10_000;
/** Its log begins anew beyond this. */
const LOG_BYTES_MAX = 1024 * 1024;
/** Of keepalived's own words in a problem. */
const DETAIL_CHARACTERS_MAX = 400;

export class VrrpController {
  readonly #options: VrrpControllerOptions;
  readonly #program: string;
  readonly #loop: Loop;
  #input: VrrpInput = { floating: [], httpPort: 0 };
  #queue: Promise<unknown> = Promise.resolve();
  #problems: readonly NetProblem[] = [];
  /** Pid of the one that this process started last. */
  #started: number | undefined;

  constructor(options: VrrpControllerOptions) {
    this.#options = options;
    this.#program = options.program ?? "keepalived";
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps keepalived on the floating addresses of this node",
      periodMs: LOOK_PERIOD_MS,
      run: () => this.#serially(() => this.#follow()),
    });
  }

  /** Resolves when keepalived was told; what it then decides is between the nodes. */
  async apply(input: VrrpInput): Promise<void> {
    this.#input = input;
    try {
      await this.#serially(() => this.#follow());
    } catch (error) {
      this.#problems = [failed(String(error))];
      this.#loop.wake();
    }
  }

  problems(): readonly NetProblem[] {
    return this.#problems;
  }

  /** Stops looking after keepalived; it goes on, unless `stop`. */
  async close({ stop }: { readonly stop: boolean }): Promise<void> {
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    if (stop) this.#end();
  }

  #serially(work: () => Promise<void>): Promise<void> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #follow(): Promise<void> {
    const { floating, httpPort } = this.#input;
    // Most nodes have none, and follow a model for each copy that comes: a look at all interfaces takes a millisecond.
    const interfaces = floating.length === 0 ? [] : hostInterfaces();
    const placed: PlacedFloating[] = [];
    const problems: NetProblem[] = [];
    for (const part of floating) {
      const name = interfaceFor(part, interfaces);
      if (name !== undefined) placed.push({ ...part, interface: name });
      else problems.push(failed(nowhere(part)));
    }
    if (placed.length === 0) this.#end();
    else problems.push(...(await this.#run(placed, httpPort)));
    this.#problems = problems;
  }

  async #run(placed: readonly PlacedFloating[], httpPort: number): Promise<NetProblem[]> {
    const { dir, clock, log } = this.#options;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#shortenLog();
    const checkProgram = `${dir}/answers`;
    const text = vrrpConfig(placed, { checkProgram });
    const check = checkText(httpPort);
    if (contentOf(checkProgram) !== check) {
      writeFileSync(checkProgram, check, { mode: 0o700 });
      chmodSync(checkProgram, 0o700);
    }
    const pid = this.#pid();
    const isSame = contentOf(this.#file) === text;
    if (isSame && pid !== undefined) return [];
    if (!isSame) {
      const tried = `${this.#file}.new`;
      writeFileSync(tried, text, { mode: 0o600 });
      const args = ["--config-test", "-f", tried];
      const result = await runProgram({
        file: this.#program,
        args,
        clock,
        timeoutMs: CHECK_TIMEOUT_MS,
      });
      if (result.kind === "missing") return [{ code: "program_missing", program: this.#program }];
      if (result.code !== 0) {
        const words = `${result.stdout}${result.stderr}`.trim().slice(0, DETAIL_CHARACTERS_MAX);
        return [failed(`keepalived refuses the floating addresses: ${words}`)];
      }
      writeFileSync(this.#file, text, { mode: 0o600 });
    }
    if (pid === undefined) this.#start();
    else process.kill(pid, "SIGHUP");
    log.info("keepalived follows", { addresses: placed.map(({ address }) => address) });
    return [];
  }

  #start(): void {
    const { dir } = this.#options;
    const out = openSync(this.#log, "a", 0o600);
    const args = ["--dont-fork", "--vrrp", "--log-console", "--use-file", this.#file];
    args.push("--pid", `${dir}/keepalived.pid`, "--vrrp_pid", `${dir}/vrrp.pid`);
    const child = spawn(this.#program, args, { detached: true, stdio: ["ignore", out, out] });
    child.on("error", ({ message }) => {
      this.#problems = [failed(message)];
    });
    this.#started = child.pid;
    child.unref();
    closeSync(out);
  }

  /** Ends it and takes its addresses from this host. */
  #end(): void {
    const pid = this.#pid();
    if (pid !== undefined) process.kill(pid, "SIGTERM");
    rmSync(this.#file, { force: true });
  }

  /** Of the keepalived that reads our file, and of no other one. */
  #pid(): number | undefined {
    // It writes its file a moment after its start.
    const written = Number(contentOf(`${this.#options.dir}/keepalived.pid`)?.trim());
    return [written, this.#started].find((pid) => {
      if (pid === undefined || !Number.isInteger(pid) || pid <= 1) return false;
      const words = contentOf(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
      return words.includes(this.#file);
    });
  }

  /** A neighbour on the wire that speaks with our number is a line five times a second. */
  #shortenLog(): void {
    const size = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0;
    if (size > LOG_BYTES_MAX) truncateSync(this.#log);
  }

  get #log(): string {
    return `${this.#options.dir}/keepalived.log`;
  }

  get #file(): string {
    return `${this.#options.dir}/keepalived.conf`;
  }
}

function hostInterfaces(): HostInterface[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ family, cidr }) =>
      family === "IPv4" && cidr !== null ? [{ name, cidr }] : [],
    ),
  );
}

function nowhere(part: FloatingModel): string {
  const where = part.interface;
  return where === undefined
    ? `no interface of this host has the range of floating address ${part.address}: name one with --interface`
    : `this host has no interface ${where} for floating address ${part.address}`;
}

function failed(detail: string): NetProblem {
  return { code: "part_failed", part: "ingress", detail };
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

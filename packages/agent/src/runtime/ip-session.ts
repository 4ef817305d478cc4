/**
 * One long-lived `ip -batch -` for the host's ends of pairs: a program of its own for each start costs many
 * times what its commands do (docs/adr/0048-programs-that-stay.md).
 *
 * `ip` ends with the first command that fails, so an answer to the line behind a batch says that all of it
 * was done. It remembers the number of each interface that it has met by name: a batch that could meet
 * another one of a known name (made anew, by whomever) gets a new process. One batch at a time.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { interfaceIdentity } from "@berth/network/interfaces";

/** What a batch does with interfaces. */
export interface IpBatch {
  /** Lines for `ip -batch`. */
  readonly commands: string;
  /** Interfaces that it makes. */
  readonly made: readonly string[];
  /** Interfaces that it uses and that have to be up. */
  readonly used: readonly string[];
}

export interface IpSessionOptions {
  /** A batch takes milliseconds; past this the process is ended, and the batch has failed. */
  readonly timeoutMs: number;
  /** Without a batch for this long the process ends. */
  readonly idleMs: number;
}

/** Answered whatever there is, and only once all before it has succeeded. */
const LAST_LINE = "link show dev lo\n";
const ANSWER = /^ +link\/.*\n/m;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class IpSession {
  readonly #options: IpSessionOptions;
  #child: Child | undefined;
  /** Interfaces that the process has made, and what told those apart that it has used. */
  #made = new Set<string>();
  #used = new Map<string, string>();
  #idle: NodeJS.Timeout | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: IpSessionOptions) {
    this.#options = options;
  }

  /** Nothing when all was done, else what `ip` said of the command that failed; those before it were done. */
  run(batch: IpBatch): Promise<string | undefined> {
    const next = this.#queue.then(() => this.#run(batch));
    this.#queue = next.catch(() => {});
    return next;
  }

  async #run(batch: IpBatch): Promise<string | undefined> {
    clearTimeout(this.#idle);
    if (!this.#knowsOnlyTrue(batch)) this.#end();
    const child = this.#child ?? this.#start();
    for (const name of batch.made) this.#made.add(name);
    for (const name of batch.used) this.#used.set(name, identityOf(name));
    const failure = await this.#ask(child, batch.commands);
    if (failure !== undefined) this.#forget();
    this.#idle = setTimeout(() => this.#end(), this.#options.idleMs);
    return failure;
  }

  /** Whether every name that the process may remember is still of what it remembers. */
  #knowsOnlyTrue({ made, used }: IpBatch): boolean {
    if (made.some((name) => this.#made.has(name))) return false;
    return used.every((name) => {
      const known = this.#used.get(name);
      return known === undefined || (known !== "" && known === identityOf(name));
    });
  }

  #ask(child: Child, commands: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      let stdout = "";
      let stderr = "";
      const onOutput = (chunk: string) => {
        stdout += chunk;
        if (ANSWER.test(stdout)) settle();
      };
      const onError = (chunk: string) => {
        stderr += chunk;
      };
      const onClose = () => settle(stderr.trim() || "ip ended");
      const onFailure = (error: Error) => settle(error.message);
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        // Not only by its end: one that had ended before the question has no end to tell any more.
        settle("ip did not answer");
      }, this.#options.timeoutMs);
      const settle = (failure?: string) => {
        clearTimeout(timer);
        child.stdout.off("data", onOutput);
        child.stderr.off("data", onError);
        child.off("close", onClose).off("error", onFailure);
        resolve(failure);
      };
      child.stdout.on("data", onOutput);
      child.stderr.on("data", onError);
      child.on("close", onClose).on("error", onFailure);
      child.stdin.write(`${commands}${LAST_LINE}`);
    });
  }

  #start(): Child {
    const child = spawn("ip", ["-batch", "-"], { stdio: ["pipe", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8");
    child.stderr.setEncoding("utf8");
    // Told by its end.
    child.stdin.on("error", () => {});
    // Killed by somebody between two batches: the next one gets another.
    child.on("close", () => {
      if (this.#child === child) this.#forget();
    });
    this.#child = child;
    return child;
  }

  /** It ends by itself when nothing more can come. */
  #end(): void {
    this.#child?.stdin.end();
    this.#forget();
  }

  #forget(): void {
    this.#child = undefined;
    this.#made = new Set();
    this.#used = new Map();
  }
}

/** Empty for an interface that is not up. */
function identityOf(name: string): string {
  return interfaceIdentity([name]) ?? "";
}

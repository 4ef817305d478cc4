/**
 * A program that stays and reads what it is to do: one of its own for each thing costs many times what the
 * thing does (docs/adr/0048-programs-that-stay.md). It is started at the first question, ends when none has
 * come for a while, and one that does not answer is ended. One question at a time.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** How long is waited for it, and it waits for us. */
export interface StayingProgramTimes {
  /** An answer takes milliseconds; past this the process is ended, and the question has failed. */
  readonly timeoutMs: number;
  /** Without a question for this long the process ends. */
  readonly idleMs: number;
}

export interface StayingProgramOptions extends StayingProgramTimes {
  readonly argv: readonly [string, ...string[]];
  /** In its output: all was done. */
  readonly answer: RegExp;
  /** In its errors: something was not, though it stays. Without one it ends then. */
  readonly failure?: RegExp;
  /** Descriptors that it gets as its own, from 3 on. */
  readonly files?: readonly number[];
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class StayingProgram {
  readonly #options: StayingProgramOptions;
  #child: Child | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: StayingProgramOptions) {
    this.#options = options;
  }

  /** A process waits for questions, and has had some. */
  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Nothing when all was done, else what it said of that. After a failure there is a new process. */
  async ask(question: string): Promise<string | undefined> {
    clearTimeout(this.#idle);
    const failure = await this.#ask(this.#child ?? this.#start(), question);
    if (failure === undefined) this.#idle = setTimeout(() => this.end(), this.#options.idleMs);
    else this.end();
    return failure;
  }

  /** It ends by itself when nothing more can come. */
  end(): void {
    clearTimeout(this.#idle);
    this.#child?.stdin.end();
    this.#child = undefined;
  }

  #ask(child: Child, question: string): Promise<string | undefined> {
    const { argv, answer, failure, timeoutMs } = this.#options;
    return new Promise((resolve) => {
      let stdout = "";
      let stderr = "";
      const onOutput = (chunk: string) => {
        stdout += chunk;
        if (answer.test(stdout)) settle();
      };
      const onError = (chunk: string) => {
        stderr += chunk;
        if (failure?.test(stderr) === true) settle(stderr.trim());
      };
      const onClose = () => settle(stderr.trim() || `${argv[0]} ended`);
      const onFailure = (error: Error) => settle(error.message);
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        // Not only by its end: one that had ended before the question has no end to tell any more.
        settle(`${argv[0]} did not answer`);
      }, timeoutMs);
      const settle = (reason?: string) => {
        clearTimeout(timer);
        child.stdout.off("data", onOutput);
        child.stderr.off("data", onError);
        child.off("close", onClose).off("error", onFailure);
        resolve(reason);
      };
      child.stdout.on("data", onOutput);
      child.stderr.on("data", onError);
      child.on("close", onClose).on("error", onFailure);
      child.stdin.write(question);
    });
  }

  #start(): Child {
    const { argv, files = [] } = this.#options;
    const [program, ...words] = argv;
    const stdio = ["pipe", "pipe", "pipe", ...files] as ["pipe", "pipe", "pipe"];
    const child = spawn(program, words, { stdio });
    child.stdout.setEncoding("utf8");
    child.stderr.setEncoding("utf8");
    // Told by its end, also when there is no such program.
    child.stdin.on("error", () => {});
    child.on("error", () => {});
    // Killed by somebody between two questions: the next one gets another.
    child.on("close", () => {
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = child;
    return child;
  }
}

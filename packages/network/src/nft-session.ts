/**
 * One long-lived `nft -i`: a command costs half a millisecond there, where a program of its own costs ten (it
 * is made, linked and ended, and this process stands still while it is copied).
 *
 * Commands are asked one after the other. What says that an answer is complete are two more lines behind each
 * command, one that nft answers and one that it refuses: whatever it had to say before is then read from both
 * of its outputs. A process that dies or hangs fails what was asked of it; the next command starts another.
 * Its user's history of commands is neither read nor written. Cost: 6 MB, most of them shared with others.
 */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { CancelTimer, Clock } from "@berth/base";
import { OUTPUT_BYTES_MAX } from "./program.ts";
import type { NetPart, NetProblem } from "./report.ts";

export interface NftOptions {
  readonly nftProgram: string;
  readonly clock: Clock;
  /** Where rules are handed over; replaced with each change. In memory: a full disk must not stop one. */
  readonly file: string;
  /** After so many commands another process is taken: nft remembers each (a hundred bytes). Never by default. */
  readonly commandsMax?: number;
}

export type NftResult =
  | { readonly kind: "done"; readonly stdout: string }
  /** Nothing has changed, as far as nft could tell. */
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "missing" };

/** A table of a hundred thousand elements loads in half a second, on a machine that does little else. */
const NFT_TIMEOUT_MS = 10_000;
/** Of what nft says about a refusal: the first lines name the rule. */
const DETAIL_LENGTH_MAX = 500;
/** Answered with one line, whatever the kernel has. */
const ANSWERED = "describe ip daddr";
const ANSWER = /^payload expression.*\n/m;
/** No home: nft would add what it was asked to the history of whoever works there. */
const NO_HOME = "/dev/null";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

interface Question {
  /** The refused line behind the command. */
  readonly end: string;
  readonly resolve: (result: NftResult) => void;
  readonly cancelTimer: CancelTimer;
}

export class NftSession {
  readonly #options: NftOptions;
  #child: Child | undefined;
  #commands = 0;
  #question: Question | undefined;
  #output = { stdout: "", stderr: "" };
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: NftOptions) {
    this.#options = options;
  }

  /** The process lives that has answered last: tables that belong to it are there. */
  get isOpen(): boolean {
    return this.#child !== undefined;
  }

  /** One transaction of `text`: all of it or nothing. */
  apply(text: string): Promise<NftResult> {
    return this.#serially(() => {
      writeFileSync(this.#options.file, text, { mode: 0o600 });
      return this.#ask(`include "${this.#options.file}"`);
    });
  }

  /** A listing as JSON, `list chains inet`. */
  list(command: string): Promise<NftResult> {
    return this.#serially(() => this.#ask(command));
  }

  /** Ends the process, and tables that belong to it; a later command starts another. */
  close(): void {
    this.#child?.kill("SIGKILL");
    this.#gone(this.#child, { kind: "refused", detail: "nft was ended" });
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  #ask(command: string): Promise<NftResult> {
    const { clock, commandsMax = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#commands >= commandsMax) this.close();
    const child = this.#child ?? this.#start();
    const end = `end_of_command_${++this.#commands}`;
    this.#output = { stdout: "", stderr: "" };
    const late: NftResult = { kind: "refused", detail: `no answer within ${NFT_TIMEOUT_MS} ms` };
    return new Promise((resolve) => {
      const cancelTimer = clock.setTimer(NFT_TIMEOUT_MS, () => this.#giveUp(child, late));
      this.#question = { end, resolve, cancelTimer };
      child.stdin.write(`${command}\n${ANSWERED}\n${end}\n`);
    });
  }

  #start(): Child {
    const environment = { ...process.env, HOME: NO_HOME };
    const child = spawn(this.#options.nftProgram, ["-j", "-i"], {
      stdio: ["pipe", "pipe", "pipe"],
      env: environment,
    });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        if (this.#child === child) this.#take(child, name, chunk);
      });
    }
    // Told by its end.
    child.stdin.on("error", () => {});
    child.on("error", (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === "ENOENT";
      this.#gone(child, isMissing ? { kind: "missing" } : refusal(error.message));
    });
    child.on("exit", () => this.#gone(child, refusal(`nft ended: ${this.#output.stderr}`)));
    child.unref();
    this.#child = child;
    this.#commands = 0;
    return child;
  }

  #take(child: Child, name: "stdout" | "stderr", chunk: string): void {
    const output = this.#output;
    output[name] += chunk;
    if (output[name].length > OUTPUT_BYTES_MAX) this.#giveUp(child, refusal("nft said too much"));
    const question = this.#question;
    if (question === undefined) return;
    const end = output.stderr.indexOf(`\n${question.end}\n`);
    const answer = ANSWER.exec(output.stdout);
    if (end < 0 || answer === null) return;
    // Its last line there is about the line that it had to refuse.
    const said = output.stderr.slice(0, output.stderr.lastIndexOf("\n", end - 1) + 1);
    const isRefused = said.includes("Error");
    this.#settle(
      isRefused ? refusal(said) : { kind: "done", stdout: output.stdout.slice(0, answer.index) },
    );
  }

  #giveUp(child: Child, result: NftResult): void {
    child.kill("SIGKILL");
    this.#gone(child, result);
  }

  #gone(child: Child | undefined, result: NftResult): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#commands = 0;
    this.#settle(result);
  }

  #settle(result: NftResult): void {
    const question = this.#question;
    this.#question = undefined;
    question?.cancelTimer();
    question?.resolve(result);
  }
}

function refusal(detail: string): NftResult {
  return { kind: "refused", detail: detail.trim().slice(0, DETAIL_LENGTH_MAX) };
}

/** What people should know about a result that is not `done`. */
export function nftProblem(
  part: NetPart,
  program: string,
  result: Exclude<NftResult, { kind: "done" }>,
): NetProblem {
  if (result.kind === "missing") return { code: "program_missing", program };
  const { detail } = result;
  return /not permitted|denied/i.test(detail)
    ? { code: "not_permitted", id: part, detail }
    : { code: "part_failed", part, detail };
}

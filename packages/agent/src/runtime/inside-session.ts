/**
 * Runs `ip` in the network namespaces of processes, from one small process that stays.
 *
 * A namespace can only be entered by a program of its own, and starting one from an agent costs the agent as much as
 * the program costs: the kernel copies the tables of a hundred megabytes. `xargs` starts the same program from
 * two, one for each line that it reads, and none before the one before has ended. One batch at a time.
 *
 * An `ip` that has answered looks once more whether its batch goes on. So the next batch is in another file, and the
 * one after that, for which the first file is written again, comes after the next one's answer: by then it has ended.
 */

import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { LAST_ANSWER, LAST_LINE } from "./ip-session.ts";
import { StayingProgram, type StayingProgramTimes } from "./staying-program.ts";

/** `ip` names the line of its file; who fails before that says his name. */
const FAILURE = /^(?:Command failed|Cannot open|nsenter:|xargs:).*\n/m;
/** Batches are handed down as descriptors from here on: files without a name, so nothing is left of them, whoever is killed. */
const FIRST_FILE = 3;
/** Words of a line. */
const XARGS = ["xargs", "-n", "4", "nsenter"] as const;

interface Going {
  readonly files: readonly [number, number];
  readonly program: StayingProgram;
}

export class InsideSession {
  readonly #folder: string;
  readonly #times: StayingProgramTimes;
  #now: Going | undefined;
  #batches = 0;
  #queue: Promise<unknown> = Promise.resolve();

  /** `folder`: on a volatile disk. */
  constructor(folder: string, times: StayingProgramTimes) {
    this.#folder = folder;
    this.#times = times;
  }

  /** Nothing when all was done, else what failed; the commands before it were done. */
  run(pid: number, commands: string): Promise<string | undefined> {
    const next = this.#queue.then(() => this.#run(pid, commands));
    this.#queue = next.catch(() => {});
    return next;
  }

  /** No more batches for now. */
  close(): void {
    this.#now?.program.end();
    for (const file of this.#now?.files ?? []) closeSync(file);
    this.#now = undefined;
  }

  #run(pid: number, commands: string): Promise<string | undefined> {
    const { files, program } = this.#going();
    const index = this.#batches++ % 2 === 0 ? 0 : 1;
    ftruncateSync(files[index]);
    writeSync(files[index], `${commands}${LAST_LINE}`, 0);
    const words = ["ip", "-batch", `/proc/self/fd/${FIRST_FILE + index}`];
    return program.ask(`--net=/proc/${pid}/ns/net ${words.join(" ")}\n`);
  }

  /** After a batch that failed or was not answered another process has other files: that one may read its own yet. */
  #going(): Going {
    if (this.#now?.program.isRunning === true) return this.#now;
    this.close();
    const files = [this.#openFile(), this.#openFile()] as const;
    const words = { answer: LAST_ANSWER, failure: FAILURE };
    const program = new StayingProgram({ argv: XARGS, files, ...words, ...this.#times });
    this.#now = { files, program };
    return this.#now;
  }

  #openFile(): number {
    const path = join(this.#folder, `.inside-${process.pid}-${threadId}`);
    const file = openSync(path, "w+", 0o600);
    unlinkSync(path);
    return file;
  }
}

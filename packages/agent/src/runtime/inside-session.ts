/**
 * Runs `ip` in the network namespaces of processes, from one small process that stays.
 *
 * A namespace can only be entered by a program of its own, and starting one from an agent costs the agent as much as
 * the program costs: the kernel copies the tables of a hundred megabytes. `xargs` starts the same program from
 * two, one for each line that it reads. One batch at a time.
 */

import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { LAST_ANSWER, LAST_LINE } from "./ip-session.ts";
import { StayingProgram, type StayingProgramTimes } from "./staying-program.ts";

/** `ip` names the line of its file; who fails before that says his name. */
const FAILURE = /^(?:Command failed|Cannot open|nsenter:|xargs:).*\n/m;
/** The batch is handed down as this descriptor: a file without a name, so nothing is left of it, whoever is killed. */
const BATCH = 3;
const INSIDE = ["nsenter", "--net=/proc/{}/ns/net", "ip", "-batch", `/proc/self/fd/${BATCH}`];

export class InsideSession {
  readonly #program: StayingProgram;
  readonly #batch: number;
  #queue: Promise<unknown> = Promise.resolve();

  /** `folder`: on a volatile disk. */
  constructor(folder: string, times: StayingProgramTimes) {
    const path = join(folder, `.inside-${process.pid}-${threadId}`);
    this.#batch = openSync(path, "w+", 0o600);
    unlinkSync(path);
    const argv = ["xargs", "-I", "{}", ...INSIDE] as const;
    const words = { answer: LAST_ANSWER, failure: FAILURE };
    this.#program = new StayingProgram({ argv, files: [this.#batch], ...words, ...times });
  }

  /** Nothing when all was done, else what failed; the commands before it were done. */
  run(pid: number, commands: string): Promise<string | undefined> {
    const next = this.#queue.then(() => {
      ftruncateSync(this.#batch);
      writeSync(this.#batch, `${commands}${LAST_LINE}`, 0);
      return this.#program.ask(`${pid}\n`);
    });
    this.#queue = next.catch(() => {});
    return next;
  }

  /** No more batches. */
  close(): void {
    this.#program.end();
    closeSync(this.#batch);
  }
}

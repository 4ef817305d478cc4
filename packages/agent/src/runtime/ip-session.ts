/**
 * One long-lived `ip -batch -` for the host's ends of pairs.
 *
 * `ip` ends with the first command that fails, so an answer to the line behind a batch says that all of it
 * was done. It remembers the number of each interface that it has met by name: a batch that could meet
 * another one of a known name (made anew, by whomever) gets a new process. One batch at a time.
 */

import { interfaceIdentity } from "@berth/network/interfaces";
import { StayingProgram, type StayingProgramTimes } from "./staying-program.ts";

/** What a batch does with interfaces. */
export interface IpBatch {
  /** Lines for `ip -batch`. */
  readonly commands: string;
  /** Interfaces that it makes. */
  readonly made: readonly string[];
  /** Interfaces that it uses and that have to be up. */
  readonly used: readonly string[];
}

/** The line behind a batch: answered whatever there is, and only once all before it has succeeded. */
export const LAST_LINE = "link show dev lo\n";
export const LAST_ANSWER = /^ +link\/.*\n/m;

export class IpSession {
  readonly #program: StayingProgram;
  /** Interfaces that the process has made, and what told those apart that it has used. */
  #made = new Set<string>();
  #used = new Map<string, string>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(times: StayingProgramTimes) {
    this.#program = new StayingProgram({
      argv: ["ip", "-batch", "-"],
      answer: LAST_ANSWER,
      ...times,
    });
  }

  /** Nothing when all was done, else what `ip` said of the command that failed; those before it were done. */
  run(batch: IpBatch): Promise<string | undefined> {
    const next = this.#queue.then(() => this.#run(batch));
    this.#queue = next.catch(() => {});
    return next;
  }

  async #run({ commands, made, used }: IpBatch): Promise<string | undefined> {
    if (!this.#program.isRunning) this.#forget();
    if (!this.#knowsOnlyTrue(made, used)) {
      this.#program.end();
      this.#forget();
    }
    for (const name of made) this.#made.add(name);
    for (const name of used) this.#used.set(name, identityOf(name));
    return await this.#program.ask(`${commands}${LAST_LINE}`);
  }

  /** Whether every name that the process may remember is still of what it remembers. */
  #knowsOnlyTrue(made: readonly string[], used: readonly string[]): boolean {
    if (made.some((name) => this.#made.has(name))) return false;
    return used.every((name) => {
      const known = this.#used.get(name);
      return known === undefined || (known !== "" && known === identityOf(name));
    });
  }

  #forget(): void {
    this.#made = new Set();
    this.#used = new Map();
  }
}

/** Empty for an interface that is not up. */
function identityOf(name: string): string {
  return interfaceIdentity([name]) ?? "";
}

/**
 * The trace of a run: one dense line an event, the same bytes for the same seed. `LEGEND` explains it.
 *
 *     12.345 n2     C+ app/web.1 u4xz a2
 *
 * is: at 12.345 s, on host n2, the container of attempt 2 of task u4xz (copy 1 of web in stack app) began
 * to run.
 */

import { createHash } from "node:crypto";

/** Every mark of a trace line with its meaning. */
export const LEGEND = {
  "S+": "a server serves",
  "S-": "the server was killed",
  "S!": "a server did not get up: its store failed it",
  "A+": "an agent starts",
  "A-": "the agent was killed",
  "E-": "the engine crashed (its containers live on, or died with it)",
  "E+": "the engine is back",
  "H-": "the host lost its power",
  "H+": "the host boots",
  "P-": "the fence hook switched the host off",
  "P!": "the fence hook could not reach the host's power controller",
  "L-": "the line between agent and server is cut, both ways or one",
  "L+": "the line is mended",
  "F~": "faults of store, lines or engines changed",
  "E~": "the engine is slow",
  "D~": "the disk under the agent is slow, full or good again",
  "K~": "the host's wall clock was set",
  "M+": "the host joined again",
  "X-": "a container's process was killed from outside",
  "O!": "an operator did something by hand that nobody should",
  "U>": "a user asks",
  "U<": "the user has an answer",
  "U!": "the user is refused",
  "R ": "a stack's release and the state of its rollout",
  "T+": "the server made a task: copy, task, release, node",
  "T~": "the server wants it stopped, or gave it up (verdict)",
  "T ": "an agent's report was stored: attempt, state, ready (+) or not",
  "T-": "the server forgot the task",
  "N ": "contact with a node, as the server sees it",
  "C+": "a container began to run: attempt",
  "C-": "a container's process ended: code",
  "W ": "a process of ours warns",
  "==": "a phase of the run begins",
  "V!": "a checker speaks: what must never be, is",
} as const satisfies Readonly<Record<string, string>>;
export type Mark = keyof typeof LEGEND;

export class Trace {
  readonly lines: string[] = [];
  readonly #now: () => number;
  readonly #start: number;
  readonly #hash = createHash("sha256");

  /** `now` is the simulation's wall time. */
  constructor(now: () => number) {
    this.#now = now;
    this.#start = now();
  }

  /** One event. `who`: a host, `server`, or a user's stack. */
  note(who: string, mark: Mark, text: string): void {
    const seconds = ((this.#now() - this.#start) / 1_000).toFixed(3).padStart(8);
    const line = `${seconds} ${who.padEnd(6)} ${mark} ${text}`;
    this.lines.push(line);
    this.#hash.update(`${line}\n`);
  }

  /** Tells two runs apart in a few characters. Ends the trace. */
  digest(): string {
    return this.#hash.digest("hex").slice(0, 16);
  }
}

/** The legend as text, for people who read a trace. */
export function legendText(): string {
  const rows = Object.entries(LEGEND).map(([mark, meaning]) => `  ${mark}  ${meaning}`);
  return ["seconds who mark event", ...rows].join("\n");
}

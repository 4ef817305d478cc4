/** Questions about a running state: what a failure would do, what more would fit, which hosts could go. */

import type { NodeModel, Strategy } from "@berth/scheduler";
import type { TraceAsk } from "@berth/scheduler/trace/ask-line";
import { analyseFailures } from "@berth/scheduler/whole/failures";
import { headroom } from "@berth/scheduler/whole/headroom";
import type { RunningAsk } from "@berth/scheduler/whole/running";
import { scaleInCandidates } from "@berth/scheduler/whole/scale-in";
import { table } from "../output/output.ts";

export interface QuestionInput {
  readonly nodes: readonly NodeModel[];
  readonly running: readonly RunningAsk[];
  /** Asks without a place, for the headroom. */
  readonly waiting: readonly TraceAsk[];
  readonly level: string;
  readonly seed: number;
  readonly strategy: Strategy;
}

export interface Answer {
  readonly json: object;
  readonly words: readonly string[];
}

/** Tasks named in a row of words; the JSON has all of them. */
const NAMED_MAX = 5;

export const QUESTIONS = {
  failures(input: QuestionInput): Answer {
    const answers = analyseFailures(input);
    const bad = answers.filter(({ unplaced }) => unplaced.length > 0);
    const rows = bad.map(({ domain, nodes, tasks, unplaced }) => [
      domain,
      String(nodes),
      String(tasks),
      String(unplaced.length),
      unplaced.slice(0, NAMED_MAX).join(", "),
    ]);
    const said = `${answers.length - bad.length} of ${answers.length} can go with everything placed elsewhere`;
    const header = [input.level.toUpperCase(), "NODES", "TASKS", "WITHOUT A PLACE", "FOR EXAMPLE"];
    return {
      json: { mode: "failures", level: input.level, domains: answers },
      words: rows.length === 0 ? [said] : [said, "", ...table(header, rows)],
    };
  },
  headroom(input: QuestionInput): Answer {
    const asks = input.waiting.map(({ ask }) => ask);
    const answers = headroom({ ...input, asks });
    const rows = answers.map(({ ask, copies }) => [ask, String(copies)]);
    return {
      json: { mode: "headroom", asks: answers },
      words: table(["ASK", "MORE COPIES"], rows),
    };
  },
  "scale-in"(input: QuestionInput): Answer {
    const answers = scaleInCandidates(input);
    const rows = answers.map(({ node, tasks }) => [node, String(tasks)]);
    const said = `${answers.length} of ${input.nodes.length} hosts could go, one after the other`;
    return {
      json: { mode: "scale-in", hosts: answers },
      words: rows.length === 0 ? [said] : [said, "", ...table(["NODE", "TASKS TO MOVE"], rows)],
    };
  },
} as const;

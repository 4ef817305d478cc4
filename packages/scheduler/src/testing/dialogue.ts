/**
 * Dialogues: small scenarios as text, with everything that the scheduler says back. Documentation that is
 * checked (`testdata/`, run by `dialogues.test.ts`).
 *
 * A file is a sequence of blocks: command lines, a line `----`, the answer, an empty line. State goes on
 * from block to block.
 */

import { assert, formatBytes, present } from "@berth/base";
import { parseConstraint } from "../constraint-grammar.ts";
import { explainFinding, explainHints, explainPlacement, explainRefusal } from "../explain.ts";
import type { Ask, ClusterModel, Strategy } from "../model.ts";
import type { ScheduleOptions } from "../options.ts";
import type { Placement, Refusal, SchedulePlan } from "../plan.ts";
import { schedule, Transaction } from "../transaction.ts";
import {
  askFrom,
  expandName,
  nodeFrom,
  requestsFrom,
  splitWords,
  taskFrom,
} from "./dialogue-words.ts";
import { makeOptions } from "./fixtures.ts";

/** Runs all blocks of a file and returns it with the answers that the scheduler gives now. */
export function rewriteDialogue(text: string): string {
  const dialogue = new Dialogue();
  const blocks = text.trimEnd().split(/\n\n+/);
  return `${blocks.map((block) => rewriteBlock(block, dialogue)).join("\n\n")}\n`;
}

function rewriteBlock(block: string, dialogue: Dialogue): string {
  const [commands = ""] = block.split("\n----");
  const lines = commands.split("\n");
  const said = lines.filter((line) => !line.startsWith("#"));
  if (said.length === 0) return commands;
  const answers = said.flatMap((line) => dialogue.say(line));
  return [...lines, "----", ...answers].join("\n");
}

class Dialogue {
  #cluster: ClusterModel = { nodes: [], tasks: [] };
  #asks: readonly Ask[] = [];
  #options: ScheduleOptions = makeOptions();
  #last: SchedulePlan = { placements: [], refusals: [] };

  /** Carries out one command and returns the lines of the answer. */
  say(line: string): readonly string[] {
    const [command = "", name = "", ...words] = splitWords(line);
    const run = this.#commands[command];
    assert(run !== undefined, `no such command: ${line}`);
    return run(name, words, line.slice(command.length).trim());
  }

  readonly #commands: Readonly<
    Record<string, (name: string, words: readonly string[], rest: string) => readonly string[]>
  > = {
    node: (name, words) => {
      const nodes = expandName(name).map((id) => nodeFrom(id, words));
      this.#cluster = { ...this.#cluster, nodes: [...this.#cluster.nodes, ...nodes] };
      return [];
    },
    task: (name, [on = "", node = "", ...words]) => {
      assert(on === "on", "expected: task NAME on NODE");
      this.#change((transaction) => {
        for (const id of expandName(name)) transaction.apply(taskFrom(id, node, words));
      });
      return [];
    },
    ask: (name, words) => {
      this.#asks = [...this.#asks, ...expandName(name).map((id) => askFrom(id, words))];
      return [];
    },
    options: (name, words) => {
      for (const word of [name, ...words]) this.#setOption(word);
      return [];
    },
    default: (name, words) => {
      this.#options = { ...this.#options, defaults: requestsFrom([name, ...words]) };
      return [];
    },
    schedule: () => {
      this.#change((transaction) => {
        this.#last = transaction.schedule(this.#asks);
      });
      this.#asks = [];
      return planLines(this.#last);
    },
    "what-if": () => planLines(schedule(this.#cluster, this.#asks, this.#options)),
    verify: (node) => this.#asks.flatMap((ask) => this.#verify(ask, node)),
    release: (name) => {
      this.#change((transaction) => {
        for (const id of expandName(name)) assert(transaction.release(id), `no task ${id}`);
      });
      return [];
    },
    turn: (name, words) => {
      const [what = ""] = words;
      const turns = { ready: { ready: true }, lost: { ready: false }, drain: { draining: true } };
      const turn = { ...turns, back: { draining: false } }[what];
      this.#change((transaction) => {
        assert(transaction.turn(name, present(turn, `turn ${what}`)), `no node ${name}`);
      });
      return [];
    },
    cluster: () => this.#clusterLines(),
    hints: () => this.#last.refusals.map((refusal) => JSON.stringify(refusal.hints)),
    data: () =>
      this.#last.refusals.flatMap((refusal) => refusal.rules.map((r) => JSON.stringify(r))),
    constraint: (_name, _words, rest) => [JSON.stringify(parseConstraint(rest))],
  };

  #change(change: (transaction: Transaction) => void): void {
    const transaction = new Transaction(this.#cluster, this.#options);
    change(transaction);
    this.#cluster = transaction.cluster();
  }

  #setOption(word: string): void {
    const [key = "", value = ""] = word.split("=");
    if (key === "seed") this.#options = { ...this.#options, seed: Number(value) };
    else if (key === "strategy") this.#options = { ...this.#options, strategy: value as Strategy };
    else if (key === "preempt") this.#setPreemption(value);
    else this.#options = { ...this.#options, weights: { [key]: Number(value) } };
  }

  /** `preempt`, or `preempt=web:1` with a limit for a service. */
  #setPreemption(limit: string): void {
    const [service = "", count] = limit.split(":");
    const limits = count === undefined ? {} : { [service]: Number(count) };
    this.#options = { ...this.#options, preemption: { limits } };
  }

  #verify(ask: Ask, node: string): readonly string[] {
    const findings = new Transaction(this.#cluster, this.#options).verify(ask, node);
    if (findings.length === 0) return [`${ask.id} fits on ${node}`];
    return findings.map((finding) => `${ask.id} on ${node}: it ${explainFinding(finding)}`);
  }

  #clusterLines(): readonly string[] {
    return this.#cluster.nodes.map(({ id, cpuMillis, memoryBytes }) => {
      const tasks = this.#cluster.tasks.filter((task) => task.node === id).map((task) => task.id);
      const size = `${cpuMillis / 1_000} cpu, ${formatBytes(memoryBytes)}`;
      return `${id} (${size}): ${tasks.length === 0 ? "empty" : tasks.join(" ")}`;
    });
  }
}

function planLines({ placements, refusals }: SchedulePlan): readonly string[] {
  return [...placements.map(placementLine), ...refusals.flatMap(refusalLines)];
}

function placementLine(placement: Placement): string {
  const devices = placement.devices.map(({ kind, indexes, shareMillis }) => {
    const share = shareMillis === 1_000 ? "" : ` (${shareMillis / 1_000} of each)`;
    return ` with ${kind} ${indexes.join(",")}${share}`;
  });
  return `${placement.ask} on ${explainPlacement(placement)}${devices.join("")}`;
}

function refusalLines(refusal: Refusal): readonly string[] {
  const hints = explainHints(refusal);
  const words = `${refusal.ask} waits: ${explainRefusal(refusal)}`;
  return hints.length === 0 ? [words] : [words, `  would fit if ${hints.join(" · ")}`];
}

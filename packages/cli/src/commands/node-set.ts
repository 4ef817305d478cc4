/** `berth node set`, `berth node label` and `berth node taint` */

import { type Node, type NodeChanges, ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, listOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";

const NODE = { name: "node", summary: "the node", required: true } as const;

export const command: CommandDescription = {
  summary: "labels and countable resources of a node",
  details:
    "Labels are for placement constraints (node.labels.zone == a) and spreading; of region, zone and rack the scheduler knows that they are places. Resources are counted: a copy that asks for one (gpus, generic_resources) takes it away from the others. A name with a minus behind it takes it away.",
  arguments: [NODE],
  options: [
    {
      flags: "--label <name=value...>",
      summary: "set a label; NAME- takes it away; once for each",
    },
    {
      flags: "--resource <name=number...>",
      summary: "set a resource; NAME- takes it away; once for each",
    },
  ],
  examples: [
    { line: "berth node set node-1 --label zone=a --label disk=ssd", does: "two labels" },
    { line: "berth node set node-1 --resource gpu=2", does: "two graphics processors to give" },
    { line: "berth node set node-1 --label disk-", does: "the label disk is gone" },
  ],
  run,
};

export const label: CommandDescription = {
  summary: "set or take away labels of a node",
  details:
    "Labels are for placement constraints (node.labels.zone == a) and spreading. A copy that runs stays where it is; the next one is placed by the new labels.",
  arguments: [
    NODE,
    {
      name: "labels",
      summary: "NAME=VALUE sets, NAME- takes away",
      required: true,
      variadic: true,
    },
  ],
  examples: [
    { line: "berth node label node-1 zone=a disk=ssd", does: "two labels" },
    { line: "berth node label node-1 disk-", does: "the label disk is gone" },
  ],
  run: (input) => change(input, { labels: changesOf(input.words.slice(1), (text) => text) }),
};

export const taint: CommandDescription = {
  summary: "keep copies away from a node that do not tolerate it",
  details:
    "A service tolerates a taint by its key, or key and value, under x-berth: {tolerations: [gpu, team=data]}. no-schedule is the rule: what runs on the node already stays. prefer-no-schedule counts only where another node has room. no-execute also moves away what runs, by the limits of its rollout, but for copies whose volume lies there; copies of global services stop.",
  arguments: [
    NODE,
    {
      name: "taints",
      summary:
        "KEY[=VALUE][:EFFECT] sets, KEY- takes away; EFFECT is no-schedule (default), prefer-no-schedule or no-execute",
      required: true,
      variadic: true,
    },
  ],
  examples: [
    { line: "berth node taint node-1 gpu", does: "only services that tolerate gpu come to node-1" },
    { line: "berth node taint node-1 team=data:prefer-no-schedule", does: "others come last" },
    {
      line: "berth node taint node-1 repair:no-execute",
      does: "what does not tolerate repair leaves as well",
    },
    { line: "berth node taint node-1 gpu-", does: "the taint is gone" },
  ],
  run: (input) => change(input, { taints: taintsOf(input.words.slice(1)) }),
};

async function run(input: CommandInput): Promise<number> {
  const labels = changes(input, "label", (text) => text);
  const countables = changes(input, "resource", numberOf);
  if (labels === undefined && countables === undefined) {
    throw new ProtocolError("invalid_request", "nothing to set: give --label or --resource", {});
  }
  return await change(input, {
    ...(labels === undefined ? {} : { labels }),
    ...(countables === undefined ? {} : { countables }),
  });
}

async function change(input: CommandInput, body: NodeChanges): Promise<number> {
  const params = { node: input.words[0] ?? "" };
  const node = await input.connect().call("changeNode", { params, body, signal: input.signal });
  if (input.output.json) input.output.line(JSON.stringify(node));
  else input.output.line([node.name, ...wordsOf(node)].join("  "));
  return EXIT.done;
}

/** Labels, resources and taints, each as it is written on the command line. */
function wordsOf({ labels, countables = {}, taints = {} }: Node): string[] {
  const values = [...Object.entries(labels), ...Object.entries(countables)];
  return [...values.map(([name, value]) => `${name}=${value}`), ...taintWords(taints)];
}

/** `gpu:no-schedule`, `team=data:prefer-no-schedule` */
export function taintWords(taints: NonNullable<Node["taints"]>): string[] {
  return Object.entries(taints).map(([key, { value, effect }]) =>
    value === undefined ? `${key}:${effect}` : `${key}=${value}:${effect}`,
  );
}

const EFFECTS = ["no-schedule", "prefer-no-schedule", "no-execute"] as const;

function isEffect(text: string): text is (typeof EFFECTS)[number] {
  return EFFECTS.some((effect) => effect === text);
}

function taintsOf(words: readonly string[]): NonNullable<NodeChanges["taints"]> {
  return Object.fromEntries(
    words.map((word) => {
      if (word.endsWith("-") && word.length > 1) return [word.slice(0, -1), null];
      const match = /^([^=:]+)(?:=([^:]*))?(?::(.+))?$/.exec(word);
      const [, key = "", value, effect = "no-schedule"] = match ?? [];
      if (match === null || !isEffect(effect)) {
        const message = `"${word}" is no taint: expected KEY[=VALUE][:${EFFECTS.join("|:")}] or KEY-`;
        throw new ProtocolError("invalid_request", message, {});
      }
      return [key, value === undefined ? { effect } : { value, effect }];
    }),
  );
}

/** What the option says, by name; `undefined` when it was not given. */
function changes<T>(
  input: CommandInput,
  option: string,
  read: (text: string, word: string) => T,
): Record<string, T | null> | undefined {
  const words = listOption(input, option);
  return words.length === 0 ? undefined : changesOf(words, read);
}

function changesOf<T>(
  words: readonly string[],
  read: (text: string, word: string) => T,
): Record<string, T | null> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at > 0) return [word.slice(0, at), read(word.slice(at + 1), word)];
      if (word.endsWith("-") && word.length > 1) return [word.slice(0, -1), null];
      throw new ProtocolError("invalid_request", `"${word}" is neither NAME=VALUE nor NAME-`, {});
    }),
  );
}

function numberOf(text: string, word: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ProtocolError("invalid_request", `"${word}": ${text} is no whole number`, {});
}

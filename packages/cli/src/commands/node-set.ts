/** `berth node set` */

import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, listOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const command: CommandDescription = {
  summary: "labels and countable resources of a node",
  details:
    "Labels are for placement constraints (node.labels.zone == a) and spreading; of region, zone and rack the scheduler knows that they are places. Resources are counted: a copy that asks for one (gpus, generic_resources) takes it away from the others. A name with a minus behind it takes it away.",
  arguments: [{ name: "node", summary: "the node", required: true }],
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

async function run(input: CommandInput): Promise<number> {
  const labels = changes(input, "label", (text) => text);
  const countables = changes(input, "resource", numberOf);
  if (labels === undefined && countables === undefined) {
    throw new ProtocolError("invalid_request", "nothing to set: give --label or --resource", {});
  }
  const node = await input.connect().call("changeNode", {
    params: { node: input.words[0] ?? "" },
    body: {
      ...(labels === undefined ? {} : { labels }),
      ...(countables === undefined ? {} : { countables }),
    },
    signal: input.signal,
  });
  if (input.output.json) input.output.line(JSON.stringify(node));
  else {
    const words = [...Object.entries(node.labels), ...Object.entries(node.countables ?? {})];
    input.output.line(
      `${node.name}  ${words.map(([name, value]) => `${name}=${value}`).join(" ")}`,
    );
  }
  return EXIT.done;
}

/** What the option says, by name; `undefined` when it was not given. */
function changes<T>(
  input: CommandInput,
  option: string,
  read: (text: string, word: string) => T,
): Record<string, T | null> | undefined {
  const words = listOption(input, option);
  if (words.length === 0) return undefined;
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

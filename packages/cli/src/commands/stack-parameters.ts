/** `berth stack parameters` */

import { formatDuration } from "@berth/base";
import { ProtocolError, type StackParameter } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, listOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "values of parameters that are kept for a stack: names and where they came from",
  details:
    "A value is kept when it was given with a deploy or made up at the first one, also when the stack is removed: volumes that stay may need it.",
  arguments: [{ name: "stack", summary: "the stack", required: true }],
  options: [
    { flags: "--show", summary: "with the values; needs an administrator's token" },
    {
      flags: "--forget <names...>",
      summary: "forget a value: the next deploy makes it up anew, or asks for it",
    },
  ],
  examples: [
    { line: "berth stack parameters shop", does: "names, never values" },
    { line: "berth stack parameters shop --show", does: "with the values" },
    {
      line: "berth stack parameters shop --forget API_KEY",
      does: "the next deploy has a new one",
    },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { project, environment, stack, service } = targetOf(input, input.words[0] ?? "");
  if (service !== undefined) {
    throw new ProtocolError("invalid_request", `${input.words[0]} is a service; name its stack`);
  }
  const params = { project, environment, stack };
  const api = input.connect();
  const { output, signal } = input;
  const forgotten = listOption(input, "forget");
  for (const parameter of forgotten) {
    const gone = await api.call("forgetParameter", { params: { ...params, parameter }, signal });
    output.line(output.json ? JSON.stringify(gone) : `${gone.name} is forgotten`);
  }
  if (forgotten.length > 0) return EXIT.done;
  const isShown = flagOption(input, "show");
  const route = isShown ? "showParameters" : "listParameters";
  const { items } = await api.call(route, { params, signal });
  if (output.json) {
    for (const item of items) output.line(JSON.stringify(item));
    return EXIT.done;
  }
  const headings = ["PARAMETER", "SOURCE", "SECRET", "SINCE", ...(isShown ? ["VALUE"] : [])];
  for (const line of table(headings, rowsOf(items, Date.now()))) output.line(line);
  return EXIT.done;
}

function rowsOf(items: readonly StackParameter[], now: number): string[][] {
  return items.map(({ name, source, secret, updatedAt, value }) => [
    name,
    source === "generated" ? "made up" : source,
    secret ? "yes" : "no",
    formatDuration(now - updatedAt),
    // A value of several lines would break the table; --json has it whole.
    ...(value === undefined ? [] : [value.replaceAll("\n", "\\n")]),
  ]);
}

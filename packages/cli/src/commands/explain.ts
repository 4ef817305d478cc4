/** `berth explain` */

import type { Explanation } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "why something does not run, or where it runs and why there",
  arguments: [{ name: "target", summary: "STACK or STACK/SERVICE", required: true }],
  examples: [
    { line: "berth explain shop/worker", does: "what it waits for and what would help" },
    { line: "berth explain shop", does: "every service of the stack" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { service, ...scope } = targetOf(input, input.words[0] ?? "");
  const api = input.connect();
  const { output, signal } = input;
  const names =
    service === undefined
      ? (await api.call("getStack", { params: scope, signal })).services.map((s) => s.service)
      : [service];
  for (const name of names) {
    const params = { ...scope, service: name };
    const explanation = await api.call("explainService", { params, signal });
    if (output.json) output.line(JSON.stringify(explanation));
    else for (const line of explanationLines(explanation)) output.line(line);
  }
  return EXIT.done;
}

function explanationLines(explanation: Explanation): string[] {
  // The summary tells the first wait already.
  const isNew = (words: string) => !explanation.summary.includes(words);
  const waits = explanation.waits.filter(({ message }) => isNew(message));
  return [
    `${explanation.service}: ${explanation.summary}`,
    ...waits.map((wait) => `  ${wait.message}`),
    ...explanation.tasks.flatMap((task) => [
      `  ${task.name} on ${task.node}: ${task.line}`,
      ...task.reasons.filter(isNew).map((reason) => `      ${reason}`),
    ]),
    ...explanation.advice.map((advice) => `  → ${advice}`),
  ];
}

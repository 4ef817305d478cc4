/** `berth node cordon` and `berth node uncordon` */

import type { NodeAvailability } from "@berth/protocol";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";

function availabilityCommand(words: {
  readonly verb: "cordon" | "uncordon";
  readonly availability: NodeAvailability;
  readonly summary: string;
  readonly details: string;
}): CommandDescription {
  const { verb, availability, summary, details } = words;
  return {
    summary,
    details,
    arguments: [{ name: "node", summary: "the node", required: true }],
    examples: [{ line: `berth node ${verb} node-1`, does: summary }],
    async run(input) {
      const node = await input.connect().call("setNodeAvailability", {
        params: { node: input.words[0] ?? "" },
        body: { availability },
        signal: input.signal,
      });
      if (input.output.json) input.output.line(JSON.stringify(node));
      else input.output.line(`${node.name} is ${node.availability}`);
      return EXIT.done;
    },
  };
}

export const cordon = availabilityCommand({
  verb: "cordon",
  availability: "cordoned",
  summary: "no new copies on the node; what runs stays",
  details:
    "Copies of global services do not mind: they belong to the node. To empty it: berth node drain.",
});
export const uncordon = availabilityCommand({
  verb: "uncordon",
  availability: "active",
  summary: "the node takes new copies again",
  details:
    "Ends what berth node cordon and berth node drain began. What has moved away stays away.",
});

/** `berth node drain` and `berth node uncordon` */

import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";

function availabilityCommand(
  verb: "drain" | "uncordon",
  availability: "draining" | "active",
  summary: string,
): CommandDescription {
  return {
    summary,
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

export const drain = availabilityCommand(
  "drain",
  "draining",
  "nothing new on this node; what runs moves away where there is another place",
);
export const uncordon = availabilityCommand(
  "uncordon",
  "active",
  "the node takes new copies again",
);

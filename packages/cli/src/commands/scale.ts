/** `berth scale` */

import { ProtocolError } from "@berth/protocol";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { serviceOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "set the number of copies of a service",
  details: "Holds until the number in the stack's file changes. Makes no release.",
  arguments: [
    { name: "service=copies", summary: "STACK/SERVICE=NUMBER", required: true, variadic: true },
  ],
  examples: [{ line: "berth scale shop/web=5", does: "five copies" }],
  async run(input) {
    const wishes = input.words.map((word) => {
      const match = /^(.+)=(\d+)$/.exec(word);
      if (match === null) {
        throw new ProtocolError("invalid_request", `"${word}" is not STACK/SERVICE=NUMBER`);
      }
      return { scope: serviceOf(input, match[1] ?? ""), copies: Number(match[2]) };
    });
    const api = input.connect();
    for (const { scope, copies } of wishes) {
      const params = { ...scope };
      const scale = await api.call("scaleService", {
        params,
        body: { copies },
        signal: input.signal,
      });
      if (input.output.json) input.output.line(JSON.stringify(scale));
      else
        input.output.line(
          `${scope.stack}/${scope.service}: ${copies} copies (berth ps ${scope.stack})`,
        );
    }
    return EXIT.done;
  },
};

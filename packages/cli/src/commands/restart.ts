/** `berth restart` */

import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "replace every copy of a service, or of a stack's services, by its update rules",
  arguments: [{ name: "target", summary: "STACK/SERVICE or STACK", required: true }],
  examples: [
    { line: "berth restart shop/web", does: "new copies, one after another, without interruption" },
    { line: "berth restart shop", does: "every service of the stack" },
  ],
  async run(input) {
    const { service, ...scope } = targetOf(input, input.words[0] ?? "");
    const api = input.connect();
    const { signal } = input;
    const names =
      service === undefined
        ? (await api.call("getStack", { params: scope, signal })).services.map((s) => s.service)
        : [service];
    for (const name of names) {
      await api.call("restartService", { params: { ...scope, service: name }, signal });
      if (!input.output.json) input.output.line(`${scope.stack}/${name} is being restarted`);
    }
    if (input.output.json) input.output.line(JSON.stringify({ restarted: names }));
    return EXIT.done;
  },
};

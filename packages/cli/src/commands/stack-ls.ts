/** `berth stack ls` */

import { formatDuration } from "@berth/base";
import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "stacks of the environment with their releases",
  examples: [{ line: "berth stack ls", does: "one stack a line" }],
  async run(input) {
    const { output, signal } = input;
    const api = input.connect();
    const stacks = await allPages((after) =>
      api.call("listStacks", { params: input.scope(), query: pageQuery(after), signal }),
    );
    if (output.json) {
      for (const stack of stacks) output.line(JSON.stringify(stack));
      return EXIT.done;
    }
    const now = Date.now();
    const rows = stacks.map(({ stack, services }) => [
      stack.stack,
      String(stack.release),
      stack.deleting === undefined ? (stack.rollout?.state ?? "") : "being removed",
      String(services.length),
      `${services.reduce((sum, s) => sum + s.ready, 0)}/${services.reduce((sum, s) => sum + s.wanted, 0)}`,
      formatDuration(Math.max(0, now - (stack.rollout?.startedAt ?? stack.createdAt))),
    ]);
    const header = ["STACK", "RELEASE", "ROLLOUT", "SERVICES", "READY", "SINCE"];
    for (const line of table(header, rows)) output.line(line);
    return EXIT.done;
  },
};

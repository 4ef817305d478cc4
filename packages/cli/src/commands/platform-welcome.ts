/** `berth platform welcome`: where things are and what to try, after the set-up. */

import type { CommandDescription, CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { readSettings } from "../platform/settings.ts";

export const command: CommandDescription = {
  summary: "addresses of this platform and what to try next",
  examples: [{ line: "berth platform welcome", does: "print them again" }],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const life = lifecycleOf(input);
  const settings = readSettings(life.paths.settings);
  const url = `http://${settings.host}:${settings.port}`;
  const stacks = await life
    .connect()
    .call("listStacks", { params: input.scope(), signal: input.signal });
  const reachable = stacks.items.flatMap(({ services }) =>
    services.flatMap((service) => service.reachable.filter((text) => text.startsWith("http"))),
  );
  if (input.output.json) {
    input.output.line(JSON.stringify({ url, adminToken: life.paths.adminToken, reachable }));
    return EXIT.done;
  }
  for (const address of reachable) input.output.line(`  ${address}`);
  input.output.line(`  ${url}      the API (admin token in ${life.paths.adminToken})`);
  input.output.line();
  const tries = [
    ["berth ps", "what runs"],
    [
      "berth deploy -f examples/shop/compose.yaml",
      "a shop with a database (images: examples/shop/README.md)",
    ],
    ["berth platform doctor", "what could be better on this machine"],
  ] as const;
  const width = Math.max(...tries.map(([line]) => line.length));
  for (const [line, does] of tries) input.output.line(`  ${line.padEnd(width)}   ${does}`);
  return EXIT.done;
}

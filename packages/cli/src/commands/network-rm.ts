/** `berth network rm` */

import { ProtocolError } from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { type Target, targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary:
    "remove a network that nobody is on: the next copy makes it anew, with the range that the stack's file states by then",
  arguments: [{ name: "network", summary: "STACK/NETWORK", required: true }],
  options: [
    { flags: "-y, --yes", summary: "do not ask" },
    { flags: "--dry-run", summary: "say what would be removed or who uses it, change nothing" },
  ],
  examples: [
    { line: "berth network rm shop/default --dry-run", does: "says who is on it" },
    {
      line: "berth network rm shop/back",
      does: "asks, then removes it; possible half a minute after its last copy has gone",
    },
  ],
  async run(input) {
    const target = targetOf(input, input.words[0] ?? "");
    const network = target.service ?? "default";
    const { stack } = target;
    const found = await viewOf(input, target, network);
    const services = Object.keys(found.serviceAddresses).sort();
    const users = [...Object.keys(found.attached), ...Object.keys(found.nodes)].sort();
    if (flagOption(input, "dryRun") && input.output.json) {
      const { serviceAddresses } = found;
      const line = { network: `${stack}/${network}`, users, serviceAddresses };
      input.output.line(JSON.stringify(line));
      return EXIT.done;
    }
    const also = services.length === 0 ? "" : `, and addresses of ${services.join(", ")}`;
    input.output.note(`removes the network ${stack}/${network}, ${found.network.subnet}${also}`);
    if (flagOption(input, "dryRun")) {
      const refused = `it would be refused: ${users.join(", ")} are on it`;
      if (users.length > 0) input.output.note(refused);
      input.output.line("nothing was removed");
      return EXIT.done;
    }
    if (!(await confirmed(input, network, "the network's name"))) return EXIT.failed;
    const params = { ...target, network };
    const removed = await input.connect().call("removeNetwork", { params, signal: input.signal });
    if (input.output.json) input.output.line(JSON.stringify(removed));
    else input.output.line(`${stack}/${network} is removed`);
    return EXIT.done;
  },
};

async function viewOf(input: CommandInput, { stack }: Target, name: string) {
  const api = input.connect();
  const views = await allPages((after) =>
    api.call("listNetworks", {
      params: input.scope(),
      query: { stack, ...pageQuery(after) },
      signal: input.signal,
    }),
  );
  const found = views.find(({ network }) => network.name === name);
  if (found !== undefined) return found;
  const known = views.map(({ network }) => network.name);
  const what =
    known.length === 0 ? "there is no such stack, or it has none" : `it has ${known.join(", ")}`;
  throw new ProtocolError("not_found", `${stack} has no network ${name}; ${what}`, { known });
}

/** `berth network show` */

import { ProtocolError } from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "the services, copies and nodes of a network with their addresses",
  arguments: [{ name: "network", summary: "STACK/NETWORK", required: true }],
  examples: [{ line: "berth network show shop/default", does: "who is on it" }],
  async run(input) {
    const { output, signal } = input;
    const [stack = "", name = "default"] = (input.words[0] ?? "").split("/");
    const api = input.connect();
    const views = await allPages((after) =>
      api.call("listNetworks", {
        params: input.scope(),
        query: { stack, ...pageQuery(after) },
        signal,
      }),
    );
    const found = views.find(({ network }) => network.name === name);
    if (found === undefined) {
      throw new ProtocolError("not_found", `there is no network ${stack}/${name}`, { stack, name });
    }
    if (output.json) {
      output.line(JSON.stringify(found));
      return EXIT.done;
    }
    const { network, addressesUsed, addressesTotal } = found;
    const { subnet, gateway, subnet6 = "none", serviceRange = "none" } = network;
    output.line(`range     ${subnet}, gateway ${gateway}${network.internal ? ", internal" : ""}`);
    output.line(`ipv6      ${subnet6}`);
    output.line(`services  from ${serviceRange}`);
    output.line(`used      ${addressesUsed} of ${addressesTotal} addresses`);
    const { overlayId } = found;
    output.line(`hosts     ${overlayId === undefined ? "one" : `several, by VXLAN ${overlayId}`}`);
    output.line("");
    const rows = [
      ...Object.entries(found.serviceAddresses).map(([who, address]) => [address, who, "service"]),
      ...Object.entries(found.attached).map(([who, address]) => [address, who, "copy"]),
      ...Object.entries(found.nodes).map(([who, address]) => [address, who, "node"]),
    ];
    for (const line of table(["ADDRESS", "NAME", ""], rows)) output.line(line);
    return EXIT.done;
  },
};

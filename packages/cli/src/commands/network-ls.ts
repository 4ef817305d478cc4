/** `berth network ls` */

import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

/** From this on a network is warned of: a rollout needs an address more for each copy. */
const NEARLY_FULL_SHARE = 0.8;

export const command: CommandDescription = {
  summary: "networks of the environment, their ranges and how full they are",
  arguments: [{ name: "stack", summary: "only this stack's", required: false }],
  examples: [
    { line: "berth network ls", does: "all networks of the environment" },
    { line: "berth network ls shop --json", does: "one stack's, with every address" },
  ],
  async run(input) {
    const { output, signal } = input;
    const [stack] = input.words;
    const api = input.connect();
    const views = await allPages((after) =>
      api.call("listNetworks", {
        params: input.scope(),
        query: { ...(stack === undefined ? {} : { stack }), ...pageQuery(after) },
        signal,
      }),
    );
    if (output.json) {
      for (const view of views) output.line(JSON.stringify(view));
      return EXIT.done;
    }
    const rows = views.map(({ network, addressesUsed, addressesTotal, serviceAddresses }) => [
      `${network.stack}/${network.name}`,
      network.ipRange ?? network.subnet,
      String(addressesUsed),
      String(Math.max(0, addressesTotal - addressesUsed)),
      String(Object.keys(serviceAddresses).length),
      network.subnet6 ?? "",
      network.internal ? "internal" : "",
    ]);
    const head = ["NETWORK", "RANGE", "USED", "FREE", "SERVICES", "IPV6", ""];
    for (const line of table(head, rows)) output.line(line);
    for (const { network, addressesUsed, addressesTotal } of views) {
      if (addressesUsed < addressesTotal * NEARLY_FULL_SHARE) continue;
      const full = addressesUsed < addressesTotal ? "nearly full" : "full";
      output.note(
        `${network.stack}/${network.name} is ${full}: ${addressesUsed} of ${addressesTotal} addresses are in use or in quarantine; a stack's file can state a larger range (networks: ${network.name}: ipam)`,
      );
    }
    return EXIT.done;
  },
};

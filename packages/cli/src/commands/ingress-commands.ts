/** `berth ingress ls | address set | address rm` */

import { type IngressStanding, ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

const ADDRESS = {
  name: "address",
  summary: "an address with its prefix: 192.0.2.10/24",
  required: true,
} as const;

export const list: CommandDescription = {
  summary: "nodes that answer requests from outside, and floating addresses",
  details:
    "Nodes with the label berth.ingress=true answer all routes and published ports, with and without a copy; without such a label all do, in a large cluster the 16 that joined first. With --json one object of each node, then one of each address.",
  examples: [
    { line: "berth ingress ls", does: "nodes, their addresses, who has which floating address" },
    { line: "berth node label node-1 berth.ingress=true", does: "node-1 answers, others do not" },
  ],
  async run({ output, signal, connect }) {
    const standing = await connect().call("getIngress", { params: {}, signal });
    if (output.json) {
      for (const each of [...standing.nodes, ...standing.addresses]) {
        output.line(JSON.stringify(each));
      }
    } else show(output, standing);
    return EXIT.done;
  },
};

function show(output: CommandInput["output"], { nodes, addresses, routes }: IngressStanding): void {
  const header = ["NODE", "ADDRESS", "STATE", "CHOSEN", "NETWORKS", "FLOATING"];
  const rows = nodes.map((each) => [
    each.node,
    each.address,
    each.contact === "up" ? each.availability : "down",
    each.labelled ? "by its label" : "by default",
    String(each.networks),
    each.floating.join(" "),
  ]);
  for (const line of table(header, rows)) output.line(line);
  output.line(`${routes} ${routes === 1 ? "route or port" : "routes and ports"} in the cluster`);
  for (const { address, holder, nodes: order } of addresses) {
    const who = holder === undefined ? "nobody has it yet" : `${holder} has it`;
    output.line(`${address}: ${who}; order ${order.join(", ") || "of no node"}`);
  }
}

export const setAddress: CommandDescription = {
  summary: "have an address move between the nodes that answer requests from outside",
  details:
    "One of them has it at a time (VRRP, by keepalived, which has to be installed on them: apt-get install keepalived). When that node is lost, is drained or its HAProxy does not answer, the next has it, within a second of a loss. Several addresses begin at several nodes. The address must be free on the hosts' own network.",
  arguments: [ADDRESS],
  options: [
    {
      flags: "--interface <name>",
      summary: "where nodes have it; by default the interface with its range",
    },
    {
      flags: "--router <number>",
      summary: "VRRP's number, 1 to 255, where another system on the wire has the chosen one",
    },
  ],
  examples: [
    { line: "berth ingress address set 192.0.2.10/24", does: "clients and DNS use 192.0.2.10" },
    {
      line: "berth ingress address set 192.0.2.11/24 --interface eth1",
      does: "a second one, which begins at another node",
    },
  ],
  async run(input) {
    const { output, signal } = input;
    const place = textOption(input, "interface");
    const router = routerOf(textOption(input, "router"));
    const body = {
      address: input.words[0] ?? "",
      ...(place === undefined ? {} : { interface: place }),
      ...(router === undefined ? {} : { router }),
    };
    const floating = await input.connect().call("putFloatingAddress", { params: {}, body, signal });
    if (output.json) output.line(JSON.stringify(floating));
    else output.line(`${floating.address} floats (VRRP ${floating.router}); see berth ingress ls`);
    return EXIT.done;
  },
};

export const removeAddress: CommandDescription = {
  summary: "no node has a floating address any more",
  arguments: [{ ...ADDRESS, summary: "the address: 192.0.2.10" }],
  options: [{ flags: "--dry-run", summary: "say who would lose it, and change nothing" }],
  examples: [
    { line: "berth ingress address rm 192.0.2.10", does: "connections to it end" },
    { line: "berth ingress address rm 192.0.2.10 --dry-run", does: "who has it now" },
  ],
  async run(input) {
    const { output, signal } = input;
    const address = (input.words[0] ?? "").split("/", 1)[0] ?? "";
    const { addresses } = await input.connect().call("getIngress", { params: {}, signal });
    const known = addresses.find((each) => each.address.split("/", 1)[0] === address);
    if (known === undefined) {
      throw new ProtocolError("not_found", `there is no floating address ${address}`);
    }
    const holder = known.holder ?? "nobody";
    if (input.options["dryRun"] === true) {
      output.line(`${known.address} would be taken from ${holder}; nothing was changed`);
      return EXIT.done;
    }
    const gone = await input
      .connect()
      .call("removeFloatingAddress", { params: { address }, signal });
    if (output.json) output.line(JSON.stringify(gone));
    else output.line(`${gone.address} is given up; ${holder} had it`);
    return EXIT.done;
  },
};

function routerOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const router = Number(text);
  if (Number.isInteger(router) && router >= 1 && router <= 255) return router;
  throw new ProtocolError("invalid_request", `--router ${text}: expected a number from 1 to 255`);
}

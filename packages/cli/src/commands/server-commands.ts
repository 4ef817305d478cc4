/** `berth server ls | join | rm`: the servers of a cluster whose state is on etcd. */

import { PROTOCOL_SERVER_JOINS, ProtocolError, type ServerView } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";
import { formatWords } from "../platform/format-check.ts";
import { INVITATION_OPTIONS, printInvitation } from "./node-join.ts";

export const list: CommandDescription = {
  summary: "servers of the cluster",
  details: "A server that has its state alone is listed once it has a port for other hosts.",
  examples: [{ line: "berth server ls", does: "who leads, who is there, and in which version" }],
  async run(input) {
    const { output, signal } = input;
    const { servers, formats } = await input.connect().call("listServers", { params: {}, signal });
    if (output.json) {
      for (const server of servers) output.line(JSON.stringify(server));
      return EXIT.done;
    }
    const rows = servers.map(({ server, ...view }) => [
      server.node,
      stateOf({ server, ...view }),
      server.version,
      server.format === undefined ? "1" : String(server.format),
      server.urls[0] ?? "",
    ]);
    for (const line of table(["SERVER", "STATE", "BERTH", "READS", "ADDRESS"], rows)) {
      output.line(line);
    }
    if (formats !== undefined) output.note(`formats: level ${formatWords(formats)}`);
    return EXIT.done;
  },
};

function stateOf({ leads, isPresent }: ServerView): string {
  if (leads) return "leads";
  return isPresent ? "up" : "away";
}

export const join: CommandDescription = {
  summary: "print the command that makes another host a server",
  details:
    "The cluster's state has to be on etcd (berth platform migrate-store). The command is for one host and for a limited time. Whoever has it gets the key of every secret: treat it as such. The host checks that it reaches the cluster's etcd before it starts anything; where etcd is at another address for it, add --store URL to the line.",
  options: [...INVITATION_OPTIONS],
  examples: [
    { line: "berth server join", does: "a command to paste on the new host" },
    {
      line: "berth server join --node two --ttl 10m",
      does: "for ten minutes, for the host two",
    },
  ],
  async run(input) {
    const { protocol, version } = await input.connect().call("version", { params: {} });
    if (protocol < PROTOCOL_SERVER_JOINS) {
      const message = `the server (${version}) is too old to let others join: upgrade it first`;
      throw new ProtocolError("not_implemented", message, { protocol });
    }
    return printInvitation(input, { server: true });
  },
};

export const remove: CommandDescription = {
  summary: "forget a server that was stopped",
  details:
    "With its tokens and its machine as a node. It refuses to start until it joins again. Its host has seen the key of the secrets: where it is not to be trusted, change what is secret.",
  arguments: [{ name: "server", summary: "the server, by its node's name", required: true }],
  options: [
    { flags: "--force", summary: "although its machine runs copies, which are replaced elsewhere" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    { line: "berth server rm three", does: "after berth platform stop on three" },
    { line: "berth server rm three --force", does: "a host that is gone for good" },
  ],
  run: runRemove,
};

async function runRemove(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const node = input.words[0] ?? "";
  const force = flagOption(input, "force");
  if (force && !(await confirmed(input, node, node))) return EXIT.failed;
  const query = force ? { force: "true" } : {};
  const removed = await input.connect().call("removeServer", { params: { node }, query, signal });
  if (output.json) output.line(JSON.stringify(removed));
  else output.line(`${node} is no server of this cluster any more`);
  return EXIT.done;
}

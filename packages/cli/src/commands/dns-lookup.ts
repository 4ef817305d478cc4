/** `berth dns lookup` */

import { NetClient, netSocketPath } from "@berth/network/client";
import { LOOKUP_TYPES, type LookupReport } from "@berth/network/dns/explain";
import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, textOption } from "../command.ts";
import { localPaths } from "../connection/context.ts";
import { EXIT } from "../exit-code.ts";

export const command: CommandDescription = {
  summary: "what a name answers, to whom and why",
  details:
    "Asks the data plane of this machine, as its containers would. Without --from it is this machine itself that asks, which knows full names only. Exit code 1 when there is no such name.",
  arguments: [{ name: "name", summary: "web, web.shop.main.default.berth", required: true }],
  options: [
    {
      flags: "--from <who>",
      summary: "who asks: SERVICE, STACK/SERVICE, a task or an address",
      fallback: "this machine",
    },
    {
      flags: "--type <type>",
      summary: LOOKUP_TYPES.join(", "),
      fallback: "A",
    },
  ],
  examples: [
    { line: "berth dns lookup db --from shop/web", does: "what shop/web gets for db" },
    {
      line: "berth dns lookup tasks.db --from shop/web --type AAAA",
      does: "the addresses of every ready copy, IPv6",
    },
    {
      line: "berth dns lookup web.shop.main.default.berth",
      does: "what this machine gets, where its resolver asks Berth",
    },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, environment, signal } = input;
  const [name = ""] = input.words;
  const type = LOOKUP_TYPES.find(
    (each) => each === (textOption(input, "type") ?? "A").toUpperCase(),
  );
  if (type === undefined) {
    const message = `"${textOption(input, "type")}" is no type; expected ${LOOKUP_TYPES.join(", ")}`;
    throw new ProtocolError("invalid_request", message, { name: "type" });
  }
  const from = textOption(input, "from");
  const net = new NetClient({ socketPath: netSocketPath(localPaths(environment).net) });
  const question = { name, type, ...(from === undefined ? {} : { from }) };
  const report = await net.lookup(question, signal);
  if (output.json) output.line(JSON.stringify(report));
  else for (const line of lines(report)) output.line(line);
  return report.code === "NXDOMAIN" ? EXIT.failed : EXIT.done;
}

function lines({ asker, code, records, because, forwarders }: LookupReport): string[] {
  const networks = asker.networks.length === 0 ? "no network" : asker.networks.join(", ");
  return [
    ...(records.length === 0 ? [EMPTY[code]] : records),
    "",
    `  asked by  ${asker.who}`,
    `  which is  on ${networks}`,
    `  because   ${because}`,
    ...(code === "FORWARDED"
      ? [`  ask       ${forwarders.join(", ") || "nobody: no resolvers"}`]
      : []),
  ];
}

const EMPTY: Readonly<Record<LookupReport["code"], string>> = {
  NOERROR: "",
  NODATA: "the name exists, and has no such record now (NODATA)",
  NXDOMAIN: "there is no such name (NXDOMAIN)",
  FORWARDED: "not answered by Berth: it is for the resolvers of this machine",
};

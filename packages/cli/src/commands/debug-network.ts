/** `berth debug network` */

import type { NetworkCheckPair, NetworkCheckStep } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Colour, type Output, table } from "../output/output.ts";

export const command: CommandDescription = {
  summary: "whether networks reach from node to node",
  details:
    "Each node tries copies of the others through a network that spans both: their name, a small packet, TCP, a packet of full size. Without names all pairs are tried. Exit code 1 when one fails.",
  arguments: [
    { name: "from", summary: "a node", required: false },
    { name: "to", summary: "another", required: false },
  ],
  examples: [
    { line: "berth debug network", does: "every pair of nodes, in both directions" },
    { line: "berth debug network node-1 node-2", does: "these two" },
    { line: "berth debug network --json", does: "one JSON object a pair" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, signal, words } = input;
  const [from, to] = words;
  const query = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const { pairs } = await input.connect().call("checkNetworks", { params: {}, query, signal });
  if (output.json) for (const pair of pairs) output.line(JSON.stringify(pair));
  else show(output, pairs);
  return pairs.some(({ verdict }) => verdict === "failed") ? EXIT.failed : EXIT.done;
}

const COLOURS: Readonly<Record<NetworkCheckStep["verdict"] | "unknown", Colour>> = {
  ok: "green",
  failed: "red",
  skipped: "grey",
  unknown: "yellow",
};
const STEPS = ["name", "echo", "tcp", "large"] as const;

function show(output: Output, pairs: readonly NetworkCheckPair[]): void {
  if (pairs.length === 0) {
    output.line("there is one node: berth node join prints how another comes to it");
    return;
  }
  const paint = (word: keyof typeof COLOURS) => output.paint(COLOURS[word], word);
  const rows = pairs.map(({ from, to, network = "", copy = "", verdict, steps }) => [
    from,
    to,
    paint(verdict),
    ...STEPS.map((what) => {
      const step = steps.find((each) => each.what === what);
      return step === undefined ? "" : paint(step.verdict);
    }),
    network,
    copy,
  ]);
  const header = ["FROM", "TO", "VERDICT", ...STEPS.map((what) => what.toUpperCase())];
  for (const line of table([...header, "NETWORK", "COPY"], rows)) output.line(line);
  for (const { from, to, message, steps } of pairs) {
    if (message !== undefined) output.line(`${from} → ${to}: ${message}`);
    for (const step of steps.filter(({ verdict }) => verdict === "failed")) {
      output.line(`${output.paint("red", "!")} ${from} → ${to}: ${step.what}: ${step.message}`);
      if (step.advice !== undefined) output.line(`  ${step.advice}`);
    }
  }
}

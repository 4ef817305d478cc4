/** `berth node describe` */

import { formatBytes, formatCpu, formatDuration } from "@berth/base";
import type { Node, NodeStanding } from "@berth/protocol";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Output, table } from "../output/output.ts";
import { taintWords } from "./node-set.ts";

export const command: CommandDescription = {
  summary: "one node: what it is, what it runs, and what its copies wait for",
  arguments: [{ name: "node", summary: "the node", required: true }],
  examples: [
    { line: "berth node describe node-2", does: "all that the server knows of it" },
    { line: "berth node describe node-2 --json", does: "the same for a program" },
  ],
  async run(input) {
    const { output, signal } = input;
    const params = { node: input.words[0] ?? "" };
    const standing = await input.connect().call("getNodeStanding", { params, signal });
    if (output.json) output.line(JSON.stringify(standing));
    else for (const line of lines(standing, output, Date.now())) output.line(line);
    return EXIT.done;
  },
};

function lines(standing: NodeStanding, output: Output, now: number): string[] {
  const facts = [...standingFacts(standing, output, now), ...hostFacts(standing)];
  const width = Math.max(...facts.map(([name]) => name.length));
  const conditions = (standing.status?.conditions ?? []).flatMap(({ message, advice }) => [
    output.paint("yellow", `! ${message}`),
    `  ${advice}`,
  ]);
  return [
    ...facts.map(([name, text]) => `${name.padEnd(width)}  ${text}`),
    ...conditions,
    "",
    ...copyLines(standing),
  ];
}

type Fact = readonly [name: string, text: string];

function standingFacts(standing: NodeStanding, output: Output, now: number): Fact[] {
  const { node, member, leaseMs } = standing;
  const since = formatDuration(Math.max(0, now - node.contactChangedAt));
  const contact =
    node.contact === "up"
      ? output.paint("green", `up for ${since}`)
      : output.paint("red", `down for ${since}`);
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`);
  const taints = taintWords(node.taints ?? {});
  return [
    ["node", node.name],
    ["contact", `${contact}; given up after ${formatDuration(leaseMs)} of silence`],
    ...pauseFacts(node, now),
    ...fenceFacts(standing, now),
    ["availability", node.availability],
    ["joined", `${formatDuration(Math.max(0, now - node.joinedAt))} ago`],
    ...(member === undefined
      ? [["certificate", "none: the machine of the server"] as const]
      : [
          [
            "certificate",
            `for ${formatDuration(Math.max(0, member.notAfter - now))} more`,
          ] as const,
        ]),
    ...(labels.length === 0 ? [] : [["labels", labels.join(" ")] as const]),
    ...(taints.length === 0 ? [] : [["taints", taints.join(" ")] as const]),
  ];
}

/** What holds back that something is moved from the node, or placed on it, and what would end that. */
function pauseFacts({ name, evictionPausedUntil, heldBackUntil }: Node, now: number): Fact[] {
  const left = (until: number) => formatDuration(Math.max(0, until - now));
  return [
    ...(evictionPausedUntil === undefined
      ? []
      : [
          [
            "not moved",
            `too many nodes are silent at once: for ${left(evictionPausedUntil)} more, until it is back, or until: berth node fenced ${name}`,
          ] as const,
        ]),
    ...(heldBackUntil === undefined
      ? []
      : [
          [
            "held back",
            `it fell silent again and again: nothing new while another node has room, for ${left(heldBackUntil)} of contact more, or until: berth node uncordon ${name}`,
          ] as const,
        ]),
  ];
}

/** Who says, or is asked to say, that a silent host is dead. */
function fenceFacts({ node, fenceHook }: NodeStanding, now: number): Fact[] {
  const { contact, fence } = node;
  if (contact === "up") return [];
  if (fence === undefined) {
    return [["fence", fenceHook ? "not fenced: no copy waits for it" : "no hook is set"]];
  }
  const ago = `${formatDuration(Math.max(0, now - fence.at))} ago`;
  const said = fence.message === undefined ? "" : `: ${fence.message}`;
  const who = fence.by === "hook" ? "its hook" : (fence.who ?? "a person");
  const words = {
    done: `dead by the word of ${who}, ${ago}${said}`,
    running: `the hook runs (attempt ${fence.attempts}, begun ${ago})`,
    failed: `the hook could not, ${ago} (attempt ${fence.attempts})${said}`,
  };
  return [["fence", words[fence.state]]];
}

function hostFacts({ status }: NodeStanding): Fact[] {
  if (status === undefined) return [];
  const { capacity, engine, platform, underlay, devices = [] } = status;
  return [
    ["address", status.address],
    ...(underlay === undefined
      ? []
      : [["underlay", `${underlay.address}, UDP ${underlay.port}, MTU ${underlay.mtu}`] as const]),
    ["berth", status.agentVersion],
    ["host", `${platform.os} ${platform.architecture}, kernel ${status.kernel}`],
    ["engine", `${engine.name} ${engine.version}${engine.reachable ? "" : ", not reachable"}`],
    ["cpu", formatCpu(capacity.cpuMillis)],
    ["memory", formatBytes(capacity.memoryBytes)],
    ["disk free", formatBytes(status.diskFreeBytes)],
    ...devices.map(({ kind, model, id }) => [kind, `${model} ${id}`.trim()] as const),
  ];
}

function copyLines({ copies }: NodeStanding): string[] {
  if (copies.length === 0) return ["runs nothing"];
  return table(
    ["COPY", "STATE", "KIND", "WAITS"],
    copies.map(({ copy, state, bound, waits }) => [
      copy,
      state,
      bound === undefined ? "free" : "bound",
      waits ?? "",
    ]),
  );
}

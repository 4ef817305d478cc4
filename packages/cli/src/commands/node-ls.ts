/** `berth node ls` */

import { formatBytes, formatCpu } from "@berth/base";
import type { Node } from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Output, table } from "../output/output.ts";
import { formatWords } from "../platform/format-check.ts";

export const command: CommandDescription = {
  summary: "nodes of the cluster",
  examples: [{ line: "berth node ls", does: "state, engine, size and version of each" }],
  async run(input) {
    const { output, signal } = input;
    const api = input.connect();
    const nodes = await allPages((after) =>
      api.call("listNodes", { params: {}, query: pageQuery(after), signal }),
    );
    if (output.json) {
      for (const node of nodes) output.line(JSON.stringify(node));
      return EXIT.done;
    }
    const rows = nodes.map(({ node, status }) => [
      node.name,
      contactWords(node, output),
      node.heldBackUntil === undefined ? node.availability : `${node.availability}, held back`,
      status === undefined ? "" : `${status.engine.name} ${status.engine.version}`,
      status === undefined ? "" : formatCpu(status.capacity.cpuMillis),
      status === undefined ? "" : formatBytes(status.capacity.memoryBytes),
      status === undefined ? "" : formatBytes(status.diskFreeBytes),
      status?.address ?? "",
      status?.agentVersion ?? "",
    ]);
    const header = [
      "NODE",
      "CONTACT",
      "AVAILABILITY",
      "ENGINE",
      "CPU",
      "MEMORY",
      "DISK FREE",
      "ADDRESS",
      "BERTH",
    ];
    for (const line of table(header, rows)) output.line(line);
    const { formats } = await api.call("listServers", { params: {}, signal });
    if (formats !== undefined && formats.heldBackBy.length > 0) {
      output.note(`formats: level ${formatWords(formats)}`);
    }
    return EXIT.done;
  },
};

/** `down, not moved`: so many nodes are silent at once that nothing of this one is given up. */
function contactWords({ contact, evictionPausedUntil }: Node, output: Output): string {
  if (contact === "up") return output.paint("green", "up");
  return output.paint("red", evictionPausedUntil === undefined ? "down" : "down, not moved");
}

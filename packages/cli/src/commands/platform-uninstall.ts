/** `berth platform uninstall` */

import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, listOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { findLeftovers, type Leftovers } from "../platform/leftovers.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { removeLeftovers } from "../platform/remove-leftovers.ts";
import { readSettings } from "../platform/settings.ts";

export const command: CommandDescription = {
  summary:
    "remove Berth from this machine: lists everything first, asks, removes that and nothing else",
  details: "Volumes stay unless they are named. Packages stay: others may use them by now.",
  options: [
    { flags: "--volumes <names...>", summary: "volumes to remove with their data, or all" },
    { flags: "--dry-run", summary: "only list" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    { line: "berth platform uninstall --dry-run", does: "what would be removed, and what stays" },
    { line: "berth platform uninstall --volumes all --yes", does: "everything, data included" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const life = lifecycleOf(input);
  const settings = readSettings(life.paths.settings);
  const found = await findLeftovers(life.paths, settings);
  const wanted = listOption(input, "volumes");
  const volumes = wanted.includes("all") ? found.volumes : wanted;
  const unknown = volumes.find((name) => !found.volumes.includes(name));
  if (unknown !== undefined) {
    const known = found.volumes.join(", ") || "none";
    throw new ProtocolError("not_found", `Berth has no volume "${unknown}" here; it has ${known}`);
  }
  if (isEmpty(found)) {
    input.output.line(input.output.json ? "{}" : "there is nothing of Berth on this machine");
    return EXIT.done;
  }
  if (input.output.json) input.output.line(JSON.stringify({ ...found, volumesChosen: volumes }));
  else for (const line of listing(found, volumes)) input.output.line(line);
  if (flagOption(input, "dryRun")) return EXIT.done;
  if (!(await confirmed(input, "uninstall", "uninstall"))) return EXIT.failed;
  const kept = await removeLeftovers(life, settings, { ...found, volumesChosen: volumes });
  for (const folder of kept)
    input.output.note(`${folder} stays, empty: a file system is mounted there`);
  if (!input.output.json) input.output.line("Berth is removed from this machine");
  return EXIT.done;
}

function isEmpty(found: Leftovers): boolean {
  const lists = [found.containers, found.networks, found.processes, found.units, found.folders];
  return lists.every((list) => list.length === 0);
}

function listing(found: Leftovers, volumes: readonly string[]): string[] {
  const kept = found.volumes.filter((name) => !volumes.includes(name));
  const names = (list: readonly { readonly name: string }[]) =>
    list.map((each) => each.name).join(" ");
  const rows: (readonly [string, string])[] = [
    ["containers", names(found.containers)],
    ["networks", names(found.networks)],
    ["volumes", volumes.join(" ")],
    ["firewall", found.firewallTables.map((table) => `table ${table}`).join(" ")],
    ["processes", [...found.processes, "net", "haproxy"].join(" ")],
    ["units", found.units.join(" ")],
    ["folders", found.folders.join(" ")],
  ];
  return [
    "removes",
    ...rows.filter(([, text]) => text !== "").map(([what, text]) => `  ${what.padEnd(11)} ${text}`),
    ...(kept.length === 0 && found.packages.length === 0 ? [] : ["keeps"]),
    ...kept.map((name) => `  volume      ${name}      remove it too: --volumes ${name}`),
    ...(found.packages.length === 0
      ? []
      : [
          `  packages    ${found.packages.join(" ")}      (installed by the set-up; apt-get remove)`,
        ]),
  ];
}

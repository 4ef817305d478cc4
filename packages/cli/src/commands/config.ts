/** `berth config` */

import { formatProblem, printCanonical } from "@berth/compose";
import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { FILE_OPTIONS, loadStack, shortened } from "../stack/load-stack.ts";

export const command: CommandDescription = {
  summary: "print what a Compose file means: merged, interpolated, every value in its long form",
  options: [
    ...FILE_OPTIONS,
    { flags: "--format <format>", summary: "yaml or json", fallback: "yaml" },
    { flags: "--services", summary: "only the names of the services" },
    { flags: "--volumes", summary: "only the names of the volumes" },
    { flags: "--images", summary: "only the images" },
    { flags: "--profiles", summary: "only the profiles" },
    { flags: "-q, --quiet", summary: "print nothing, only check" },
  ],
  examples: [
    { line: "berth config -f compose.yaml", does: "check the file and print it" },
    { line: "berth config -f compose.yaml --format json", does: "for programs" },
    { line: "berth config --services", does: "one service a line" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output } = input;
  const { project, warnings } = await loadStack(input);
  for (const warning of warnings)
    output.note(`warning ${formatProblem(shortened(warning, input))}`);
  if (flagOption(input, "quiet")) return EXIT.done;
  const names = namesWanted(input, project);
  if (names !== undefined) {
    for (const name of names) output.line(name);
    return EXIT.done;
  }
  const format = textOption(input, "format") ?? (output.json ? "json" : "yaml");
  if (format !== "json" && format !== "yaml") {
    throw new ProtocolError("invalid_request", `"${format}" is no format; expected yaml or json`);
  }
  output.line(printCanonical(project, format).trimEnd());
  return EXIT.done;
}

function namesWanted(
  input: CommandInput,
  project: Awaited<ReturnType<typeof loadStack>>["project"],
): readonly string[] | undefined {
  if (flagOption(input, "services")) return Object.keys(project.services);
  if (flagOption(input, "volumes")) return Object.keys(project.volumes);
  if (flagOption(input, "profiles")) return project.profiles;
  if (!flagOption(input, "images")) return undefined;
  return Object.entries(project.services).map(
    ([name, service]) => service.image ?? `${project.name}-${name}`,
  );
}

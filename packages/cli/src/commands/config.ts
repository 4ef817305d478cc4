/** `berth config` */

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  type ComposeProject,
  type DeclaredParameters,
  fileVariables,
  formatProblem,
  hashedText,
  printCanonical,
  printMerged,
  withoutUnused,
} from "@berth/compose";
import { ProtocolError } from "@berth/protocol";
import {
  type CommandDescription,
  type CommandInput,
  flagOption,
  listOption,
  textOption,
} from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { givenValues, SET_OPTIONS } from "../stack/given-values.ts";
import {
  FILE_OPTIONS,
  loadOpened,
  type OpenedStack,
  openStack,
  shortened,
} from "../stack/load-stack.ts";

export const command: CommandDescription = {
  local: true,
  summary: "print what a Compose file means: merged, interpolated, every value in its long form",
  details:
    "Prints what docker compose config prints. Parameters without a value stand as <NAME>: nothing is made up and no server is asked.",
  arguments: [
    {
      name: "services",
      summary: "only these and what they depend on",
      required: false,
      variadic: true,
    },
  ],
  options: [
    ...FILE_OPTIONS,
    ...SET_OPTIONS,
    { flags: "--format <format>", summary: "yaml or json", fallback: "yaml" },
    { flags: "-o, --output <path>", summary: "into a file" },
    { flags: "-q, --quiet", summary: "print nothing, only check" },
    { flags: "--services", summary: "only the names of the services" },
    { flags: "--volumes", summary: "only the names of the volumes" },
    { flags: "--images", summary: "only the images" },
    { flags: "--profiles", summary: "only the profiles" },
    { flags: "--variables", summary: "only the variables that the files use" },
    { flags: "--hash <services>", summary: "only hashes of services: names with commas, or *" },
    { flags: "--resolve-image-digests", summary: "pin images to digests; asks the engine" },
    { flags: "--no-interpolate", summary: "leave variables as they are written" },
    { flags: "--no-normalize", summary: "leave out what the files do not say" },
    { flags: "--no-path-resolution", summary: "leave paths as they are written" },
    { flags: "--no-consistency", summary: "let references lead nowhere" },
  ],
  examples: [
    { line: "berth config -f compose.yaml", does: "check the file and print it" },
    { line: "berth config -f compose.yaml --format json", does: "for programs" },
    { line: "berth config --services", does: "one service a line" },
    { line: "berth config web", does: "one service with what it depends on" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output } = input;
  const opened = withForm(input, await openStack(input));
  const isTable = flagOption(input, "variables") && !LISTS.some((list) => input.options[list]);
  if (isTable) {
    write(input, variableTable(opened));
    return EXIT.done;
  }
  const loadedStack = loadOpened(input, opened, (declared) => valuesFor(input, declared));
  const { project: loaded, warnings, merged } = loadedStack;
  for (const warning of warnings)
    output.note(`warning ${formatProblem(shortened(warning, input))}`);
  if (flagOption(input, "quiet")) return EXIT.done;
  const format = textOption(input, "format") ?? (output.json ? "json" : "yaml");
  if (format !== "json" && format !== "yaml") {
    throw new ProtocolError("invalid_request", `"${format}" is no format; expected yaml or json`);
  }
  const project = flagOption(input, "resolveImageDigests") ? await pinned(input, loaded) : loaded;
  const lines = linesWanted(input, project);
  const text = () =>
    merged === undefined ? printCanonical(project, format) : printMerged(merged, format);
  write(input, lines ?? [text().trimEnd()]);
  return EXIT.done;
}

/** What only lists, needs no env file; nor do hashes, into which their paths go. */
const LISTS = ["services", "volumes", "images", "profiles", "hash"];

/** What lists all of the project, whatever services are named. */
const WHOLE_LISTS = ["services", "volumes", "profiles", "hash"];

/** The options that change how files are read. commander says `no-x` as `x: false`. */
function withForm(input: CommandInput, opened: OpenedStack): OpenedStack {
  const { options } = input;
  const interpolate = options["interpolate"] !== false;
  return {
    ...opened,
    options: {
      ...opened.options,
      interpolate,
      normalize: options["normalize"] !== false,
      resolvePaths: options["pathResolution"] !== false,
      // What a variable stands for may be what makes it consistent, or the path of an env file.
      checkConsistency: interpolate && options["consistency"] !== false,
      readEnvFiles: interpolate && !LISTS.some((list) => options[list]),
      services: WHOLE_LISTS.some((list) => options[list]) ? [] : input.words,
    },
  };
}

/** Given values of parameters; those that only a deploy would make up or ask for stand as their names. */
function valuesFor(input: CommandInput, declared: DeclaredParameters): Record<string, string> {
  const given = givenValues(input, declared);
  const values: Record<string, string> = {};
  for (const [name, declaration] of Object.entries(declared.declarations)) {
    const value = given[name] ?? declaration.default;
    if (value !== undefined) values[name] = value;
    else if (declaration.required !== false) values[name] = `<${name}>`;
  }
  return values;
}

function write(input: CommandInput, lines: readonly string[]): void {
  const path = textOption(input, "output");
  if (path === undefined) for (const line of lines) input.output.line(line);
  else {
    const text = lines.map((line) => `${line}\n`).join("");
    writeFileSync(resolve(input.workingDirectory, path), text);
  }
}

/** Of several lists the first of these, as in the reference. */
function linesWanted(input: CommandInput, project: ComposeProject): readonly string[] | undefined {
  if (flagOption(input, "services")) return inOrderOfStart(project);
  if (flagOption(input, "volumes")) return Object.keys(withoutUnused(project).volumes).sort();
  const [hashed] = listOption(input, "hash");
  if (hashed !== undefined && hashed !== "") return hashes(hashed, project);
  if (flagOption(input, "profiles")) return project.profiles;
  if (!flagOption(input, "images")) return undefined;
  return Object.keys(project.services)
    .sort()
    .map((name) => project.services[name]?.image || `${project.name}-${name}`);
}

/** By name, each after what it depends on. */
function inOrderOfStart({ services }: ComposeProject): readonly string[] {
  const ordered = new Set<string>();
  const visited = new Set<string>();
  const waiting = Object.keys(services).sort().reverse();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const service = Object.hasOwn(services, name) ? services[name] : undefined;
    if (service === undefined) continue;
    if (visited.has(name)) ordered.add(name);
    else {
      visited.add(name);
      waiting.push(
        name,
        ...Object.keys(service.dependsOn ?? {})
          .sort()
          .reverse(),
      );
    }
  }
  return [...ordered];
}

/** `--hash web,db` or `--hash "*"`: a name and a hash a line. */
function hashes(given: string, project: ComposeProject): readonly string[] {
  const names = given === "*" ? Object.keys(project.services) : given.split(",");
  return names.sort().map((name) => {
    const text = hashedText(project, name);
    if (text === undefined) throw noService(name, project);
    return `${name} ${createHash("sha256").update(text).digest("hex")}`;
  });
}

function noService(name: string, project: ComposeProject): ProtocolError {
  const why = project.disabledServices.includes(name)
    ? `${name} belongs to no active profile; activate one with --profile`
    : `there is no service "${name}"; the file has ${Object.keys(project.services).join(", ")}`;
  return new ProtocolError("invalid_request", why, { name });
}

const COLUMN_WIDTH_MIN = 20;
const COLUMN_GAP = 3;

/** In the columns of the reference. */
function variableTable({ options }: OpenedStack): string[] {
  const rows = [
    ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"],
    ...fileVariables(options).map(({ name, required, fallback, alternate }) => [
      name,
      String(required),
      fallback,
      alternate,
    ]),
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.max(COLUMN_WIDTH_MIN, ...rows.map((row) => (row[column] ?? "").length + COLUMN_GAP)),
  );
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(""));
}

async function pinned(input: CommandInput, project: ComposeProject): Promise<ComposeProject> {
  const { resolveDigests } = await import("../stack/image-digests.ts");
  const services = Object.entries(project.services);
  const images = services.flatMap(([, { image }]) => (image ? [image] : []));
  const digests = await resolveDigests(images, input.environment);
  const pinnedServices = services.map(([name, service]) => {
    const image = digests.get(service.image ?? "");
    return [name, image === undefined ? service : { ...service, image }] as const;
  });
  return { ...project, services: Object.fromEntries(pinnedServices) };
}

/** From the words of a command to a loaded Compose project: which files, which name, which variables. */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  type ComposeFiles,
  type ComposeProblem,
  type ComposeProject,
  formatProblem,
  type LoadOptions,
  loadCompose,
  nodeFiles,
  type PrintedMap,
  type SourceMap,
} from "@berth/compose";
import { isName, ProtocolError } from "@berth/protocol";
import { type CommandInput, listOption, type OptionDescription, textOption } from "../command.ts";
import { stackFiles } from "./stack-files.ts";

/** Options of every command that reads stack files. */
export const FILE_OPTIONS: readonly OptionDescription[] = [
  {
    flags: "-f, --file <path...>",
    summary: "Compose file, - for standard input; later ones lie over earlier ones",
    fallback: "compose.yaml here or in a folder above, with compose.override.yaml",
  },
  {
    flags: "--stack <name>",
    summary: "name of the stack",
    fallback: "the file's name:, else its folder's",
  },
  { flags: "--project-directory <path>", summary: "what relative paths start from" },
  { flags: "--env-file <path...>", summary: "variables for the file", fallback: ".env beside it" },
  { flags: "--profile <name...>", summary: "profiles to activate" },
  {
    flags: "--allow-remote <prefix...>",
    summary: "load remote files of include and extends whose addresses begin so (https only)",
  },
];

/** What one label of DNS holds (RFC 1123). */
const NAME_LENGTH_MAX = 63;

/** The path under which standard input is loaded. */
const STDIN_NAME = "stdin.yaml";

export interface LoadedStack {
  readonly project: ComposeProject;
  readonly sources: SourceMap;
  readonly warnings: readonly ComposeProblem[];
  /** The merged text of files that were loaded without interpolation. */
  readonly merged?: PrintedMap;
  readonly text: string;
}

/** The stack file has errors: the message is all of them, a line each; `details.fileProblems` are data. */
export class StackFileError extends ProtocolError {
  constructor(problems: readonly ComposeProblem[], shown: readonly string[]) {
    super("invalid_stack", shown.join("\n"), { fileProblems: problems });
  }
}

/** The files of a command, found and, where they come by standard input, read. */
export interface OpenedStack {
  readonly options: LoadOptions;
  readonly stdin: string | undefined;
}

/** Finds the files that a command names. */
export async function openStack(input: CommandInput): Promise<OpenedStack> {
  const directory = textOption(input, "projectDirectory");
  const { files, envFiles, environment } = stackFiles({
    given: listOption(input, "file"),
    envFiles: listOption(input, "envFile"),
    directory: directory === undefined ? undefined : resolve(input.workingDirectory, directory),
    environment: definedOnly(input.environment),
    workingDirectory: input.workingDirectory,
  });
  const stdin = files.includes("-") ? await readStandardInput() : undefined;
  const stack = textOption(input, "stack");
  const profiles = listOption(input, "profile");
  const ownPath = join(input.workingDirectory, STDIN_NAME);
  const options: LoadOptions = {
    files: files.map((file) => (file === "-" ? ownPath : file)),
    ...(directory === undefined
      ? {}
      : { projectDirectory: resolve(input.workingDirectory, directory) }),
    ...(stack === undefined ? {} : { projectName: stack }),
    environment,
    ...(envFiles === undefined ? {} : { envFiles }),
    ...(profiles.length === 0 ? {} : { profiles }),
    fs: stdin === undefined ? nodeFiles : withStandardInput(stdin, input.workingDirectory),
  };
  const allowed = listOption(input, "allowRemote");
  if (allowed.length === 0) return { options, stdin };
  const { withRemoteFiles } = await import("./remote-files.ts");
  return { options: await withRemoteFiles(options, allowed, input.signal), stdin };
}

/**
 * Loads opened files, with values for the parameters that they declare.
 *
 * @throws StackFileError with every problem of the files.
 */
export function loadOpened(
  input: CommandInput,
  { options, stdin }: OpenedStack,
  parameters: NonNullable<LoadOptions["parameters"]> = {},
): LoadedStack {
  const result = loadCompose({ ...options, parameters });
  if (!result.ok) {
    const shown = result.problems.map((problem) => formatProblem(shortened(problem, input)));
    const count = `${shown.length} error${shown.length === 1 ? "" : "s"}, nothing was changed`;
    throw new StackFileError(result.problems, [...shown, count]);
  }
  const [first] = options.files;
  const text = stdin ?? (first === undefined ? "" : readFileSync(first, "utf8"));
  return { ...result, text };
}

/**
 * The name of the stack that a project becomes. Compose's names may have what DNS does not carry.
 *
 * @throws ProtocolError `invalid_stack` for a name that only Compose takes, with one that will do.
 */
export function stackName(name: string): string {
  if (isName(name)) return name;
  const near = name.replace(/_+/g, "-").slice(0, NAME_LENGTH_MAX).replace(/-+$/, "");
  throw new ProtocolError(
    "invalid_stack",
    `"${name}" cannot be the name of a stack: lower-case letters, digits and dashes, up to ${NAME_LENGTH_MAX}; give one with --stack${isName(near) ? ` ${near}` : ""}`,
    { name },
  );
}

/** A problem or a place with the file's path as the user would write it. */
export function shortened<T extends { readonly file: string }>(problem: T, input: CommandInput): T {
  const prefix = `${input.workingDirectory}/`;
  const file = problem.file.startsWith(prefix) ? problem.file.slice(prefix.length) : problem.file;
  return { ...problem, file: file === STDIN_NAME ? "(standard input)" : file };
}

function withStandardInput(text: string, folder: string): ComposeFiles {
  const path = join(folder, STDIN_NAME);
  return {
    ...nodeFiles,
    readText: (name) => (name === path ? text : nodeFiles.readText(name)),
    stat: (name) => (name === path ? "file" : nodeFiles.stat(name)),
  };
}

async function readStandardInput(): Promise<string> {
  const { text } = await import("node:stream/consumers");
  return text(process.stdin);
}

function definedOnly(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value] as const],
    ),
  );
}

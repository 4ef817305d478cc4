/**
 * From the words of a command line to a run of one command: finds the row, parses options (commander),
 * turns errors into words and an exit code.
 */

import { AssertionError, nearestWord } from "@berth/base";
import type { ApiClient } from "@berth/protocol";
import { Command, CommanderError, Option } from "commander";
import type { CommandDescription, CommandInput } from "./command.ts";
import { COMMANDS, type CommandRow, GROUPS } from "./command-table.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import { writeError } from "./output/error-text.ts";
import { type Output, processOutput } from "./output/output.ts";

/** Width of the help where there is no terminal. */
const PIPE_COLUMNS = 80;

/** Options that every command takes. */
const COMMON_OPTIONS = [
  { flags: "--json", summary: "print JSON, one value a line" },
  { flags: "--project <name>", summary: "project (default: the context's, else default)" },
  { flags: "--env <name>", summary: "environment (default: the context's, else main)" },
  { flags: "--context <name>", summary: "which server to talk to (see berth context ls)" },
] as const;

export interface RunOptions {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly signal: AbortSignal;
  /** The process's own by default. */
  readonly output?: Output;
  /** A client for every command, instead of one of the chosen context. */
  readonly api?: ApiClient;
}

/** Runs a command line. Answers the exit code; writes everything itself. */
export async function runCommandLine(options: RunOptions): Promise<number> {
  const json = options.argv.includes("--json");
  const output = options.output ?? processOutput({ json, environment: options.environment });
  const found = findRow(options.argv);
  if (found === undefined) return unknownWords(options.argv, output);
  try {
    return await runRow(found.row, found.rest, options, output);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    // Ctrl-C is what the user wanted: no words about it.
    if (options.signal.aborted) return EXIT.failed;
    if (error instanceof AssertionError) throw error;
    const written = writeError(output, error, found.row.words);
    return exitCodeOf(written.code, written.details);
  }
}

/** The row whose words begin the line, the longest first. */
function findRow(argv: readonly string[]): { row: CommandRow; rest: string[] } | undefined {
  const rows = [...COMMANDS].sort((a, b) => b.words.length - a.words.length);
  for (const row of rows) {
    const words = row.words.split(" ");
    if (words.every((word, index) => argv[index] === word)) {
      return { row, rest: argv.slice(words.length) };
    }
  }
  return undefined;
}

function unknownWords(argv: readonly string[], output: Output): number {
  const words = argv.filter((word) => !word.startsWith("-"));
  const [first] = words;
  const help = argv.length === 0 || argv.includes("--help") || argv.includes("-h");
  const group = COMMANDS.filter((row) => row.words.startsWith(`${words.join(" ")} `));
  if (first !== undefined && group.length > 0) {
    for (const line of commandLines(group, 2)) output.line(line);
    return help ? EXIT.done : EXIT.usage;
  }
  if (first === undefined || first === "help") {
    for (const line of helpLines()) output.line(line);
    return help || first === "help" ? EXIT.done : EXIT.usage;
  }
  const siblings = COMMANDS.filter((row) => row.words.startsWith(`${first} `));
  const close = nearestWords(words, siblings);
  const hint = close === undefined ? "" : `; did you mean "berth ${close}"?`;
  output.note(`berth ${words.join(" ")} is no command${hint}`);
  if (close === undefined && siblings.length > 0) {
    for (const line of commandLines(siblings, 2)) output.note(line);
  } else output.note("  berth help lists them all");
  return EXIT.usage;
}

/** Of a known first word only what goes with it: `stack remove` is nothing like `scale`. */
function nearestWords(words: readonly string[], siblings: readonly CommandRow[]) {
  const among = (siblings.length > 0 ? siblings : COMMANDS).map((row) => row.words);
  const close = nearestWord(words.slice(0, 2).join(" "), among);
  return close ?? (siblings.length > 0 ? undefined : nearestWord(words[0] ?? "", among));
}

/** `berth help`. */
export function helpLines(): string[] {
  const groups = GROUPS.flatMap((group) => {
    const rows = COMMANDS.filter((row) => row.group === group);
    return rows.length === 0 ? [] : ["", `${group}:`, ...commandLines(rows, 2)];
  });
  return [
    "berth: a container cloud. Machines and Compose files in, healthy services out.",
    "",
    "usage: berth COMMAND [OPTIONS]      berth COMMAND --help shows examples",
    ...groups,
    "",
    "exit codes: 0 done, 1 failed, 2 wrong usage, 3 server not reachable, 4 not allowed",
  ];
}

function commandLines(rows: readonly CommandRow[], indent: number): string[] {
  const width = Math.max(...rows.map((row) => row.words.length));
  return rows.map((row) => `${" ".repeat(indent)}${row.words.padEnd(width)}  ${row.summary}`);
}

async function runRow(
  row: CommandRow,
  rest: string[],
  options: RunOptions,
  output: Output,
): Promise<number> {
  const description = await row.load();
  const parser = parserOf(row.words, description, output);
  parser.parse(rest, { from: "user" });
  return description.run(await inputOf(description, parser, options, output));
}

/** commander's command for a description: parsing, `--help`, wrong options. */
export function parserOf(words: string, description: CommandDescription, output: Output): Command {
  const parser = new Command(`berth ${words}`);
  parser.description(
    description.details === undefined
      ? description.summary
      : `${description.summary}\n\n${description.details}`,
  );
  for (const argument of description.arguments ?? []) {
    const name = argument.variadic ? `${argument.name}...` : argument.name;
    parser.argument(argument.required ? `<${name}>` : `[${name}]`, argument.summary);
  }
  for (const option of [...(description.options ?? []), ...COMMON_OPTIONS]) {
    const fallback = "fallback" in option && option.fallback !== undefined ? option.fallback : "";
    const summary = fallback === "" ? option.summary : `${option.summary} (default: ${fallback})`;
    parser.addOption(optionOf(option.flags, summary));
  }
  if (description.passThrough) parser.passThroughOptions().allowUnknownOption(false);
  const examples = description.examples.map(({ line, does }) => `  ${line}\n      ${does}`);
  parser.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
  parser.showHelpAfterError(`  berth ${words} --help shows how it is used`);
  parser.exitOverride();
  parser.configureOutput({
    writeOut: (text) => output.bytes(Buffer.from(text)),
    writeErr: (text) => output.note(text.trimEnd()),
    getOutHelpWidth: () => (Number.isFinite(output.columns) ? output.columns : PIPE_COLUMNS),
    getErrHelpWidth: () => (Number.isFinite(output.columns) ? output.columns : PIPE_COLUMNS),
  });
  parser.action(() => {});
  return parser;
}

/** `<x...>` means: may be given again. commander's own variadic options would swallow the arguments. */
function optionOf(flags: string, summary: string): Option {
  if (!flags.includes("...")) return new Option(flags, summary);
  const option = new Option(flags.replace("...", ""), `${summary}; may be repeated`);
  return option.argParser((value: string, before: unknown) =>
    Array.isArray(before) ? [...before, value] : [value],
  );
}

async function inputOf(
  description: CommandDescription,
  parser: Command,
  options: RunOptions,
  output: Output,
): Promise<CommandInput> {
  const { environment, workingDirectory, signal } = options;
  const given: Record<string, unknown> = parser.opts();
  const { connect, scope } =
    description.local === true
      ? { connect: asksNobody, scope: asksNobody }
      : (await import("./connection/connect.ts")).connectionOf(environment, given, options.api);
  const words = parser.args;
  return { words, options: given, output, environment, workingDirectory, signal, connect, scope };
}

function asksNobody(): never {
  throw new AssertionError("a local command asks for a server");
}

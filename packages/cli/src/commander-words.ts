/** Reads a command's words by commander: help, wrong options and arguments, and every form of them. */

import { Command, CommanderError, Option } from "commander";
import type { CommandDescription } from "./command.ts";
import { COMMON_OPTIONS } from "./common-options.ts";
import { EXIT } from "./exit-code.ts";
import type { Output } from "./output/output.ts";
import type { ReadWords } from "./plain-words.ts";

/** Width of the help where there is no terminal. */
const PIPE_COLUMNS = 80;

/** The words of `argv`; an exit code where help or a refusal was all there was to say. */
export function commanderWords(
  words: string,
  description: CommandDescription,
  argv: readonly string[],
  output: Output,
): ReadWords | number {
  const parser = parserOf(words, description, output);
  try {
    parser.parse([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    throw error;
  }
  return { words: parser.args, options: parser.opts() };
}

/** commander's command for a description: parsing, `--help`, wrong options. */
function parserOf(words: string, description: CommandDescription, output: Output): Command {
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
    const fallback = option.fallback ?? "";
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

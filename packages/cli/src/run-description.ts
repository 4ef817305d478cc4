/**
 * One command, from its own words to its exit code: options, the run, and what went wrong in words.
 */

import { AssertionError } from "@berth/base";
import type { ApiClient } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "./command.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import { writeError } from "./output/error-text.ts";
import { type Output, processOutput } from "./output/output.ts";
import { plainWords, type ReadWords } from "./plain-words.ts";

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

/** Where a run writes. */
export function outputOf({ argv, environment, output }: RunOptions): Output {
  return output ?? processOutput({ json: argv.includes("--json"), environment });
}

/** A command that was found: `words` are its own (`stack rm`), `rest` what follows them. */
export interface FoundCommand {
  readonly words: string;
  readonly rest: readonly string[];
  readonly load: () => Promise<CommandDescription>;
}

/** Runs a command. Answers the exit code; writes everything itself. */
export async function runDescription(found: FoundCommand, options: RunOptions): Promise<number> {
  const output = outputOf(options);
  try {
    const description = await found.load();
    const read =
      plainWords(description, found.rest) ??
      (await import("./commander-words.ts")).commanderWords(
        found.words,
        description,
        found.rest,
        output,
      );
    if (typeof read === "number") return read;
    return await description.run(await inputOf(description, read, options, output));
  } catch (error) {
    // Ctrl-C is what the user wanted: no words about it.
    if (options.signal.aborted) return EXIT.failed;
    if (error instanceof AssertionError) throw error;
    const written = writeError(output, error, found.words);
    return exitCodeOf(written.code, written.details);
  }
}

async function inputOf(
  description: CommandDescription,
  { words, options: given }: ReadWords,
  options: RunOptions,
  output: Output,
): Promise<CommandInput> {
  const { environment, workingDirectory, signal } = options;
  const { connect, scope } =
    description.local === true
      ? { connect: asksNobody, scope: asksNobody }
      : (await import("./connection/connect.ts")).connectionOf(environment, given, options.api);
  return { words, options: given, output, environment, workingDirectory, signal, connect, scope };
}

function asksNobody(): never {
  throw new AssertionError("a local command asks for a server");
}

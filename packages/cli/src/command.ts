/**
 * What a command is: its words and help as data, its work as one function of its input. The table of
 * commands loads a module only when its command runs, so `berth version` pays for nothing else.
 */

import type { ApiClient } from "@berth/protocol";
import type { Output } from "./output/output.ts";

export interface ArgumentDescription {
  readonly name: string;
  readonly summary: string;
  readonly required: boolean;
  /** Takes all remaining words. */
  readonly variadic?: true;
}

export interface OptionDescription {
  /** commander's form: `-f, --file <path...>`, `--json`. */
  readonly flags: string;
  readonly summary: string;
  /** Shown in the help; the code applies it. */
  readonly fallback?: string;
}

export interface CommandDescription {
  readonly summary: string;
  /** Further sentences of the help. */
  readonly details?: string;
  readonly arguments?: readonly ArgumentDescription[];
  readonly options?: readonly OptionDescription[];
  /** Real lines that a reader can copy, each with what it does. */
  readonly examples: readonly { readonly line: string; readonly does: string }[];
  /** Asks no server: `connect` and `scope` are not there for it, and what they are made of is not loaded. */
  readonly local?: true;
  /** Words after the arguments are the command's own (`exec`). */
  readonly passThrough?: true;
  /** Answers the exit code; see exit-code.ts. */
  readonly run: (input: CommandInput) => Promise<number>;
}

/** Everything a command may touch. Tests give their own. */
export interface CommandInput {
  /** Words in the order of `arguments`; a variadic argument takes the rest. */
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Connects lazily: `--context`, BERTH_URL and BERTH_TOKEN, the config file, this machine's platform. */
  readonly connect: () => ApiClient;
  /** `--project` and `--env`, else the context's, else `default/main`. */
  readonly scope: () => { readonly project: string; readonly environment: string };
}

/** A text option, or `undefined`. */
export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

/** A repeatable option's values. */
export function listOption(input: CommandInput, name: string): readonly string[] {
  const value = input.options[name];
  if (Array.isArray(value)) return value.map(String);
  return typeof value === "string" ? [value] : [];
}

/** Whether a flag was given. */
export function flagOption(input: CommandInput, name: string): boolean {
  return input.options[name] === true;
}

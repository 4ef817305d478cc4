/**
 * Reads a command's words where they are plain and right; whoever gets nothing asks commander, which knows help, wrong
 * words and what was meant.
 *
 * commander costs more than most commands do: loading it and building its objects took 8 of the 40 ms that `berth
 * config` ran beside Node's own start, and Node's `parseArgs` still 3. A test holds this reader to commander.
 */

import type { CommandDescription } from "./command.ts";
import { COMMON_OPTIONS } from "./common-options.ts";

/** What a command line says: arguments in their order, options by their names in camelCase. */
export interface ReadWords {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

interface PlainOption {
  readonly long: string;
  readonly short: string | undefined;
  readonly name: string;
  readonly isNegation: boolean;
  readonly takesValue: boolean;
  readonly repeats: boolean;
}

const FLAGS = /^(?:-([a-zA-Z]), )?--([a-z-]+)( <[^>.]+(\.\.\.)?>)?$/;

/** The words of `argv` (without the command's own), or `undefined` where commander is needed. */
export function plainWords(
  description: CommandDescription,
  argv: readonly string[],
): ReadWords | undefined {
  if (description.passThrough) return undefined;
  const known = new Map<string, PlainOption>();
  const options: Record<string, unknown> = {};
  for (const { flags } of [...(description.options ?? []), ...COMMON_OPTIONS]) {
    const option = plainOption(flags);
    if (option === undefined) return undefined;
    known.set(`--${option.long}`, option);
    if (option.short !== undefined) known.set(`-${option.short}`, option);
    // As commander has it: `--no-x` makes of `x`, which is true at first, false.
    if (option.isNegation) options[option.name] = true;
  }
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    const option = known.get(word);
    if (option === undefined) {
      // Joined forms (-fNAME, --file=NAME), the end of options and what nobody knows are not plain.
      if (word.startsWith("-") && word !== "-") return undefined;
      words.push(word);
    } else if (!option.takesValue) options[option.name] = !option.isNegation;
    else {
      const value = argv[++at];
      if (value === undefined || (value.startsWith("-") && value !== "-")) return undefined;
      const before = options[option.name];
      options[option.name] = option.repeats
        ? [...(Array.isArray(before) ? before : []), value]
        : value;
    }
  }
  return takes(description, words.length) ? { words, options } : undefined;
}

function plainOption(flags: string): PlainOption | undefined {
  const [matched, short, long, value, dots] = FLAGS.exec(flags) ?? [];
  if (matched === undefined || long === undefined) return undefined;
  const isNegation = long.startsWith("no-");
  const name = camelCase(isNegation ? long.slice("no-".length) : long);
  return {
    long,
    short,
    name,
    isNegation,
    takesValue: value !== undefined,
    repeats: dots !== undefined,
  };
}

/** As commander names options: `--env-file` is `envFile`. */
function camelCase(words: string): string {
  return words.replace(/-(.)/g, (_dash, letter: string) => letter.toUpperCase());
}

/** Whether the command takes `count` arguments. */
function takes({ arguments: rows = [] }: CommandDescription, count: number): boolean {
  const required = rows.filter((row) => row.required).length;
  const most = rows.some((row) => row.variadic) ? Number.POSITIVE_INFINITY : rows.length;
  return count >= required && count <= most;
}

/**
 * From the words of a command line to a run of one command: finds the row, and says what was meant where there is none.
 */

import { nearestWord } from "@berth/base";
import { COMMANDS, type CommandRow, GROUPS } from "./command-table.ts";
import { EXIT } from "./exit-code.ts";
import type { Output } from "./output/output.ts";
import { outputOf, type RunOptions, runDescription } from "./run-description.ts";

/** Runs a command line. Answers the exit code; writes everything itself. */
export async function runCommandLine(options: RunOptions): Promise<number> {
  const output = outputOf(options);
  const found = findRow(options.argv);
  if (found === undefined) return unknownWords(options.argv, output);
  const { row, rest } = found;
  return runDescription({ words: row.words, rest, load: row.load }, { ...options, output });
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

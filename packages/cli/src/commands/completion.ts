/** `berth completion` */

import { ProtocolError } from "@berth/protocol";
import type { CommandDescription } from "../command.ts";
import { COMMANDS } from "../command-table.ts";
import { EXIT } from "../exit-code.ts";

export const command: CommandDescription = {
  summary: "completion script for a shell",
  arguments: [{ name: "shell", summary: "bash, zsh or fish", required: true }],
  examples: [
    { line: "source <(berth completion bash)", does: "completes in this shell" },
    { line: "berth completion fish > ~/.config/fish/completions/berth.fish", does: "for good" },
  ],
  async run(input) {
    const shell = input.words[0] ?? "";
    const rows = await Promise.all(
      COMMANDS.map(async ({ words, summary, load }) => ({
        words,
        summary,
        flags: await flagsOf(load),
      })),
    );
    const script = scriptOf(shell, rows);
    if (script === undefined) {
      throw new ProtocolError(
        "invalid_request",
        `"${shell}" is not known; expected bash, zsh or fish`,
      );
    }
    input.output.line(script);
    return EXIT.done;
  },
};

interface Row {
  readonly words: string;
  readonly summary: string;
  readonly flags: readonly string[];
}

const COMMON_FLAGS = ["--json", "--project", "--env", "--context", "--help"];

async function flagsOf(load: () => Promise<CommandDescription>): Promise<string[]> {
  const { options = [] } = await load();
  const flags = options.map(({ flags }) => /--[a-z-]+/.exec(flags)?.[0]);
  return [...flags.filter((flag) => flag !== undefined), ...COMMON_FLAGS];
}

function scriptOf(shell: string, rows: readonly Row[]): string | undefined {
  if (shell === "bash") return bashScript(rows);
  if (shell === "zsh") return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(rows)}`;
  return shell === "fish" ? fishScript(rows) : undefined;
}

function bashScript(rows: readonly Row[]): string {
  const firsts = [...new Set(rows.map(({ words }) => words.split(" ")[0]))].join(" ");
  const seconds = new Map<string, string[]>();
  for (const { words } of rows) {
    const [first = "", second] = words.split(" ");
    if (second !== undefined) seconds.set(first, [...(seconds.get(first) ?? []), second]);
  }
  const groups = [...seconds].map(
    ([first, list]) => `    "${first}") words="${list.join(" ")}" ;;`,
  );
  const flags = rows.map(
    ({ words, flags: list }) => `    "${words}") words="${list.join(" ")}" ;;`,
  );
  return `_berth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=""
  local first="\${COMP_WORDS[1]}" two="\${COMP_WORDS[1]} \${COMP_WORDS[2]}"
  if [ "$COMP_CWORD" -eq 1 ]; then words="${firsts} help"
  elif [[ "$current" == -* ]]; then
    case "$two" in
${flags.join("\n")}
    esac
    [ -n "$words" ] || case "$first" in
${flags.join("\n")}
    esac
  elif [ "$COMP_CWORD" -eq 2 ]; then
    case "$first" in
${groups.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _berth berth ./berth`;
}

function fishScript(rows: readonly Row[]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`;
  const lines = rows.flatMap(({ words, summary, flags }) => {
    const [first = "", second] = words.split(" ");
    const head =
      second === undefined
        ? `complete -c berth -f -n __fish_use_subcommand -a ${first} -d ${quoted(summary)}`
        : `complete -c berth -f -n '__fish_seen_subcommand_from ${first}' -a ${second} -d ${quoted(summary)}`;
    const options = flags.map(
      (flag) =>
        `complete -c berth -n '__fish_seen_subcommand_from ${second ?? first}' -l ${flag.slice(2)}`,
    );
    return [head, ...options];
  });
  return lines.join("\n");
}

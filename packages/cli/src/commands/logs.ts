/** `berth logs` */

import { parseDuration } from "@berth/base";
import { type LogLine, ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Colour, Output } from "../output/output.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "log lines of a stack, a service or one copy, in order of time",
  details:
    "Lines outlive their containers: also of replaced copies, earlier attempts and releases.",
  arguments: [
    { name: "target", summary: "STACK, STACK/SERVICE or STACK/SERVICE-NUMBER", required: true },
  ],
  options: [
    { flags: "-f, --follow", summary: "go on with what comes" },
    {
      flags: "-n, --tail <lines>",
      summary: "last lines of each copy",
      fallback: "all; 100 with -f",
    },
    { flags: "--since <when>", summary: "15m, or a time as 2026-01-31T10:00:00Z" },
    { flags: "--until <when>", summary: "likewise" },
    { flags: "--release <number>", summary: "only copies of this release" },
    { flags: "-t, --timestamps", summary: "with times" },
    { flags: "--no-prefix", summary: "without the names of the copies" },
  ],
  examples: [
    { line: "berth logs shop/web -f", does: "all copies of web, as it comes" },
    { line: "berth logs shop --since 15m", does: "the whole stack, the last quarter of an hour" },
    { line: "berth logs shop/web-1 -n 50", does: "the last 50 lines of one copy" },
  ],
  run,
};

const FOLLOW_TAIL = 100;

async function run(input: CommandInput): Promise<number> {
  const target = targetOf(input, input.words[0] ?? "");
  const api = input.connect();
  const { signal, output } = input;
  const { services } = await api.call("getStack", { params: { ...target }, signal });
  const chosen = chooseService(
    target.service,
    services.map(({ service }) => service),
  );
  const follow = flagOption(input, "follow");
  const tail = textOption(input, "tail") ?? (follow ? String(FOLLOW_TAIL) : undefined);
  const since = momentOf(textOption(input, "since"));
  const until = momentOf(textOption(input, "until"));
  const release = textOption(input, "release");
  const lines = await api.call("readLogs", {
    params: { ...target },
    query: {
      ...(chosen.service === undefined ? {} : { service: chosen.service }),
      ...(follow ? { follow: "true" } : {}),
      ...(tail === undefined ? {} : { tail }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(release === undefined ? {} : { release }),
    },
    signal,
  });
  const copy = chosen.slot === undefined ? undefined : `${chosen.service}-${chosen.slot}`;
  for await (const line of lines) {
    if (copy === undefined || line.name === copy) show(input, output, line);
  }
  return EXIT.done;
}

/** `web-1` is a service of that name, or else the first copy of `web`. */
function chooseService(
  word: string | undefined,
  names: readonly string[],
): { readonly service?: string; readonly slot?: number } {
  if (word === undefined) return {};
  if (names.includes(word)) return { service: word };
  const copy = /^(.+)-(\d+)$/.exec(word);
  if (copy !== null && names.includes(copy[1] ?? "")) {
    return { service: copy[1] ?? "", slot: Number(copy[2]) };
  }
  throw new ProtocolError("not_found", `there is no service "${word}"`, { services: names });
}

/** Wall time in milliseconds, as the query wants it. */
function momentOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  const at = ago === undefined ? Date.parse(text) : Date.now() - ago;
  if (Number.isFinite(at)) return String(at);
  throw new ProtocolError(
    "invalid_request",
    `"${text}" is no time; expected 15m or 2026-01-31T10:00:00Z`,
  );
}

const COLOURS: readonly Colour[] = ["blue", "green", "yellow", "grey", "bold"];

function colourOf(name: string): Colour {
  const sum = [...name].reduce((total, character) => total + character.charCodeAt(0), 0);
  return COLOURS[sum % COLOURS.length] ?? "blue";
}

function show(input: CommandInput, output: Output, line: LogLine): void {
  if (output.json) {
    output.line(JSON.stringify(line));
    return;
  }
  const time = flagOption(input, "timestamps") ? `${new Date(line.at).toISOString()}  ` : "";
  const prefix =
    input.options["prefix"] === false ? "" : `${output.paint(colourOf(line.name), line.name)}  `;
  output.line(`${prefix}${time}${line.text}`);
}

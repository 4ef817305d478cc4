/** `berth volume describe | move`: one volume, and its way to another node. */

import { formatBytes, SECOND_MS, sleep, systemClock } from "@berth/base";
import {
  type ApiClient,
  ProtocolError,
  type StackScope,
  VOLUME_HOLD_PHASES,
  type Volume,
} from "@berth/protocol";
import { type CommandDescription, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import type { Output } from "../output/output.ts";
import { serviceOf } from "../target.ts";

/** Between looks at a move: a person reads the progress. */
const LOOK_MS = SECOND_MS / 2;

type VolumeParams = StackScope & { readonly volume: string };

const VOLUME_ARGUMENT = {
  name: "volume",
  summary: "STACK/VOLUME; STACK/VOLUME.2 for that of the second copy",
  required: true,
} as const;

export const describe: CommandDescription = {
  summary: "one volume: where it lives, who uses it, what is being done with it",
  arguments: [VOLUME_ARGUMENT],
  examples: [{ line: "berth volume describe shop/db-data", does: "shows one volume" }],
  async run(input) {
    const { service: volume, ...scope } = serviceOf(input, input.words[0] ?? "");
    const params = { ...scope, volume };
    const view = await input.connect().call("getVolume", { params, signal: input.signal });
    if (input.output.json) {
      input.output.line(JSON.stringify(view));
      return EXIT.done;
    }
    for (const line of linesOf(view.volume, view.usedBy, view.progress)) input.output.line(line);
    return EXIT.done;
  },
};

function linesOf(
  { hold, last, ...volume }: Volume,
  usedBy: readonly string[],
  progress: string | undefined,
): string[] {
  const rows: (readonly [string, string])[] = [
    ["volume", nameOf(volume)],
    ["mode", volume.external ? `${volume.mode}, not made by the stack` : volume.mode],
    ["node", volume.node ?? "none yet: its first copy decides"],
    ["used by", usedBy.length === 0 ? "nobody" : usedBy.join(", ")],
    ["at the engine", volume.engineName],
    ["since", new Date(volume.createdAt).toISOString()],
  ];
  if (hold !== undefined) {
    const more = progress === undefined ? "" : ` (${progress})`;
    rows.push([hold.kind, `${hold.phase}: ${VOLUME_HOLD_PHASES[hold.phase]}${more}`]);
    if (hold.reason !== undefined) rows.push(["reason", hold.reason]);
  } else if (last !== undefined) {
    const bytes = last.bytes === undefined ? "" : `, ${formatBytes(last.bytes)}`;
    const why = last.reason === undefined ? "" : `: ${last.reason}`;
    rows.push([`last ${last.kind}`, `${last.state}${bytes}${why}`]);
  }
  return rows.map(([name, text]) => `${name.padEnd(14)} ${text}`);
}

function nameOf({ stack, name, slot }: Pick<Volume, "stack" | "name" | "slot">): string {
  return `${stack}/${name}${slot === undefined ? "" : `.${slot}`}`;
}

export const move: CommandDescription = {
  summary: "move a volume to another node, with whoever uses it",
  details:
    "Stops the copies that use it, copies the data with a checksum, and starts them where it is then. " +
    "If anything fails before that, the volume is where it was, and the copies start again there.",
  arguments: [VOLUME_ARGUMENT],
  options: [
    { flags: "--to <node>", summary: "the node that gets it" },
    { flags: "--dry-run", summary: "say what would be stopped and moved, change nothing" },
    { flags: "--detach", summary: "do not wait for the end" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    { line: "berth volume move shop/db-data --to two --dry-run", does: "says what would happen" },
    { line: "berth volume move shop/db-data --to two --yes", does: "moves it and waits" },
  ],
  async run(input) {
    const { service: volume, ...scope } = serviceOf(input, input.words[0] ?? "");
    const params = { ...scope, volume };
    const to = textOption(input, "to");
    if (to === undefined) {
      throw new ProtocolError("invalid_request", "where to? expected --to NODE", { volume });
    }
    const api = input.connect();
    const { output, signal } = input;
    const { usedBy, volume: before } = await api.call("getVolume", { params, signal });
    const users = usedBy.length === 0 ? "" : `; stops ${usedBy.join(", ")} meanwhile`;
    output.note(`moves ${scope.stack}/${volume} from ${before.node ?? "nowhere"} to ${to}${users}`);
    for (const line of await othersOf(api, { params, usedBy, to, signal })) output.note(line);
    if (flagOption(input, "dryRun")) return EXIT.done;
    if (
      usedBy.length > 0 &&
      !(await confirmed(input, volume, "the volume's name", "nothing was moved"))
    ) {
      return EXIT.failed;
    }
    const begun = await api.call("moveVolume", { params, body: { to }, signal });
    if (flagOption(input, "detach")) {
      if (output.json) output.line(JSON.stringify(begun));
      else output.line(`${scope.stack}/${volume} is being moved: berth volume describe`);
      return EXIT.done;
    }
    return await follow(api, { params, id: begun.hold?.id ?? "", output, signal });
  },
};

/** Volumes of the same copies that stay behind: copies run where all of theirs are. */
async function othersOf(
  api: ApiClient,
  wish: {
    readonly params: VolumeParams;
    readonly usedBy: readonly string[];
    readonly to: string;
    readonly signal: AbortSignal;
  },
): Promise<string[]> {
  const { params, usedBy, to, signal } = wish;
  const { volume, stack, ...scope } = params;
  const { items } = await api.call("listVolumes", { params: scope, query: { stack }, signal });
  const users = new Set(usedBy.map((user) => user.split("/").at(-1)));
  return items
    .filter((each) => nameOf(each.volume) !== `${stack}/${volume}` && each.volume.node !== to)
    .filter((each) => each.usedBy.some((user) => users.has(user)))
    .map((each) => {
      const name = nameOf(each.volume);
      return `its users need ${name} on ${each.volume.node ?? "no node"} too: move it as well`;
    });
}

async function follow(
  api: ApiClient,
  move: {
    readonly params: VolumeParams;
    readonly id: string;
    readonly output: Output;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { params, id, output, signal } = move;
  const name = `${params.stack}/${params.volume}`;
  for (let said = ""; ; ) {
    const { volume, progress } = await api.call("getVolume", { params, signal });
    const { hold, last } = volume;
    if (last?.id === id && (last.state === "done" || hold === undefined)) {
      if (output.json) output.line(JSON.stringify(volume));
      if (last.state === "failed") {
        output.note(`${name} stays on ${volume.node}: ${last.reason ?? "the move failed"}`);
        return EXIT.failed;
      }
      const bytes = last.bytes === undefined ? "" : `, ${formatBytes(last.bytes)}`;
      if (!output.json) output.line(`${name} is on ${volume.node}${bytes}`);
      return EXIT.done;
    }
    if (hold === undefined) {
      const message = `the move of ${name} was forgotten: berth volume describe says where it is`;
      throw new ProtocolError("conflict", message, { volume: params.volume });
    }
    const words = `${hold.phase}${progress === undefined ? "" : `: ${progress}`}`;
    if (words !== said) output.note(words);
    said = words;
    await sleep(systemClock, LOOK_MS, signal);
  }
}

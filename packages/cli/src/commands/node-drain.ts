/**
 * `berth node drain`: empties a node and follows it until nothing is left there that can run elsewhere.
 *
 * The server does the work, by the rollout limits of each service; this only looks. So Ctrl-C, a lost connection
 * or a time that ran out stop nothing: the node goes on being drained until `berth node uncordon`.
 */

import { formatDuration, parseDuration } from "@berth/base";
import {
  type ApiClient,
  type CopyStanding,
  type NodeStanding,
  ProtocolError,
} from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { tellMoves } from "../output/node-moves.ts";

/** A node of many copies with the default pauses is empty within this, or something is wrong. */
const TIMEOUT_MS = 10 * 60_000;
/** Between two looks: one cheap call each. */
const LOOK_MS = 500;
/** The same reason is said again after this: people see that it is still the case. */
const SAY_AGAIN_MS = 30_000;
/** Of many copies that wait for one thing, the first few say it all. */
const COPIES_SHOWN_MAX = 10;

export const command: CommandDescription = {
  summary: "nothing new on a node; what runs there moves away",
  details:
    "Copies move by the limits of their services: start-first ones are replaced before they stop, as many at once as update_config.parallelism says. Copies whose volume lies on the node stay, and the command ends with 1 and says which. Ctrl-C and --timeout stop only the command: the node stays draining until berth node uncordon.",
  arguments: [{ name: "node", summary: "the node", required: true }],
  options: [
    { flags: "--timeout <duration>", summary: "how long to follow it", fallback: "10m" },
    { flags: "--detach", summary: "do not follow it" },
    { flags: "--dry-run", summary: "only say where each copy would go" },
  ],
  examples: [
    { line: "berth node drain node-2 --dry-run", does: "which copies would move and which stay" },
    { line: "berth node drain node-2", does: "empties it, with progress" },
    {
      line: "berth node drain node-2 && berth node rm node-2",
      does: "takes it out without a loss",
    },
    { line: "berth node uncordon node-2", does: "takes it back" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const params = { node: input.words[0] ?? "" };
  const timeoutMs = timeoutOf(input);
  const api = input.connect();
  if (flagOption(input, "dryRun")) {
    return await tellMoves(input, params.node, { whenEmpty: "there is nothing to move" });
  }
  const body = { availability: "draining" } as const;
  const node = await api.call("setNodeAvailability", { params, body, signal });
  if (!flagOption(input, "detach")) return await follow(input, api, timeoutMs);
  output.line(output.json ? JSON.stringify(node) : `${node.name} is ${node.availability}`);
  return EXIT.done;
}

function timeoutOf(input: CommandInput): number {
  const text = textOption(input, "timeout");
  if (text === undefined) return TIMEOUT_MS;
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs;
  throw new ProtocolError("invalid_request", `"${text}" is no duration; expected 30s, 5m, 1h30m`);
}

async function follow(input: CommandInput, api: ApiClient, timeoutMs: number): Promise<number> {
  const node = input.words[0] ?? "";
  const started = performance.now();
  const progress = new Progress(input, node);
  for (;;) {
    const standing = await look(input, api, node);
    progress.show(standing.copies);
    const movable = standing.copies.filter(({ stays }) => stays === undefined);
    if (movable.length === 0) return finish(input, standing, progress);
    if (standing.node.availability !== "draining") {
      const message = `${node} is ${standing.node.availability} again: somebody took it back before it was empty`;
      throw new ProtocolError("conflict", message, { node });
    }
    if (performance.now() - started >= timeoutMs) {
      const message = `${node} is not empty after ${formatDuration(timeoutMs)}; it stays draining, and its copies go on moving`;
      const problems = blockedLines(standing.copies);
      throw new ProtocolError("timed_out", message, { timeoutMs, problems });
    }
    await pause(input, node);
  }
}

/** One look; on Ctrl-C says what the node is left as. */
async function look(input: CommandInput, api: ApiClient, node: string): Promise<NodeStanding> {
  try {
    return await api.call("getNodeStanding", { params: { node }, signal: input.signal });
  } catch (error) {
    if (input.signal.aborted) sayInterrupted(input, node);
    throw error;
  }
}

async function pause(input: CommandInput, node: string): Promise<void> {
  const { signal } = input;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(end, LOOK_MS);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
  if (signal.aborted) sayInterrupted(input, node);
  signal.throwIfAborted();
}

function sayInterrupted({ output }: CommandInput, node: string): void {
  output.note(`${node} stays draining, and its copies go on moving`);
  output.note(`  take it back: berth node uncordon ${node}    look: berth node describe ${node}`);
}

function finish(input: CommandInput, standing: NodeStanding, progress: Progress): number {
  const { output } = input;
  const { node, copies } = standing;
  if (output.json) output.line(JSON.stringify({ node, moved: progress.moved, left: copies }));
  if (copies.length === 0) {
    if (!output.json) output.line(`${node.name} is empty`);
    return EXIT.done;
  }
  if (output.json) return EXIT.failed;
  const stay = copies.length === 1 ? "1 copy stays" : `${copies.length} copies stay`;
  output.note(`${node.name} is drained, but ${stay}:`);
  for (const line of blockedLines(copies)) output.note(`  ${line}`);
  output.note(
    "  each stays until its service is removed, its volume is elsewhere, or the node is removed",
  );
  return EXIT.failed;
}

/** `shop/db-1 stays: volume data lies on node-2` */
function blockedLines(copies: readonly CopyStanding[]): string[] {
  const shown = copies.slice(0, COPIES_SHOWN_MAX).map(({ copy, state, waits }) => {
    return `${copy} (${state}) ${waits ?? "runs"}`;
  });
  const rest = copies.length - shown.length;
  return rest === 0 ? shown : [...shown, `and ${rest} more`];
}

/** Moving lines on a terminal; in a pipe a line for each copy that has left, and for what holds the others. */
class Progress {
  /** Copies that have left, in order. */
  readonly moved: string[] = [];
  readonly #input: CommandInput;
  readonly #node: string;
  #before: ReadonlyMap<string, string> | undefined;
  readonly #said = new Map<string, number>();

  constructor(input: CommandInput, node: string) {
    this.#input = input;
    this.#node = node;
  }

  show(copies: readonly CopyStanding[]): void {
    const { output } = this.#input;
    const now = new Map(copies.map(({ task, copy }) => [task, copy]));
    const left = [...(this.#before ?? [])].filter(([task]) => !now.has(task));
    for (const [, copy] of left) {
      this.moved.push(copy);
      if (!output.json && !output.interactive) output.line(`${copy} has left ${this.#node}`);
    }
    this.#before = now;
    if (output.json) return;
    if (!output.interactive) this.#sayWaits(copies);
    const total = this.moved.length + copies.length;
    const title = `draining ${this.#node}: ${this.moved.length} of ${total} copies have left`;
    output.live(
      copies.length === 0 ? [] : [title, ...blockedLines(copies).map((line) => `  ${line}`)],
    );
  }

  /** What a copy waits for, when that is new and now and then again. */
  #sayWaits(copies: readonly CopyStanding[]): void {
    const now = performance.now();
    for (const { copy, waits, stays } of copies) {
      if (waits === undefined || stays !== undefined) continue;
      const line = `${copy} ${waits}`;
      const last = this.#said.get(line);
      if (last !== undefined && now - last < SAY_AGAIN_MS) continue;
      this.#said.set(line, now);
      this.#input.output.note(line);
    }
  }
}

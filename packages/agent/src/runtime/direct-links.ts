/**
 * Interfaces of directly started containers on the host: made, found by what they say of themselves, put back
 * into a bridge that was made anew.
 *
 * The kernel removes a pair with the container's namespace, a moment after its last process: a name that is
 * still there may belong to nobody.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { hasInterface } from "@berth/network/interfaces";
import {
  type DirectLink,
  insideCommands,
  outsideCommands,
  parseAlias,
  rejoinCommands,
} from "./direct-plan.ts";
import { listAt, parseJson, textAt } from "./docker-json.ts";
import { InsideSession } from "./inside-session.ts";
import { IpSession } from "./ip-session.ts";

/** `ip` takes milliseconds; past this the machine hangs. */
const COMMAND_TIMEOUT_MS = 10_000;
/** A listing of some thousand interfaces. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Shorter than the thread lives after a start: it must not leave a child behind. */
const SESSION_IDLE_MS = 2_000;

/** Programs that stay for a burst of starts: `ip` on the host, and what runs it inside. */
export interface LinkSessions {
  readonly outside: IpSession;
  readonly inside: InsideSession;
}

/** For `attach`. `folder`: on a volatile disk. */
export function linkSessions(folder: string): LinkSessions {
  const times = { timeoutMs: COMMAND_TIMEOUT_MS, idleMs: SESSION_IDLE_MS };
  return { outside: new IpSession(times), inside: new InsideSession(folder, times) };
}

/** Gives the process its networks: pairs on the host, addresses and routes inside. Answers what failed. */
export async function attach(
  sessions: LinkSessions,
  links: readonly DirectLink[],
  process: { readonly pid: number; readonly containerId: string },
): Promise<string | undefined> {
  const failure = await sessions.outside.run({
    commands: outsideCommands(links, process),
    made: links.map(({ outside }) => outside),
    used: [...new Set(links.map(({ bridge }) => bridge.name))],
  });
  return failure ?? (await sessions.inside.run(process.pid, insideCommands(links)));
}

/** The container whose end of a pair has this name; nothing when there is no such name, or it is not ours. */
export async function holderOf(outside: string): Promise<string | undefined> {
  if (!hasInterface(outside)) return undefined;
  const [end] = await endsOf(["dev", outside]);
  return end?.containerId;
}

/** Containers with an end in the bridge. */
export async function holdersIn(bridge: string): Promise<string[]> {
  if (!hasInterface(bridge)) return [];
  return (await endsOf(["master", bridge])).map(({ containerId }) => containerId);
}

/** Removes a pair of which nobody lives; it may vanish by itself meanwhile. */
export async function removeLink(outside: string): Promise<void> {
  await run("ip", ["link", "delete", outside]).catch((error: unknown) => {
    if (hasInterface(outside)) throw error;
  });
}

/** Puts ends that belong into the bridge, and are in none, back into it. */
export async function rejoin(bridge: string): Promise<void> {
  const ends = await endsOf(["type", "veth"]);
  const lost = ends.filter((end) => end.bridge === bridge && end.master === undefined);
  const commands = lost.map(({ name }) => rejoinCommands(name, bridge));
  if (commands.length > 0) await run("ip", ["-batch", "-"], commands.join(""));
}

/** The programs are there, do what is expected of them, and may be used. */
export async function hasPrograms(folder: string): Promise<boolean> {
  const { inside } = linkSessions(folder);
  const failure = await inside.run(process.pid, "");
  inside.close();
  return failure === undefined;
}

interface End {
  readonly name: string;
  readonly containerId: string;
  /** Where it belongs, and where it is. */
  readonly bridge: string;
  readonly master: string | undefined;
}

/** Our ends among the interfaces that `ip link show` selects by `words`. */
async function endsOf(words: readonly string[]): Promise<End[]> {
  // An interface that vanishes between two looks makes the listing fail: then it is gone.
  const text = await run("ip", ["-json", "link", "show", ...words]).catch(() => "[]");
  return listAt({ list: parseJson(text) }, "list").flatMap((item) => {
    const alias = parseAlias(textAt(item, "ifalias") ?? "");
    if (alias === undefined) return [];
    return [{ name: textAt(item, "ifname") ?? "", master: textAt(item, "master"), ...alias }];
  });
}

async function run(file: string, words: readonly string[], input?: string): Promise<string> {
  const limits = { timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX };
  const running = promisify(execFile)(file, words, limits);
  // A program that ends without reading its input is judged by its exit code.
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end(input);
  return (await running).stdout;
}

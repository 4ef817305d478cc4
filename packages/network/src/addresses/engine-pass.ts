/**
 * Docker drops what goes from one of its bridges to another. A task on several networks goes that way to a
 * service address of a network that is not its way out, so such connections, and only they, get an accept
 * before its rules: translated by us, from a range of service addresses. Our own rules decide whether they
 * may be.
 *
 * The rule has to be the first of its chain: an engine puts its own first whenever it starts (and some put
 * `DOCKER-USER`, the chain that is meant for others, behind their drops). Where no engine has rules, nothing
 * has to be passed. Cost: a program a look, and two for each range when the rule is not in its place.
 */

import type { Clock } from "@berth/base";
import { runProgram } from "../program.ts";

export interface EnginePassOptions {
  readonly clock: Clock;
  /** `iptables` and `ip6tables`, found by PATH. */
  readonly iptablesProgram?: string;
  readonly ip6tablesProgram?: string;
}

const CHAIN = "FORWARD";
const PROGRAM_TIMEOUT_MS = 5_000;
/** For the lock that all users of iptables share. */
const LOCK_WAIT = ["-w", "2"];

/** Makes sure of the rule for each range; `cluster` marks it. Returns what stood in the way. */
export async function ensureEnginePass(
  options: EnginePassOptions,
  cluster: string,
  ranges: readonly string[],
): Promise<string | undefined> {
  for (const range of ranges) {
    const listing = await run(options, range, ["-S", CHAIN]);
    if (listing.failed !== undefined || !listing.stdout.includes("DOCKER")) continue;
    if (isInPlace(listing.stdout, cluster, range)) continue;
    const rule = ruleOf(cluster, range);
    await run(options, range, ["-D", CHAIN, ...rule]);
    const { failed } = await run(options, range, ["-I", CHAIN, "1", ...rule]);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Before every rule that is not one of ours. */
function isInPlace(listing: string, cluster: string, range: string): boolean {
  const rules = listing.split("\n").filter((line) => line.startsWith("-A"));
  const ours = (line: string) => line.includes(`"berth ${cluster}"`);
  const first = rules.findIndex((line) => !ours(line));
  return rules.slice(0, first).some((line) => ours(line) && line.includes(range));
}

/** Takes the rules out again: for uninstalling. */
export async function removeEnginePass(
  options: EnginePassOptions,
  cluster: string,
  ranges: readonly string[],
): Promise<void> {
  for (const range of ranges) await run(options, range, ["-D", CHAIN, ...ruleOf(cluster, range)]);
}

function ruleOf(cluster: string, range: string): readonly string[] {
  const translated = ["-m", "conntrack", "--ctstate", "DNAT", "--ctorigdst", range];
  return [...translated, "-m", "comment", "--comment", `berth ${cluster}`, "-j", "ACCEPT"];
}

interface Said {
  readonly stdout: string;
  /** What it said when it failed, or that there is no such program. */
  readonly failed?: string;
}

async function run(
  { clock, iptablesProgram = "iptables", ip6tablesProgram = "ip6tables" }: EnginePassOptions,
  range: string,
  words: readonly string[],
): Promise<Said> {
  const file = range.includes(":") ? ip6tablesProgram : iptablesProgram;
  const args = [...LOCK_WAIT, ...words];
  const result = await runProgram({ file, args, clock, timeoutMs: PROGRAM_TIMEOUT_MS });
  if (result.kind === "missing") return { stdout: "", failed: `${file} is not installed` };
  const { code, stdout, stderr } = result;
  return code === 0 ? { stdout } : { stdout, failed: stderr.trim() || `${file} failed` };
}

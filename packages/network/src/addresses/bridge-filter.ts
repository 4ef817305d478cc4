/**
 * What bridges of our networks need so that an answer which a bridge hands from copy to client is translated
 * back: their frames pass the host's rules (`nf_call_iptables`, of each bridge by itself), and a port sends
 * back what came from it (`hairpin`), for a copy that calls its own service.
 *
 * Nobody else's bridges are touched. Loading the kernel's module turns the rules on for all bridges of the
 * host; where it was not loaded before, that is turned off again at once.
 *
 * Rejected: the rule only where the host has it on already (engines differ, and newer ones do not load the
 * module); sending answers through the gateway by rewriting their MAC address (newer kernels only).
 * Cost: two programs a look; a look is made when a bridge or a port that the agent did not make has come
 * (bridge-news.ts), and now and then.
 */

import { existsSync, writeFileSync } from "node:fs";
import type { Clock } from "@berth/base";
import { overlayPortName } from "../interfaces.ts";
import { listRows, type Row, rowAt, runBatch, wordAt } from "../link-tool.ts";
import { runProgram } from "../program.ts";

export interface BridgeFilterOptions {
  readonly clock: Clock;
  /** `ip`, `bridge` and `modprobe`, found by PATH unless a test has others. */
  readonly ipProgram?: string;
  readonly bridgeProgram?: string;
}

const PROGRAM_TIMEOUT_MS = 5_000;
const SYSCTL_FOLDER = "/proc/sys/net/bridge";
const SYSCTLS = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"];

/**
 * Lets processes of the host reach copies by a translated port of 127.0.0.1. What containers could do with it,
 * send to the host's loopback, our firewall drops.
 */
export function allowLoopback(bridges: readonly string[]): void {
  for (const bridge of bridges) {
    const file = `/proc/sys/net/ipv4/conf/${bridge}/route_localnet`;
    if (existsSync(file)) writeFileSync(file, "1");
  }
}

/** Brings all of `bridges` that exist, and their ports, into order. Returns why that is not possible. */
export async function ensureBridgeFilter(
  options: BridgeFilterOptions,
  bridges: readonly string[],
): Promise<string | undefined> {
  if (bridges.length === 0) return undefined;
  const missing = await ensureModule(options);
  if (missing !== undefined) return missing;
  const ours = new Set(bridges);
  const { clock } = options;
  const ip = options.ipProgram ?? "ip";
  const links = await listRows(clock, ip, ["-j", "-d", "link", "show", "type", "bridge"]);
  if (typeof links === "string") return links;
  const changes: string[] = [];
  for (const link of links) {
    const name = wordAt(link, "ifname");
    if (!ours.has(name) || hasFilter(link)) continue;
    changes.push(`link set dev ${name} type bridge nf_call_iptables 1 nf_call_ip6tables 1`);
  }
  const failed = denialOf(await runBatch(clock, ip, changes));
  if (failed !== undefined) return failed;
  const program = options.bridgeProgram ?? "bridge";
  const ports = await listRows(clock, program, ["-j", "-d", "link", "show"]);
  if (typeof ports === "string") return ports;
  // Frames from another node would be sent back there, and from there again: those ports never turn.
  const ways = new Set(bridges.map(overlayPortName));
  const turned = ports
    .filter((port) => ours.has(wordAt(port, "master")) && !ways.has(wordAt(port, "ifname")))
    .filter((port) => port["hairpin"] !== true)
    .map((port) => `link set dev ${wordAt(port, "ifname")} hairpin on`);
  return denialOf(await runBatch(clock, program, turned));
}

async function ensureModule(options: BridgeFilterOptions): Promise<string | undefined> {
  if (existsSync(`${SYSCTL_FOLDER}/${SYSCTLS[0]}`)) return undefined;
  const call = { file: "modprobe", args: ["br_netfilter"], timeoutMs: PROGRAM_TIMEOUT_MS };
  await runProgram({ ...call, clock: options.clock });
  if (!existsSync(`${SYSCTL_FOLDER}/${SYSCTLS[0]}`)) {
    return "the kernel has no br_netfilter: names answer the copies themselves";
  }
  for (const name of SYSCTLS) writeFileSync(`${SYSCTL_FOLDER}/${name}`, "0");
  return undefined;
}

/** A port may vanish between look and change, with its container: that is no failure. */
function denialOf(failure: string | undefined): string | undefined {
  const counts = failure !== undefined && /not permitted|not installed/i.test(failure);
  return counts ? failure : undefined;
}

function hasFilter(link: Row): boolean {
  const data = rowAt(rowAt(link, "linkinfo"), "info_data");
  return data["nf_call_iptables"] === 1 && data["nf_call_ip6tables"] === 1;
}

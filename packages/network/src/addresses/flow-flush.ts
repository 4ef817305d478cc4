/**
 * Ends the kernel's memory of flows to copies that are gone. A translated flow goes to its copy for as long
 * as packets come: a client that sends UDP from one port would talk to nobody for ever.
 *
 * Through the program `conntrack`: neither nft nor Node can remove entries. Cost: a pass over the table of
 * connections for each address, in the background, one after the other.
 */

import type { Clock } from "@berth/base";
import { runProgram } from "../program.ts";

/** A table of a million entries is passed over in a second or two. */
const FLUSH_TIMEOUT_MS = 10_000;

export interface FlowFlushOptions {
  readonly clock: Clock;
  readonly conntrackProgram: string;
}

export type FlushResult = "done" | "missing" | { readonly detail: string };

/** Removes every entry that was translated to `address`. */
export async function flushFlows(
  { clock, conntrackProgram: file }: FlowFlushOptions,
  address: string,
): Promise<FlushResult> {
  const family = address.includes(":") ? "ipv6" : "ipv4";
  const args = ["-D", "-f", family, "--dst-nat", address];
  const result = await runProgram({ file, args, clock, timeoutMs: FLUSH_TIMEOUT_MS });
  if (result.kind === "missing") return "missing";
  // It fails as well when there was nothing to remove.
  if (result.code === 0 || /\b0 flow entries/.test(result.stderr)) return "done";
  return { detail: result.stderr.trim() };
}

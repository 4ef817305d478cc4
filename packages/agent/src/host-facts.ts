/** What the agent asks of its host, as a port: the real one reads /proc and the file system. */

import { readFileSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { type HostPortWish, ProtocolError } from "@berth/protocol";
import { portsTaken, type TakenPort } from "./net/port-check.ts";

export interface HostFacts {
  /** Changes with every boot. */
  readonly bootId: string;
  disk(path: string): Promise<{ readonly sizeBytes: number; readonly freeBytes: number }>;
  /** Processes that the host can have. */
  pidsMax(): Promise<number>;
  /** Which of the ports foreign programs hold. */
  portsTaken(wishes: readonly HostPortWish[]): Promise<readonly TakenPort[]>;
  /** DNS servers of the host, for names that are not ours. */
  forwarders(): Promise<readonly string[]>;
}

/** Kernels without a limit of their own report this much. */
const PIDS_DEFAULT = 32_768;

export interface LinuxFactsOptions {
  readonly bootId?: string;
  /** Folder of `net`: what holds a port and names it in its command line is ours. */
  readonly netFolder?: string;
}

export function linuxFacts(options: LinuxFactsOptions = {}): HostFacts {
  return {
    bootId: options.bootId ?? readBootId(),
    portsTaken: (wishes) => portsTaken(wishes, options.netFolder),
    async disk(path) {
      const { blocks, bavail, bsize } = await statfs(path);
      return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
    },
    async pidsMax() {
      const text = await readFile("/proc/sys/kernel/pid_max", "utf8").catch(() => "");
      return Number.parseInt(text, 10) || PIDS_DEFAULT;
    },
    async forwarders() {
      const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
      return parseForwarders(text);
    },
  };
}

/** `nameserver` lines of a resolv.conf, in order; no more than the three that resolvers read. */
export function parseForwarders(text: string): readonly string[] {
  const servers = [...text.matchAll(/^\s*nameserver\s+([0-9a-fA-F.:]+)\s*$/gm)];
  return servers.map(([, address = ""]) => address).slice(0, 3);
}

function readBootId(): string {
  const path = "/proc/sys/kernel/random/boot_id";
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    const message = "the host does not tell its boot: exclusive tasks could not be kept safe";
    throw new ProtocolError("internal", message, { path }, { cause });
  }
}

/** What the agent asks of its host, as a port: the real one reads /proc and the file system. */

import { readFileSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { networkInterfaces, uptime } from "node:os";
import { hasInterface, interfaceNames } from "@berth/network/interfaces";
import { type HostPortWish, ProtocolError } from "@berth/protocol";
import { type HostDevices, hostDevices } from "./devices/host-devices.ts";
import { portsTaken, type TakenPort } from "./net/port-check.ts";
import { findUnderlay, type UnderlayFinder } from "./net/underlay.ts";

export interface HostFacts {
  /** Changes with every boot. */
  readonly bootId: string;
  /** Milliseconds since the host was booted, those in which it slept included. */
  bootMs(): number;
  disk(path: string): Promise<{ readonly sizeBytes: number; readonly freeBytes: number }>;
  /** Processes that the host can have. */
  pidsMax(): Promise<number>;
  /** Which of the ports foreign programs hold. */
  portsTaken(wishes: readonly HostPortWish[]): Promise<readonly TakenPort[]>;
  /** A network interface of this name is there. */
  hasInterface(name: string): boolean;
  /** All names of interfaces, as they are now; absent where every name that is asked for is there. */
  interfaces?(): ReadonlySet<string>;
  /** Whether an interface has this address now; absent where nobody can tell. */
  hasAddress?(address: string): boolean;
  /** DNS servers of the host, for names that are not ours. */
  forwarders(): Promise<readonly string[]>;
  /** Devices that tasks can have. */
  devices(): Promise<HostDevices>;
  /** IPv4 ranges that lead somewhere from here, by interface; the way to everywhere is not among them. */
  ranges(): Promise<readonly HostRange[]>;
  /** Where other nodes reach this one. */
  underlay: UnderlayFinder;
}

/** A route of the host, or the range of one of its interfaces. */
export interface HostRange {
  readonly range: string;
  readonly interface: string;
}

/** Kernels without a limit of their own report this much. */
const PIDS_DEFAULT = 32_768;

export interface LinuxFactsOptions {
  readonly bootId?: string;
  /** Folder of `net`: what holds a port and names it in its command line is ours. */
  readonly netFolder?: string;
  /** What the operator declares; found ones only when absent. */
  readonly devicesFile?: string;
}

export function linuxFacts(options: LinuxFactsOptions = {}): HostFacts {
  return {
    bootId: options.bootId ?? readBootId(),
    bootMs: () => uptime() * 1_000,
    portsTaken: (wishes) => portsTaken(wishes, options.netFolder),
    async disk(path) {
      const { blocks, bavail, bsize } = await statfs(path);
      return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
    },
    async pidsMax() {
      const text = await readFile("/proc/sys/kernel/pid_max", "utf8").catch(() => "");
      return Number.parseInt(text, 10) || PIDS_DEFAULT;
    },
    hasInterface,
    interfaces: interfaceNames,
    hasAddress: (address) =>
      Object.values(networkInterfaces()).some((all) =>
        all?.some((each) => each.address === address),
      ),
    devices: () => hostDevices(options.devicesFile),
    underlay: findUnderlay,
    async forwarders() {
      const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
      return parseForwarders(text);
    },
    async ranges() {
      const text = await readFile("/proc/self/net/route", "utf8").catch(() => "");
      return parseRoutes(text);
    },
  };
}

/** Routes told at most: more only a router has, whose ranges nobody would choose networks around. */
const ROUTES_MAX = 200;

/** The kernel's table of routes: addresses are hexadecimal numbers in the machine's order of bytes. */
export function parseRoutes(text: string): readonly HostRange[] {
  const ranges = new Map<string, HostRange>();
  for (const line of text.split("\n").slice(1)) {
    const [name = "", destination = "", , , , , , mask = ""] = line.trim().split(/\s+/);
    const bits = [...bytesOf(mask)].map((byte) => byte.toString(2)).join("");
    const prefix = bits.replaceAll("0", "").length;
    const bytes = bytesOf(destination);
    if (bytes.length !== 4 || prefix === 0) continue;
    const range = `${bytes.join(".")}/${prefix}`;
    ranges.set(range, { range, interface: name });
  }
  return [...ranges.values()].slice(0, ROUTES_MAX);
}

/** `0040400A` → 10.64.64.0, on a machine that puts the low byte first. */
function bytesOf(hex: string): readonly number[] {
  if (!/^[0-9A-F]{8}$/i.test(hex)) return [];
  return [...Buffer.from(hex, "hex")].reverse();
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

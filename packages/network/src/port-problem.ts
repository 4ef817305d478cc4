/**
 * Why a port could not be had, in words that name who has it.
 *
 * The holder is found through `/proc`: the socket's inode in `net/tcp`, then the process that has it open.
 * That is slow (all open files of the host) and needs root, so it is done after a failure only, and its
 * absence is no failure.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { parseIpv4 } from "./ipv4.ts";
import type { NetProblem, PortHolder } from "./report.ts";

export interface PortWish {
  /** Whose port it would be: a route's id, `dns:` and the network's id. */
  readonly id: string;
  /** `0.0.0.0` for all, `::` for all of IPv6 alone. */
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/** The problem that a failed bind stands for. */
export function bindProblem(error: unknown, wish: PortWish): NetProblem {
  const { id, address, port } = wish;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    const holder = portHolder(wish);
    return { code: "port_taken", id, address, port, ...(holder === undefined ? {} : { holder }) };
  }
  if (code === "EADDRNOTAVAIL") return { code: "address_missing", id, address, port };
  const detail = error instanceof Error ? error.message : String(error);
  if (code === "EACCES" || code === "EPERM") return { code: "not_permitted", id, detail };
  return { code: "part_failed", part: id.startsWith("dns:") ? "dns" : "ingress", detail };
}

/** The process that holds the port on the address or on all addresses, if `/proc` tells. */
export function portHolder(wish: PortWish): PortHolder | undefined {
  try {
    const inode = socketInode(wish);
    return inode === undefined ? undefined : processOfSocket(inode);
  } catch {
    // No /proc, or not ours to read: the problem is told without the holder's name.
    return undefined;
  }
}

const TCP_LISTEN = "0A";

function socketInode(wish: PortWish): string | undefined {
  const { protocol } = wish;
  const files = wish.address === "::" ? [`${protocol}6`] : [protocol, `${protocol}6`];
  for (const file of files) {
    const lines = readFileSync(`/proc/self/net/${file}`, "latin1").split("\n").slice(1);
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const [, local = "", , state, , , , , , inode] = fields;
      if (wish.protocol === "tcp" && state !== TCP_LISTEN) continue;
      if (holds(local, wish)) return inode;
    }
  }
  return undefined;
}

/** `local` is `0100007F:1F90`: the address in the machine's byte order, the port in hexadecimal. */
function holds(local: string, wish: PortWish): boolean {
  const [addressHex = "", portHex = ""] = local.split(":");
  if (Number.parseInt(portHex, 16) !== wish.port) return false;
  if (wish.address === "0.0.0.0" || wish.address === "::" || /^0+$/.test(addressHex)) return true;
  const bytes = Buffer.from(addressHex.slice(-8), "hex").reverse();
  return bytes.length === 4 && bytes.readUInt32BE(0) === parseIpv4(wish.address);
}

function processOfSocket(inode: string): PortHolder | undefined {
  const wanted = `socket:[${inode}]`;
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || !hasOpen(entry, wanted)) continue;
    return { pid: Number(entry), name: programName(entry) };
  }
  return undefined;
}

/** Words of a process's command line; none when it has ended. */
export function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The program's file name; its threads' names (`comm`) tell less. */
function programName(pid: string): string {
  const [program = ""] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  return basename(program) || readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

function hasOpen(pid: string, wanted: string): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === wanted);
  } catch {
    return false; // The process has just ended, or is not ours to look into.
  }
}

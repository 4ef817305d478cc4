/**
 * Who is connected to a container, from the kernel's own tables (`/proc/PID/net/tcp`, `tcp6`, `udp`): the
 * only place that knows of connections inside a network, which pass no proxy of ours.
 *
 * O(sockets) a look; what is longer than `TABLE_BYTES_MAX` is cut, and then counts are too low.
 */

import { open } from "node:fs/promises";

/** The sockets of one network namespace, as far as draining needs them. */
export interface SocketTable {
  /** Ports on which somebody listens on another address than loopback; UDP ports that are bound alike. */
  readonly listening: ReadonlySet<number>;
  /** Peers of established connections to those ports, one entry a connection: `10.64.1.7`, or IPv6 in hex. */
  readonly peers: readonly string[];
}

/** Some 27,000 sockets: more is no number that anybody waits for. */
const TABLE_BYTES_MAX = 4 * 1024 * 1024;
/** Ports above are the kernel's for sockets that ask, not for such that answer. */
const UDP_SERVICE_PORT_MAX = 32_767;

const ESTABLISHED = "01";
const LISTEN = "0A";
const UDP_UNCONNECTED = "07";

/** The sockets in the network namespace of process `pid`; `undefined` when it cannot be looked into. */
export async function readSockets(pid: number): Promise<SocketTable | undefined> {
  const names = ["tcp", "tcp6", "udp", "udp6"] as const;
  try {
    const [tcp = "", tcp6 = "", udp = "", udp6 = ""] = await Promise.all(
      names.map((name) => readHead(`/proc/${pid}/net/${name}`)),
    );
    return parseSockets(`${tcp}\n${tcp6}`, `${udp}\n${udp6}`);
  } catch {
    return undefined; // It has ended, or this is not the kernel that runs it.
  }
}

async function readHead(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    // Files of the kernel have no size, and answer a page at a time.
    while (sizeBytes < TABLE_BYTES_MAX) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(64 * 1024));
      if (bytesRead === 0) break;
      chunks.push(buffer.subarray(0, bytesRead));
      sizeBytes += bytesRead;
    }
    return Buffer.concat(chunks).toString("latin1");
  } catch (error) {
    // A kernel without IPv6 has no tables of it.
    if (path.endsWith("6")) return "";
    throw error;
  } finally {
    await file.close();
  }
}

interface Row {
  readonly local: string;
  readonly localPort: number;
  readonly peer: string;
  readonly state: string;
}

/** Reads the tables' text. */
export function parseSockets(tcp: string, udp: string): SocketTable {
  const rows = rowsOf(tcp);
  const listening = new Set<number>();
  for (const { local, localPort, state } of rows) {
    if (state === LISTEN && !isLoopback(local)) listening.add(localPort);
  }
  for (const { local, localPort, state } of rowsOf(udp)) {
    const isService = localPort > 0 && localPort <= UDP_SERVICE_PORT_MAX;
    if (state === UDP_UNCONNECTED && isService && !isLoopback(local)) listening.add(localPort);
  }
  const peers = rows
    .filter((row) => row.state === ESTABLISHED && listening.has(row.localPort))
    .map(({ peer }) => peer)
    .filter((peer) => !isLoopback(peer));
  return { listening, peers };
}

function rowsOf(text: string): Row[] {
  return text.split("\n").flatMap((line) => {
    const [, local, remote, state] = line.trim().split(/\s+/);
    const [address, port] = local?.split(":") ?? [];
    const [peer] = remote?.split(":") ?? [];
    if (address === undefined || port === undefined || peer === undefined) return [];
    if (state === undefined || !/^[0-9A-F]{2}$/.test(state)) return [];
    const localPort = Number.parseInt(port, 16);
    return [{ local: addressOf(address), localPort, peer: addressOf(peer), state }];
  });
}

const MAPPED_PREFIX = "0000000000000000FFFF0000";

/** `0100007F` is 127.0.0.1: words of the machine's own order. An IPv4 address in IPv6's clothes is one. */
function addressOf(hex: string): string {
  const v4 = hex.length === 8 ? hex : hex.startsWith(MAPPED_PREFIX) ? hex.slice(24) : undefined;
  if (v4 === undefined) return hex;
  const bytes = v4.match(/../g) ?? [];
  return bytes
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "00000000000000000000000001000000";
}

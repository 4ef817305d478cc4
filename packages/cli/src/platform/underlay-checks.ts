/**
 * Checks of what carries networks from host to host: whether the port of VXLAN is ours, and whether packets really pass, as
 * copies of other nodes answer. Where there is one node, nothing has to pass.
 */

import { createSocket } from "node:dgram";
import { overlayMark } from "@berth/network/overlay/seen";
import { ProtocolError } from "@berth/protocol";
import { clientOf } from "../connection/client.ts";
import { localContext, tokenOf } from "../connection/context.ts";
import { type Check, type Finding, failure, ok, warning } from "./finding.ts";
import { outputOf } from "./host-checks.ts";
import { clusterOf } from "./leftovers.ts";

/** Of ways that do not carry: the first say enough, `berth debug network` has all. */
const BROKEN_SHOWN_MAX = 5;

/** Who has a UDP port of this host. */
export interface PortUse {
  readonly port: number;
  /** Nobody has it. */
  readonly isFree: boolean;
  /** A program that has opened it; absent where the kernel itself has. */
  readonly program?: string;
  /** VXLAN interfaces on it that are not of this cluster. */
  readonly foreign: readonly string[];
  /** VXLAN interfaces on it of this cluster. */
  readonly own: number;
}

export const underlayPort: Check = async ({ paths, settings }) => {
  const port = settings.underlayPort;
  const isFree = await canBind(port);
  const holders = isFree ? undefined : await outputOf(["ss", "-Hlunp", `sport = :${port}`]);
  const program = /users:\(\("([^"]+)"/.exec(holders ?? "")?.[1];
  const links = await outputOf(["ip", "-j", "-d", "link", "show", "type", "vxlan"]);
  const cluster = clusterOf(paths);
  const mark = cluster === undefined ? undefined : overlayMark(cluster);
  const found = vxlanLinks(links ?? "").filter((link) => link.port === port);
  const foreign = found.filter(({ alias }) => alias !== mark || mark === undefined);
  return [
    underlayFinding({
      ...{ port, isFree, own: found.length - foreign.length },
      ...(program === undefined ? {} : { program }),
      foreign: foreign.map(({ name }) => name),
    }),
  ];
};

/** What is said about it. Pure. */
export function underlayFinding({ port, isFree, program, foreign, own }: PortUse): Finding {
  const check = "underlay port";
  const another =
    "have it use another port, or choose one on all nodes: berth platform start --underlay-port 4790";
  if (program !== undefined) {
    const message = `UDP ${port} is taken by ${program}: networks do not reach other hosts`;
    return failure(check, message, another);
  }
  if (foreign.length > 0) {
    const message = `UDP ${port} is shared with VXLAN of somebody else (${foreign.join(", ")}): where networks span hosts, its packets are dropped here`;
    return warning(check, message, another);
  }
  if (isFree) return ok(check, `UDP ${port} is free (used while networks span hosts)`);
  if (own > 0) return ok(check, `UDP ${port} carries ${own} of our networks`);
  const message = `UDP ${port} is held by the kernel for somebody else, as Docker Swarm does for its networks`;
  return warning(check, message, another);
}

interface VxlanLink {
  readonly name: string;
  readonly alias: string | undefined;
  readonly port: number;
}

function vxlanLinks(json: string): VxlanLink[] {
  interface Row {
    readonly ifname?: string;
    readonly ifalias?: string;
    readonly linkinfo?: { readonly info_data?: { readonly port?: number } };
  }
  const rows = (json.trim() === "" ? [] : JSON.parse(json)) as readonly Row[];
  return rows.flatMap(({ ifname, ifalias, linkinfo }) => {
    const port = linkinfo?.info_data?.port;
    return ifname === undefined || port === undefined
      ? []
      : [{ name: ifname, alias: ifalias, port }];
  });
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: "0.0.0.0", exclusive: true }, () => {
      socket.close(() => resolve(true));
    });
  });
}

/** A firewall on the way is found by what does not come through it: every pair of nodes tries. */
export const ways: Check = async ({ environment }) => {
  const context = localContext(environment);
  if (tokenOf(context) === undefined) return [];
  const client = clientOf(context);
  try {
    const { pairs } = await client.call("checkNetworks", { params: {}, query: {} });
    const broken = pairs.filter(({ verdict }) => verdict === "failed");
    const carrying = pairs.filter(({ verdict }) => verdict === "ok").length;
    if (broken.length === 0) {
      return carrying === 0 ? [] : [ok("ways", `${carrying} ways between nodes carry packets`)];
    }
    return broken.slice(0, BROKEN_SHOWN_MAX).map(({ from, to, steps }) => {
      const step = steps.find(({ verdict }) => verdict === "failed");
      const message = `${from} → ${to}: ${step?.what ?? "packets"}: ${step?.message ?? "do not pass"}`;
      return failure("ways", message, step?.advice ?? "berth debug network says more");
    });
  } catch (error) {
    // The check of the server itself tells that.
    if (error instanceof ProtocolError) return [];
    throw error;
  } finally {
    client.close();
  }
};

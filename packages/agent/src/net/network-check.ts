/**
 * Whether this node reaches a copy on another through their network: its name, a small packet, TCP, a packet of
 * full size. In this order: the first that fails says where to look.
 *
 * Nothing has to listen there: a datagram to a port that nobody has is answered by the copy's own kernel with a
 * refusal, which is an echo, and its way is that of all packets. Nothing is sent to ports that a service has
 * but the opening of a connection.
 */

import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import type { NetworkCheckStep, NetworkCheckTarget } from "@berth/protocol";
import type { AgentSettings } from "../agent-options.ts";

/** Within a data centre answers take a millisecond; a lost first packet is sent again after a second. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Ports that hardly anybody has; where somebody does, the next is tried. */
const ECHO_PORTS = [33_434, 40_961, 58_243] as const;
/** Headers of IPv4 and UDP. */
const UDP_HEADER_BYTES = 28;

const FIREWALL_ADVICE =
  "let UDP 4789 (or --underlay-port) pass between the hosts; berth node describe shows the address that each is reached at";

/** What sockets say; a test gives its own. */
export interface CheckSockets {
  /** Addresses that `server` answers for `name`. Rejects when it does not. */
  resolve(server: string, name: string): Promise<readonly string[]>;
  /** A datagram of `bytes` was answered; false when nothing came. */
  echo(address: string, bytes: number): Promise<boolean>;
  /** `open`, `refused` (answered all the same), or nothing came. */
  open(address: string, port: number): Promise<"open" | "refused" | "silent">;
}

/** How names are asked for: by full names, where the host itself asks. */
export interface NamesAsked {
  /** Last label of full names. */
  readonly domain: string;
  /** `127.0.0.1:7753`; absent where the host has no names. */
  readonly server?: string;
}

/** As the agent's settings have it. */
export function namesAsked({
  domain,
  hostDns,
}: Pick<AgentSettings, "domain" | "hostDns">): NamesAsked {
  return hostDns === undefined
    ? { domain }
    : { domain, server: `${hostDns.address}:${hostDns.port}` };
}

/** Tries everything. Resolves within some seconds; what fails is said, not thrown. */
export async function checkNetwork(
  target: NetworkCheckTarget,
  names: NamesAsked,
  sockets: CheckSockets = HOST_SOCKETS,
): Promise<NetworkCheckStep[]> {
  const { address, mtu } = target;
  const name = await checkName(target, names, sockets);
  const isEchoed = await sockets.echo(address, 0);
  const echo: NetworkCheckStep = isEchoed
    ? { what: "echo", verdict: "ok", message: `${address} answers` }
    : {
        ...{ what: "echo", verdict: "failed", advice: FIREWALL_ADVICE },
        message: `${address} does not answer within ${ANSWER_TIMEOUT_MS / 1_000} s`,
      };
  if (!isEchoed) return [name, echo, skipped("tcp"), skipped("large")];
  return [name, echo, await checkTcp(target, sockets), await checkLarge(address, mtu, sockets)];
}

function skipped(what: NetworkCheckStep["what"]): NetworkCheckStep {
  return { what, verdict: "skipped", message: "nothing answers there" };
}

async function checkName(
  { project, environment, stack, service, address, ready }: NetworkCheckTarget,
  { domain, server }: NamesAsked,
  sockets: CheckSockets,
): Promise<NetworkCheckStep> {
  const what = "name";
  const name = ["tasks", service, stack, environment, project, domain].join(".");
  if (server === undefined) {
    return {
      what,
      verdict: "skipped",
      message: "no names are answered for this host (--host-dns)",
    };
  }
  if (!ready) return { what, verdict: "skipped", message: "the copy is not ready: no name has it" };
  try {
    const found = await sockets.resolve(server, name);
    if (found.includes(address)) return { what, verdict: "ok", message: `${name} has ${address}` };
    const advice = "the node has not heard of the copy: berth node describe says whether it is up";
    const message = `${name} has ${found.join(", ")}, not ${address}`;
    return { what, verdict: "failed", message, advice };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const advice = "names are answered by berth net: berth platform doctor on this node";
    return { what, verdict: "failed", message: `${server} does not answer: ${why}`, advice };
  }
}

async function checkTcp(
  { address, ports }: NetworkCheckTarget,
  sockets: CheckSockets,
): Promise<NetworkCheckStep> {
  const what = "tcp";
  const port = ports[0] ?? ECHO_PORTS[0];
  const answer = await sockets.open(address, port);
  if (answer === "open") {
    return { what, verdict: "ok", message: `${address}:${port} takes connections` };
  }
  if (answer === "refused") {
    const message = `${address}:${port} answers that nobody listens`;
    return { what, verdict: "ok", message };
  }
  const advice =
    "packets pass, connections do not: look for firewall rules about TCP on both hosts";
  return { what, verdict: "failed", message: `${address}:${port} does not answer`, advice };
}

async function checkLarge(
  address: string,
  mtu: number,
  sockets: CheckSockets,
): Promise<NetworkCheckStep> {
  const what = "large";
  const isEchoed = await sockets.echo(address, mtu - UDP_HEADER_BYTES);
  if (isEchoed) return { what, verdict: "ok", message: `packets of ${mtu} bytes pass` };
  return {
    ...{ what, verdict: "failed", message: `packets of ${mtu} bytes do not pass, small ones do` },
    advice: `the hosts' network carries less than its interfaces say: lower their MTU, or raise what is between them to ${mtu + 50}`,
  };
}

/** Of this host. */
export const HOST_SOCKETS: CheckSockets = {
  async resolve(server, name) {
    const resolver = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: 1 });
    resolver.setServers([server]);
    return resolver.resolve4(name);
  },
  async echo(address, bytes) {
    for (const port of ECHO_PORTS) if (await isRefused(address, port, bytes)) return true;
    return false;
  },
  open: openConnection,
};

/** A connected socket is told of the refusal; one of somebody who listens hears nothing, or an answer. */
function isRefused(address: string, port: number, bytes: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (isAnswered: boolean) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.close();
      resolve(isAnswered);
    };
    const timer = setTimeout(end, ANSWER_TIMEOUT_MS, false);
    socket.once("error", (error) => end("code" in error && error.code === "ECONNREFUSED"));
    socket.once("message", () => end(true));
    socket.connect(port, address, () => socket.send(Buffer.alloc(bytes)));
  });
}

function openConnection(address: string, port: number): Promise<"open" | "refused" | "silent"> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: "open" | "refused" | "silent") => {
      socket.removeAllListeners();
      socket.on("error", () => {});
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => end("silent"));
    socket.once("connect", () => end("open"));
    socket.once("error", (error) =>
      end("code" in error && error.code === "ECONNREFUSED" ? "refused" : "silent"),
    );
  });
}

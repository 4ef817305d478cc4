/**
 * Which containers the agent gives their networks itself, and with which commands. Pure.
 *
 * The engine makes such a container without any network. While its first process waits to become the
 * container's program, the agent puts one end of a veth pair per network into its namespace and the other into
 * the engine's bridge. What this way cannot do as the engine does it is an obstacle: then the engine does it.
 * Design page: docs/design/direct-start.md
 */

import { madePortName } from "@berth/network/interfaces";
import type { ContainerNetwork, ContainerRequest } from "./port.ts";

/** The attachments as JSON: a later agent that starts the container has only its labels. */
export const LABEL_DIRECT = "berth.direct";

export type DirectAttachment = Extract<
  ContainerNetwork,
  { kind: "networks" }
>["attachments"][number];

/** A network's bridge on this node. */
export interface Bridge {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  /** No way out of it. */
  readonly internal: boolean;
  readonly mtu?: number;
}

/** One network of a container that is started. */
export interface DirectLink extends DirectAttachment {
  readonly bridge: Bridge;
  /** The end in the bridge: one name per address, so the kernel keeps two holders of one apart. */
  readonly outside: string;
  /** The end in the container. */
  readonly inside: string;
}

/** Files that an engine writes only for containers with networks of its own; the agent has to bring them. */
const FILES_NEEDED = ["/etc/hosts", "/etc/resolv.conf"] as const;
/** What an attachment may say to be understood here. */
const FIELDS_KNOWN: ReadonlySet<string> = new Set(["networkId", "address", "mac"]);

/** Why `request` must be started the engine's own way; nothing when the agent may do it. */
export function directObstacle(request: ContainerRequest): string | undefined {
  const { network, engine, mounts } = request;
  if (network.kind !== "networks" || network.attachments.length === 0) return "it has no networks";
  if (request.repeatable !== true) return "its program must not begin twice";
  const missing = FILES_NEEDED.find((path) => !mounts.some(({ target }) => target === path));
  if (missing !== undefined) return `the engine writes its ${missing}`;
  if (network.attachments.some((each) => Object.keys(each).some((key) => !FIELDS_KNOWN.has(key))))
    return "an attachment asks for more than an address";
  if (engine.runtime !== undefined) return "another runtime may start programs in another way";
  if (engine.cgroupParent !== undefined) return "its control group lies in a place of its own";
  if (engine.usernsMode !== undefined || engine.utsMode !== undefined) return "other namespaces";
  const netSysctl = Object.keys(engine.sysctls ?? {}).find((name) => name.startsWith("net."));
  return netSysctl === undefined ? undefined : `${netSysctl} is set before its interfaces exist`;
}

/** The request for a container without networks that knows which it will get. */
export function directRequest(request: ContainerRequest): ContainerRequest {
  const attachments = request.network.kind === "networks" ? request.network.attachments : [];
  const labels = { ...request.labels, [LABEL_DIRECT]: JSON.stringify(attachments) };
  return { ...request, labels, network: { kind: "none" } };
}

/** What `directRequest` wrote down, read back from a container. */
export function attachmentsOfLabels(
  labels: Readonly<Record<string, string>>,
): readonly DirectAttachment[] | undefined {
  const text = labels[LABEL_DIRECT];
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) && value.every(isAttachment) ? value : undefined;
}

function isAttachment(value: unknown): value is DirectAttachment {
  if (typeof value !== "object" || value === null) return false;
  const fields = ["networkId", "address", "mac"] as const;
  return fields.every((field) => typeof Reflect.get(value, field) === "string");
}

export function linkOf(attachment: DirectAttachment, bridge: Bridge, index: number): DirectLink {
  const outside = madePortName(bridge.name, attachment.address);
  return { ...attachment, bridge, outside, inside: `eth${index}` };
}

/** What the host's end says of itself: whose it is and where it belongs. */
export function aliasOf(containerId: string, bridge: string): string {
  return `berth ${containerId} ${bridge}`;
}

export function parseAlias(
  text: string,
): { readonly containerId: string; readonly bridge: string } | undefined {
  const [word, containerId, bridge] = text.trim().split(" ");
  if (word !== "berth" || containerId === undefined || bridge === undefined) return undefined;
  return { containerId, bridge };
}

/**
 * A copy that calls its own service gets its packets back by the port that they came from. `net` goes by the
 * name of a port that we made: it does not look whether this is set (`addresses/bridge-news.ts`).
 */
function portCommand(outside: string): string {
  return `link set ${outside} type bridge_slave hairpin on`;
}

/** Lines for `ip -batch` that put an end back into a bridge that was made anew. */
export function rejoinCommands(outside: string, bridge: string): string {
  return `link set ${outside} master ${bridge}\n${portCommand(outside)}\n`;
}

/** Lines for `ip -batch` on the host: the pairs, one end of each with `pid`. */
export function outsideCommands(
  links: readonly DirectLink[],
  { pid, containerId }: { readonly pid: number; readonly containerId: string },
): string {
  return links
    .flatMap(({ bridge, outside, inside, mac }) => {
      const mtu = bridge.mtu === undefined ? "" : ` mtu ${bridge.mtu}`;
      const peer = `peer name ${inside} address ${mac}${mtu} netns ${pid}`;
      return [
        `link add ${outside} master ${bridge.name} up${mtu} type veth ${peer}`,
        `link set ${outside} alias "${aliasOf(containerId, bridge.name)}"`,
        portCommand(outside),
      ];
    })
    .map((line) => `${line}\n`)
    .join("");
}

/**
 * Lines for `ip -batch` inside: addresses, and the way out by the first network that has one. No interface
 * makes itself an IPv6 address: nobody has planned it, and isolation knows only what is planned.
 */
export function insideCommands(links: readonly DirectLink[]): string {
  const exit = links.find(({ bridge }) => !bridge.internal);
  const lines = links.flatMap(({ inside, address, bridge }) => [
    `link set ${inside} addrgenmode none`,
    `addr add ${address}/${prefixOf(bridge.subnet)} broadcast + dev ${inside}`,
    `link set ${inside} up`,
  ]);
  const route =
    exit === undefined ? [] : [`route add default via ${exit.bridge.gateway} dev ${exit.inside}`];
  return [...lines, ...route].map((line) => `${line}\n`).join("");
}

function prefixOf(subnet: string): string {
  return subnet.slice(subnet.indexOf("/") + 1);
}

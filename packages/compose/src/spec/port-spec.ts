/**
 * Ports in their short form, `[[address:]host:]container[/protocol]` with ranges, as the engine's own parser
 * reads them.
 */

import { nearestWord } from "@berth/base";
import { PORT_RANGE_MAX } from "../limits.ts";
import type { ServicePort } from "../model/service-model.ts";
import { compareBytes } from "../text/go-number.ts";

const PROTOCOLS: ReadonlySet<string> = new Set(["tcp", "udp", "sctp"]);
const PORT_MAX = 65_535;

interface Range {
  readonly first: number;
  readonly last: number;
}

/** The ports that a short form stands for, or what is wrong with it. */
export function parsePortSpec(spec: string): readonly ServicePort[] | string {
  const slash = spec.lastIndexOf("/");
  const ports = slash < 0 ? spec : spec.slice(0, slash);
  const protocol = slash < 0 ? "tcp" : spec.slice(slash + 1).toLowerCase();
  if (!PROTOCOLS.has(protocol)) {
    const near = nearestWord(protocol, PROTOCOLS);
    const hint = near === undefined ? "" : ` (${near}?)`;
    return `the protocol ${JSON.stringify(protocol)} is not tcp, udp or sctp${hint}`;
  }
  const parts = ports.split(":");
  const containerText = parts.at(-1) ?? "";
  const hostText = parts.length > 1 ? (parts.at(-2) ?? "") : "";
  const address = parts.length > 2 ? addressOf(parts.slice(0, -2).join(":")) : "";
  if (address === undefined) {
    const written = parts.slice(0, -2).join(":");
    const hint = written === "localhost" ? "; 127.0.0.1 is the machine itself" : "";
    return `${JSON.stringify(written)} is no address${hint}`;
  }
  if (address.includes(":") && !ports.startsWith("[")) {
    return `an IPv6 address stands in brackets: [${address}]:${parts.slice(-2).join(":")}`;
  }
  const container = parseRange(containerText);
  if (container?.first === 0) return "0 is no port of a container";
  if (container === undefined) return notAPort(containerText);
  const host = hostText === "" ? undefined : parseRange(hostText);
  if (hostText !== "" && host === undefined) return notAPort(hostText);
  const expanded = expand(container, host);
  if (expanded === undefined) return "the two ranges have different lengths";
  return expanded
    .map(([target, published]) => shortPort(target, published, address, protocol))
    .sort((left, right) => compareBytes(`${left.target}/`, `${right.target}/`));
}

function notAPort(text: string): string {
  const isLarge = /^\d+$/.test(text) && Number(text) > PORT_MAX;
  return `${JSON.stringify(text)} is not a port${isLarge ? `: the last one is ${PORT_MAX}` : ""}`;
}

function shortPort(
  target: number,
  published: string,
  hostIp: string,
  protocol: string,
): ServicePort {
  return {
    mode: "ingress",
    ...(hostIp === "" ? {} : { hostIp }),
    target,
    ...(published === "" ? {} : { published }),
    protocol,
  };
}

/** Pairs of container port and published text. */
function expand(
  container: Range,
  host: Range | undefined,
): readonly [number, string][] | undefined {
  const count = container.last - container.first + 1;
  if (count > PORT_RANGE_MAX) return undefined;
  if (host === undefined) {
    return Array.from({ length: count }, (_, index) => [container.first + index, ""]);
  }
  const hostCount = host.last - host.first + 1;
  if (hostCount === count) {
    return Array.from({ length: count }, (_, index) => [
      container.first + index,
      String(host.first + index),
    ]);
  }
  return count === 1 ? [[container.first, `${host.first}-${host.last}`]] : undefined;
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last && last <= PORT_MAX ? { first, last } : undefined;
}

/** An IPv4 or IPv6 address without its brackets; `undefined` when it is none. */
function addressOf(text: string): string | undefined {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (bare === "") return "";
  const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(bare);
  if (ipv4 !== null) return ipv4.slice(1).every((part) => Number(part) <= 255) ? bare : undefined;
  return /^[0-9a-fA-F:.]+$/.test(bare) && bare.includes(":") ? bare : undefined;
}

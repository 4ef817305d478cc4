/**
 * Where names of services are answered for this machine itself, and whether its resolver asks there.
 *
 * The port follows the API's unless it was chosen, so that two platforms of one machine do not want the same.
 */

import { Resolver } from "node:dns/promises";
import { isIPv4 } from "node:net";
import { ProtocolError } from "@berth/protocol";
import { DEFAULT_PORT, type PlatformSettings } from "./settings.ts";

/** Last label of full names. */
export const DOMAIN = "berth";
export const DEFAULT_HOST_DNS_PORT = 7753;
const HOST_DNS_OFF = "off";
/** Answers come from memory on this machine. */
const TIMEOUT_MS = 500;

export interface HostDns {
  readonly address: string;
  readonly port: number;
}

/** `undefined` when it is switched off. */
export function hostDnsOf(settings: PlatformSettings): HostDns | undefined {
  if (settings.hostDns === HOST_DNS_OFF) return undefined;
  if (settings.hostDns !== undefined) return parseHostDns(settings.hostDns);
  return { address: "127.0.0.1", port: DEFAULT_HOST_DNS_PORT + settings.port - DEFAULT_PORT };
}

/**
 * Checks what a person wrote: `127.0.0.1:7753`, `127.0.7.53:53`, `off`. Returns it.
 *
 * @throws ProtocolError `invalid_request`.
 */
export function checkHostDns(text: string): string {
  if (text !== HOST_DNS_OFF) parseHostDns(text);
  return text;
}

function parseHostDns(text: string): HostDns {
  const [address = "", portText = "", ...rest] = text.split(":");
  const port = Number(portText);
  const isPort = /^\d{1,5}$/.test(portText) && port >= 1 && port <= 65_535;
  if (isIPv4(address) && address.startsWith("127.") && isPort && rest.length === 0) {
    return { address, port };
  }
  const expected = `an address of 127.0.0.0/8 and a port, as 127.0.0.1:${DEFAULT_HOST_DNS_PORT}, or off`;
  throw new ProtocolError("invalid_request", `"${text}" is not ${expected}`, { name: "hostDns" });
}

/** Whether `net` answers there. */
export function answersAt({ address, port }: HostDns): Promise<boolean> {
  return knowsDomain([`${address}:${port}`]);
}

/** Whether a program of this machine that asks for `web.shop.main.default.berth` gets an answer of ours. */
export function hostAsksUs(): Promise<boolean> {
  return knowsDomain(undefined);
}

async function knowsDomain(servers: readonly string[] | undefined): Promise<boolean> {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 1 });
  if (servers !== undefined) resolver.setServers([...servers]);
  try {
    const { nsname } = await resolver.resolveSoa(DOMAIN);
    return nsname === `ns.${DOMAIN}`;
  } catch {
    return false;
  }
}

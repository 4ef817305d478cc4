/**
 * Whether the world can see a TXT record: asked of the zone's authoritative servers themselves, so that no
 * cache answers. Which servers: those that were set, else those that the zone names.
 */

import { Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";
import { SECOND_MS } from "@berth/base";

/** What one server said. */
export interface TxtAnswer {
  /** As it was set, or `ns1.example.com (192.0.2.1)`. */
  readonly server: string;
  readonly values: readonly string[];
  /** Why there are none. */
  readonly problem?: string;
}

/** Asks every server for `record`. Never rejects; an empty list means that no server could be found. */
export type TxtRecords = (input: {
  readonly record: string;
  /** `10.0.0.53`, `10.0.0.53#5353`; absent: the zone's own. */
  readonly servers: readonly string[] | undefined;
}) => Promise<readonly TxtAnswer[]>;

const ASK_TIMEOUT_MS = 3 * SECOND_MS;
const ASK_TRIES = 2;
/** Zones have two to eight; more would only take longer. */
const SERVERS_MAX = 8;

interface Server {
  readonly name: string;
  readonly address: string;
}

/** With the machine's resolver for finding the zone's servers. */
export const authoritativeTxtRecords: TxtRecords = async ({ record, servers }) => {
  const found =
    servers === undefined
      ? await zoneServers(record)
      : servers.map((text) => ({ name: text, address: resolverAddress(text) }));
  return Promise.all(found.slice(0, SERVERS_MAX).map((server) => ask(server, record)));
};

/** `10.0.0.53#5353` → `10.0.0.53:5353`, as Node's resolver wants it. */
export function resolverAddress(text: string): string {
  const [host = "", port] = text.split("#");
  const plain = host.replace(/^\[|\]$/g, "");
  if (port === undefined) return isIPv6(plain) ? `[${plain}]` : plain;
  return isIPv6(plain) ? `[${plain}]:${port}` : `${plain}:${port}`;
}

async function ask({ name, address }: Server, record: string): Promise<TxtAnswer> {
  const resolver = new Resolver({ timeout: ASK_TIMEOUT_MS, tries: ASK_TRIES });
  try {
    resolver.setServers([address]);
    const values = await resolver.resolveTxt(record);
    return { server: name, values: values.map((parts) => parts.join("")) };
  } catch (error) {
    return { server: name, values: [], problem: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENODATA" || code === "ENOTFOUND") return "has no such record";
  if (code === "ETIMEOUT" || code === "ECONNREFUSED") return "does not answer";
  return code === "" ? String(error) : code;
}

/** The servers of the closest zone at or above `record`. */
async function zoneServers(record: string): Promise<Server[]> {
  const resolver = new Resolver({ timeout: ASK_TIMEOUT_MS, tries: ASK_TRIES });
  const labels = record.split(".");
  for (let index = 1; index < labels.length - 1; index++) {
    const zone = labels.slice(index).join(".");
    const names = await resolver.resolveNs(zone).catch(() => []);
    if (names.length === 0) continue;
    const found = await Promise.all(
      names.slice(0, SERVERS_MAX).map(async (name): Promise<Server[]> => {
        const addresses = await resolver.resolve4(name).catch(() => []);
        return addresses.slice(0, 1).map((address) => ({ name: `${name} (${address})`, address }));
      }),
    );
    return found.flat();
  }
  return [];
}

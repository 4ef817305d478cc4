/**
 * The servers of a cluster as they were told last, in a file: when the one that was configured fails, the others
 * are tried. What is kept came over a connection to a server of the cluster, whose authority is kept with it.
 *
 * A list that is empty, or a file that cannot be read, means only what was configured.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Of, parseAs, ServerAddress } from "@berth/protocol";
import type { ServerEndpoint } from "@berth/protocol/client/failover-client";
import { Type } from "typebox";
import type { PlatformPaths } from "../platform/paths.ts";

/** More servers than any etcd has members. */
const SERVERS_MAX = 20;

const KnownServers = Type.Object({
  /** When they were told, milliseconds. */
  at: Type.Number(),
  servers: Type.Array(ServerAddress, { maxItems: SERVERS_MAX }),
});
export type KnownServers = Of<typeof KnownServers>;

const NONE: KnownServers = { at: 0, servers: [] };

/** Where the agent of this machine keeps what it was told. */
export function serversOfAgent({ agent }: PlatformPaths): string {
  return join(agent, "servers.json");
}

/** Where a user's command line keeps what it was told by the server at `url`. */
export function serversOfContext(
  environment: Readonly<Record<string, string | undefined>>,
  url: string,
): string {
  const base = environment["XDG_CACHE_HOME"] ?? join(environment["HOME"] ?? "/", ".cache");
  const name = createHash("sha256").update(url).digest("hex").slice(0, 16);
  return join(base, "berth", "servers", `${name}.json`);
}

export function readServers(file: string): KnownServers {
  try {
    return parseAs(KnownServers, JSON.parse(readFileSync(file, "utf8")), file);
  } catch {
    return NONE;
  }
}

/** Whole or not at all; a disk that is full leaves the old file. */
export function writeServers(file: string, known: KnownServers): void {
  const kept = { ...known, servers: known.servers.slice(0, SERVERS_MAX) };
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.fresh`, JSON.stringify(kept), { mode: 0o600 });
  renameSync(`${file}.fresh`, file);
}

/**
 * Every way to the cluster: what was configured, then the first address of each known server, then their further
 * ones. `asSelf` turns a server that was told into a way to it. `spread` (a node's name) decides who comes first of
 * those, so that not everybody whose server fails goes to the same one.
 */
export function endpointsOf(
  configured: readonly ServerEndpoint[],
  known: readonly ServerAddress[],
  asSelf: (url: string, server: ServerAddress) => ServerEndpoint,
  spread = "",
): readonly ServerEndpoint[] {
  const start = known.length === 0 ? 0 : sumOf(spread) % known.length;
  const turned = [...known.slice(start), ...known.slice(0, start)];
  const deepest = Math.max(0, ...turned.map(({ urls }) => urls.length));
  const told: ServerEndpoint[] = [];
  for (let index = 0; index < deepest; index++) {
    for (const server of turned) {
      const url = server.urls[index];
      if (url !== undefined) told.push(asSelf(url, server));
    }
  }
  const seen = new Set<string>();
  return [...configured, ...told].filter(({ url }) => !seen.has(url) && seen.add(url));
}

function sumOf(text: string): number {
  let sum = 0;
  for (const byte of Buffer.from(text)) sum = (sum * 31 + byte) % 65_521;
  return sum;
}

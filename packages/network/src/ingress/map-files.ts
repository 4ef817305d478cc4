/**
 * The tables as HAProxy's map files: which there are for a plan, where they lie, what is in them.
 *
 * Each begins with an entry that is nobody's key: the digest of the rest, by which a running worker says
 * which contents it has. Pure; O(entries).
 */

import { createHash } from "node:crypto";
import type { IngressPlan, NameEntry } from "./plan.ts";
import type { TablePaths } from "./route-lookup.ts";
import type { RouteTable } from "./route-table.ts";

/** No host, path or number is written like this. */
export const DIGEST_KEY = ":digest";

/** Paths of an HTTP frontend's tables. */
export function tablePaths(filesDir: string, frontend: "http" | "https"): TablePaths {
  const path = (name: string) => `${filesDir}/maps/${frontend}-${name}.map`;
  return {
    prefixes: path("prefixes"),
    exactPaths: path("paths"),
    rankedPrefixes: path("ranked-prefixes"),
    rankedExactPaths: path("ranked-paths"),
    ranks: path("ranks"),
  };
}

/** Path of the table of TLS names of a port. */
export function namesPath(filesDir: string, port: number, address: string): string {
  return `${filesDir}/maps/names-${address}-${port}.map`;
}

/** All tables of a plan. A frontend that looks something up finds its file, empty or not. */
export function mapFiles(plan: IngressPlan, filesDir: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const addTable = (frontend: "http" | "https", table: RouteTable) => {
    const paths = tablePaths(filesDir, frontend);
    files.set(paths.prefixes, mapText(table.prefixes));
    files.set(paths.exactPaths, mapText(table.exactPaths));
    // Numbers: HAProxy reads these tables' values as such, and the digest as one.
    files.set(paths.rankedPrefixes, rankText(table.rankedPrefixes));
    files.set(paths.rankedExactPaths, rankText(table.rankedExactPaths));
    files.set(paths.ranks, mapText(table.ranks.map((backend, rank) => [String(rank), backend])));
  };
  for (const bind of plan.binds) {
    if (bind.mode === "http" || bind.mode === "https") addTable(bind.mode, bind.table);
    if (bind.mode !== "names") continue;
    files.set(namesPath(filesDir, bind.port, bind.address), namesText(bind.names));
    if (bind.https !== undefined) addTable("https", bind.https);
  }
  return files;
}

function namesText(names: readonly NameEntry[]): string {
  return mapText(names.map(({ host, backend }) => [host, backend]));
}

function mapText(pairs: readonly (readonly [string, string])[]): string {
  return withDigest(
    pairs.map(([key, value]) => `${key} ${value}`),
    hexDigest,
  );
}

function rankText(pairs: readonly (readonly [string, number])[]): string {
  return withDigest(
    pairs.map(([key, value]) => `${key} ${value}`),
    numberDigest,
  );
}

function withDigest(lines: readonly string[], digest: (text: string) => string): string {
  return `${[`${DIGEST_KEY} ${digest(lines.join("\n"))}`, ...lines].join("\n")}\n`;
}

function hexDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function numberDigest(text: string): string {
  return String(createHash("sha256").update(text).digest().readUIntBE(0, 6));
}

/**
 * What Berth has made on this machine, found by its own marks: labels of its cluster at the engine, its
 * firewall table, its processes, units and folders. Nothing without a mark is ever listed.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ProtocolError } from "@berth/protocol";
import { runProgram } from "../image/run-program.ts";
import { askEngine, pingEngine } from "./local-engine.ts";
import type { PlatformPaths } from "./paths.ts";
import { livingProcess } from "./process-record.ts";
import type { PlatformSettings } from "./settings.ts";
import { presentUnits } from "./systemd-units.ts";

export interface Leftovers {
  readonly cluster: string | undefined;
  /** Engine IDs with names. */
  readonly containers: readonly { readonly id: string; readonly name: string }[];
  readonly networks: readonly { readonly id: string; readonly name: string }[];
  readonly volumes: readonly string[];
  /** `inet berth_c1`, `inet berth_c1_address` */
  readonly firewallTables: readonly string[];
  readonly processes: readonly string[];
  readonly units: readonly string[];
  readonly folders: readonly string[];
  /** Installed by the set-up; left to the user, because others may use them by now. */
  readonly packages: readonly string[];
}

/** Label of `@berth/agent`: the mark of a cluster's things at the engine. */
const LABEL_CLUSTER = "berth.cluster";

export async function findLeftovers(
  paths: PlatformPaths,
  settings: PlatformSettings,
): Promise<Leftovers> {
  const cluster = clusterOf(paths);
  const engineUp = (await pingEngine(settings.engineSocket)) !== undefined;
  const ofEngine =
    cluster === undefined || !engineUp
      ? { containers: [], networks: [], volumes: [] }
      : await engineThings(settings.engineSocket, cluster);
  return {
    cluster,
    ...ofEngine,
    firewallTables: cluster === undefined ? [] : await tablesOf(cluster),
    processes: [
      "supervisor",
      "agent",
      "server",
      ...(settings.engineManaged ? ["engine"] : []),
    ].filter((name) => livingProcess(join(paths.processes, name)) !== undefined),
    units: presentUnits(),
    folders: [paths.dataDir, paths.run].filter((folder) => existsSync(folder)),
    packages: settings.installedPackages,
  };
}

/** The cluster's identifier, which the server wrote at its first start. */
export function clusterOf(paths: PlatformPaths): string | undefined {
  try {
    return readFileSync(paths.clusterId, "utf8").trim();
  } catch {
    return undefined;
  }
}

async function engineThings(socket: string, cluster: string) {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${LABEL_CLUSTER}=${cluster}`] }));
  const containers = rows(await askEngine(socket, `/containers/json?all=true&filters=${filters}`));
  const networks = rows(await askEngine(socket, `/networks?filters=${filters}`));
  const answer = await askEngine(socket, `/volumes?filters=${filters}`);
  const volumes =
    typeof answer === "object" && answer !== null && "Volumes" in answer
      ? rows(answer.Volumes)
      : [];
  return {
    containers: containers.map((row) => ({ id: textIn(row, "Id"), name: firstName(row) })),
    networks: networks.map((row) => ({ id: textIn(row, "Id"), name: textIn(row, "Name") })),
    volumes: volumes.map((row) => textIn(row, "Name")),
  };
}

type Row = Readonly<Record<string, unknown>>;

function rows(value: unknown): Row[] {
  return Array.isArray(value) ? value.filter((row): row is Row => typeof row === "object") : [];
}

function textIn(row: Row, key: string): string {
  return String(row[key] ?? "");
}

function firstName(row: Row): string {
  const names = row["Names"];
  return Array.isArray(names) ? String(names[0] ?? "").replace(/^\//, "") : "";
}

/** Tables of the cluster: its own name, and that name with a word behind it. */
async function tablesOf(cluster: string): Promise<string[]> {
  try {
    const lines = (await runProgram(["nft", "list", "tables"])).split("\n");
    const tables = lines.map((line) => line.replace(/^table /, ""));
    const name = `inet berth_${cluster}`;
    return tables.filter((table) => table === name || table.startsWith(`${name}_`));
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}

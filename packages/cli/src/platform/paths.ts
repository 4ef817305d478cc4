/**
 * Where the platform on this machine keeps its things. One data directory holds everything that must
 * survive a reboot; one run directory, on a volatile file system, what must not.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";

export interface PlatformPaths {
  readonly dataDir: string;
  readonly settings: string;
  /** The server keeps store, blobs, keys and tokens in the data directory itself. */
  readonly adminToken: string;
  readonly agentToken: string;
  readonly clusterId: string;
  /** Certificate and key of a node that joined. */
  readonly identity: string;
  readonly agent: string;
  readonly net: string;
  readonly logs: string;
  /** Records of the supervised processes: pid and start time. */
  readonly processes: string;
  /** Files in memory: secrets, configs. */
  readonly run: string;
}

export const ROOT_DATA_DIR = "/var/lib/berth";

/** `BERTH_DATA`, else `/var/lib/berth` for root, else `$XDG_DATA_HOME/berth`. */
export function dataDirOf(environment: NodeJS.ProcessEnv, userId: number): string {
  const given = environment["BERTH_DATA"];
  if (given !== undefined && given !== "") return given;
  if (userId === 0) return ROOT_DATA_DIR;
  const home = environment["XDG_DATA_HOME"] ?? join(environment["HOME"] ?? "/", ".local/share");
  return join(home, "berth");
}

/** Paths below `dataDir`. The run directory carries a digest of it: platforms do not share one. */
export function platformPaths(
  dataDir: string,
  environment: NodeJS.ProcessEnv,
  userId: number,
): PlatformPaths {
  return {
    dataDir,
    settings: join(dataDir, "platform.json"),
    adminToken: join(dataDir, "admin.token"),
    agentToken: join(dataDir, "agent.token"),
    clusterId: join(dataDir, "cluster.id"),
    identity: join(dataDir, "identity.json"),
    agent: join(dataDir, "agent"),
    net: join(dataDir, "net"),
    logs: join(dataDir, "log"),
    processes: join(dataDir, "process"),
    run: runDirOf(dataDir, environment, userId),
  };
}

function runDirOf(dataDir: string, environment: NodeJS.ProcessEnv, userId: number): string {
  const base = userId === 0 ? "/run" : (environment["XDG_RUNTIME_DIR"] ?? "/tmp");
  if (dataDir === ROOT_DATA_DIR) return join(base, "berth");
  const digest = createHash("sha256").update(dataDir).digest("hex").slice(0, 8);
  return join(base, `berth-${digest}`);
}

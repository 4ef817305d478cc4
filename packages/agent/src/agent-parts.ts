/** The parts of one agent that need nothing of each other but their ports: disk, files, logs, probes. */

import { join } from "node:path";
import type { Assignment } from "@berth/protocol";
import type { AgentOptions, Machine } from "./agent-options.ts";
import { BlobCache } from "./files/blob-cache.ts";
import { memoryFolder } from "./files/memory-mount.ts";
import { SecretSource } from "./files/secret-source.ts";
import { TaskFiles } from "./files/task-files.ts";
import { linuxFacts } from "./host-facts.ts";
import { ImageFetcher } from "./images/image-fetcher.ts";
import { ImageLedger } from "./images/image-ledger.ts";
import { localLedgerStore } from "./images/local-ledger.ts";
import { RegistryCredentials } from "./images/registry-credentials.ts";
import { LogCapture } from "./logs/capture.ts";
import { DiskLogFiles } from "./logs/files.ts";
import { LogStore } from "./logs/store.ts";
import { readSockets } from "./net/socket-table.ts";
import { nodeChecker } from "./probes/node-checker.ts";
import { AgentState } from "./state/agent-state.ts";
import { keyFile, sealerOf } from "./state/seal.ts";
import { SqliteDb } from "./state/sqlite-db.ts";

export interface AgentParts {
  readonly db: Machine["db"];
  readonly host: Machine["host"];
  readonly check: Machine["check"];
  readonly sockets: Machine["sockets"];
  readonly taskFiles: Machine["taskFiles"];
  readonly sealer: Machine["sealer"];
  readonly state: AgentState;
  readonly blobs: BlobCache;
  readonly ledger: ImageLedger;
  readonly credentials: RegistryCredentials;
  readonly fetcher: ImageFetcher;
  /** Absent where a simulation gives the tasks' files. */
  readonly secrets: SecretSource | undefined;
  readonly logStore: LogStore;
  readonly logCapture: LogCapture;
  /** Why secrets are not in memory, when they are not. */
  readonly memoryProblem: string | undefined;
}

/** Opens everything. Throws `conflict` when another agent uses the data directory. */
export async function openParts(options: AgentOptions): Promise<AgentParts> {
  const { dataDir, runtimeDir, nodeName: node, api, runtime, clock, log, machine = {} } = options;
  const db = machine.db ?? new SqliteDb(join(dataDir, "agent.db"));
  const state = new AgentState(db);
  const blobs = new BlobCache({ directory: join(dataDir, "blobs"), api, node });
  const assignmentOf = (task: string): Assignment | undefined => state.told.get(task)?.assignment;
  const sealer = machine.sealer ?? sealerOf(keyFile(join(dataDir, "agent.key")));
  let memoryProblem: string | undefined;
  let { taskFiles } = machine;
  let secrets: SecretSource | undefined;
  if (taskFiles === undefined) {
    const folder = await memoryFolder(join(runtimeDir, "files"));
    memoryProblem = folder.problem;
    secrets = new SecretSource({ api, node, state, sealer });
    const files = new TaskFiles({
      memoryDirectory: folder.path,
      objectsDirectory: join(dataDir, "objects"),
      blobs,
      secrets,
      assignmentOf,
    });
    await files.removeOthers((task) => state.told.has(task));
    taskFiles = files;
  }
  const files = machine.logFiles ?? new DiskLogFiles(join(dataDir, "logs"));
  const logStore = new LogStore({ files, clock, log: log.with({ part: "logs" }), node });
  await logStore.open();
  const logCapture = new LogCapture({ runtime, store: logStore, clock, log });
  return {
    db,
    host: machine.host ?? linuxFacts(),
    check: machine.check ?? nodeChecker(runtime),
    sockets: machine.sockets ?? readSockets,
    taskFiles,
    sealer,
    state,
    blobs,
    ledger: new ImageLedger(localLedgerStore(db)),
    fetcher: new ImageFetcher({ api, node, runtime, log }),
    credentials: new RegistryCredentials({ api, node, log }),
    secrets,
    logStore,
    logCapture,
    memoryProblem,
  };
}

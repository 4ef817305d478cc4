/** What an agent is made of: its place, its ports, its settings. */

import type { Clock, Driver, Logger, Prng } from "@berth/base";
import type { NodeNetworkModel } from "@berth/network";
import type { ApiClient, NodeStatus, ServerAddress } from "@berth/protocol";
import type { HostFacts } from "./host-facts.ts";
import type { LogFiles } from "./logs/files.ts";
import type { NetPort } from "./net/net-port.ts";
import type { SocketTable } from "./net/socket-table.ts";
import { UNDERLAY_PORT_DEFAULT, type UnderlaySettings } from "./net/underlay.ts";
import type { Checker } from "./probes/checker.ts";
import type { Runtime } from "./runtime/port.ts";
import type { LocalDb } from "./state/local-db.ts";
import type { Sealer } from "./state/seal.ts";
import type { BoundaryHook, TaskFilesPort } from "./task/task-ports.ts";

/** The machine's disk and sockets. Each is the real one unless given; a simulation gives them all. */
export interface Machine {
  readonly db: LocalDb;
  readonly sealer: Sealer;
  readonly taskFiles: TaskFilesPort;
  readonly logFiles: LogFiles;
  readonly check: Checker;
  readonly host: HostFacts;
  /** Sockets in the network namespace of a process. */
  readonly sockets: (pid: number) => Promise<SocketTable | undefined>;
}

export interface AgentSettings {
  readonly version: string;
  /** The address by which other nodes and clients reach this one. */
  readonly address: string;
  /** Kept for system, engine and agent; by the size of the machine (stats/reserve.ts) when absent. */
  readonly reserved?: NodeStatus["reserved"];
  readonly ingressHttpPort: number;
  /** Port for routes with TLS; none of them is served when absent. */
  readonly ingressHttpsPort?: number;
  /** Ranges of proxies before the routes whose X-Forwarded-* is believed; none when absent. */
  readonly trustedProxies?: readonly string[];
  /** Ranges whose connections begin with the PROXY protocol; none when absent. */
  readonly proxyProtocolFrom?: readonly string[];
  /** Address of the host for HTTP routes; all by default. */
  readonly ingressBindAddress: string;
  /** Last label of full names. */
  readonly domain: string;
  /** For names that are not ours; the host's own when absent. */
  readonly forwarders?: readonly string[];
  readonly hostPolicy: NodeNetworkModel["hostPolicy"];
  /** Where names are answered for the host itself; nowhere when absent. */
  readonly hostDns?: NodeNetworkModel["hostDns"];
  readonly mtu?: number;
  /** Where other nodes reach this one, for networks that span hosts. */
  readonly underlay: UnderlaySettings;
  /** Creations and starts at once; twice the processors when absent. */
  readonly startsMax?: number;
  /** A person said that tasks unknown to this epoch of the store may be stopped (sync/trust.ts). */
  readonly confirmedEpoch?: string;
}

export interface AgentOptions {
  readonly nodeName: string;
  /** Survives a reboot: database, key, logs, objects. */
  readonly dataDir: string;
  /** Gone with a reboot: secrets and configs of tasks. */
  readonly runtimeDir: string;
  readonly api: ApiClient;
  readonly runtime: Runtime;
  readonly net: NetPort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly prng: Prng;
  /** Of this agent alone: stopping the agent stops it. */
  readonly driver: Driver;
  readonly settings?: Partial<AgentSettings>;
  readonly machine?: Partial<Machine>;
  /** Started and kept alive when given; otherwise somebody else runs `net`. */
  readonly netProcess?: {
    readonly command: readonly [string, ...string[]];
    readonly environment: Readonly<Record<string, string>>;
    readonly logPath: string;
    /** Where it answers. */
    readonly socketPath: string;
  };
  /** The servers of the cluster are told, or have changed: whoever owns `api` goes by it. */
  readonly onServers?: (servers: readonly ServerAddress[]) => void;
  /** For kill tests: called at every boundary of every operation. */
  readonly onBoundary?: BoundaryHook;
}

export const SETTINGS_DEFAULT: AgentSettings = {
  version: "0.0.0",
  address: "127.0.0.1",
  ingressHttpPort: 80,
  ingressBindAddress: "0.0.0.0",
  domain: "berth",
  hostPolicy: { openPorts: [], metadataAccess: false },
  underlay: { port: UNDERLAY_PORT_DEFAULT },
};

/** Pulls at once: more only share the same line and disk. */
export const PULLS_MAX = 3;
/** Stops and removals at once: a stop is mostly waiting. */
export const STOPS_MAX = 32;
/** Starts at once per processor: measured, two cores saturate at four, beyond only latency grows. */
export const STARTS_PER_CPU = 2;
/** Where the number of processors is not known when the agent starts. */
export const CPUS_UNKNOWN = 2;

/**
 * What was decided for the platform on this machine: written by `platform start`, read by everybody.
 * A file that is missing means defaults; a file that is broken is an error that names it, never defaults.
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { isName, type Of, ProtocolError, parseAs } from "@berth/protocol";
import { Type } from "typebox";

/** Shorter, every pause of a busy host is a loss; longer, nobody would call it replacement. */
export const LEASE_MS_MIN = 1_000;
export const LEASE_MS_MAX = 600_000;

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** Files are named here, their content is not. */
const StoreSettings = Type.Object(
  {
    url: Type.String(),
    caFile: Type.Optional(Type.String()),
    certFile: Type.Optional(Type.String()),
    keyFile: Type.Optional(Type.String()),
    loginFile: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type StoreSettings = Of<typeof StoreSettings>;

const DurationMs = Type.Integer({ minimum: 1_000, maximum: 24 * 3_600_000 });

/** Times are milliseconds. Defaults: `DEFAULT_SETTINGS` of the control plane. */
const FailoverSettings = Type.Partial(
  Type.Object({
    /** More than this share of the nodes silent at once: nothing is given up for a while. */
    massOutageShare: Type.Number({ minimum: 0, maximum: 1 }),
    massOutagePauseMs: DurationMs,
    /** Silent so often within the window: placed upon last until it was in contact for `heldBackMs`. */
    flapCount: Type.Integer({ minimum: 2, maximum: 100 }),
    flapWindowMs: DurationMs,
    heldBackMs: DurationMs,
    /** A copy with `failover: fence` is ended by its agent after so long without a server. */
    isolationMs: DurationMs,
    /** A run of the fence hook is given up after this. */
    fenceTimeoutMs: DurationMs,
  }),
  { additionalProperties: false },
);

export const PlatformSettings = Type.Object(
  {
    /** Where the API listens. Loopback until the first join. */
    host: Type.String(),
    port: Port,
    /** Where other hosts reach the API, once one is let join: an address of this machine, or `0.0.0.0`. */
    clusterHost: Type.String(),
    clusterPort: Port,
    /** Where HTTP routes are answered. */
    httpPort: Port,
    /** Where routes with TLS are answered. */
    httpsPort: Port,
    /** Proxies in front of the routes whose X-Forwarded-* is believed: addresses or ranges. */
    trustedProxies: Type.Array(Type.String()),
    /** Whose connections begin with the PROXY protocol: addresses or ranges. */
    proxyProtocolFrom: Type.Array(Type.String()),
    /** Address for both. */
    httpAddress: Type.String(),
    /** Where names are answered for this machine: see host-dns.ts. Absent: goes with `port`. */
    hostDns: Type.Optional(Type.String()),
    /** Name of this machine as a node. */
    node: Type.String(),
    /** Range that networks are carved from. */
    clusterRange: Type.String(),
    /** Range of services' addresses; absent: the last sixteenth of `clusterRange`. */
    serviceRange: Type.Optional(Type.String()),
    /** Where the cluster's state lies. Absent: in a file beside the server. */
    store: Type.Optional(StoreSettings),
    /** This machine is a node of a cluster whose server is elsewhere: no server runs here. */
    joined: Type.Optional(Type.Object({ url: Type.String(), cluster: Type.String() })),
    /** A node that was silent for this long is given up, milliseconds; absent: the default of the control plane. */
    leaseMs: Type.Optional(Type.Integer({ minimum: LEASE_MS_MIN, maximum: LEASE_MS_MAX })),
    /** What follows from silence; see docs/operating/nodes.md. Absent: the defaults of the control plane. */
    failover: Type.Optional(FailoverSettings),
    /** Program (absolute path) and arguments that make sure of a dead node. Absent or empty: none. */
    fenceHook: Type.Optional(Type.Array(Type.String(), { maxItems: 20 })),
    /** Address of this machine for networks that span hosts; `auto`: the one that reaches the server. */
    underlayAddress: Type.String(),
    /** UDP port for that. */
    underlayPort: Port,
    engineSocket: Type.String(),
    /** Berth starts and supervises the engine: nobody else does on this machine. */
    engineManaged: Type.Boolean(),
    /** Project policy of this machine: what stack files may ask for. */
    allowHostMounts: Type.Boolean(),
    allowPrivileged: Type.Boolean(),
    /** Packages that the set-up installed. `uninstall` names them. */
    installedPackages: Type.Array(Type.String()),
    /** Started by systemd units of ours. */
    systemd: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type PlatformSettings = Of<typeof PlatformSettings>;

/** What all servers of a cluster have to agree upon: a further one takes it over. */
export const SHARED_SETTINGS = [
  "clusterRange",
  "serviceRange",
  "leaseMs",
  "failover",
  "allowHostMounts",
  "allowPrivileged",
] as const satisfies readonly (keyof PlatformSettings)[];

export const DEFAULT_PORT = 7710;
export const DEFAULT_CLUSTER_PORT = 7711;
export const DEFAULT_HTTP_PORT = 8080;
export const DEFAULT_HTTPS_PORT = 8443;
/** The port that IANA gave to VXLAN. */
export const DEFAULT_UNDERLAY_PORT = 4789;
/** The address is found: it may change with the host's. */
export const UNDERLAY_AUTO = "auto";

/** Host names are often no node names: upper case, dots. */
function nodeNameOfHost(): string {
  const name = (hostname().split(".")[0] ?? "").toLowerCase().replace(/[^a-z0-9-]/g, "-");
  return isName(name) ? name : "node-1";
}

export function defaultSettings(): PlatformSettings {
  return {
    host: "127.0.0.1",
    port: DEFAULT_PORT,
    clusterHost: "0.0.0.0",
    clusterPort: DEFAULT_CLUSTER_PORT,
    httpPort: DEFAULT_HTTP_PORT,
    httpsPort: DEFAULT_HTTPS_PORT,
    trustedProxies: [],
    proxyProtocolFrom: [],
    httpAddress: "0.0.0.0",
    node: nodeNameOfHost(),
    clusterRange: "10.64.0.0/12",
    underlayAddress: UNDERLAY_AUTO,
    underlayPort: DEFAULT_UNDERLAY_PORT,
    engineSocket: "/var/run/docker.sock",
    engineManaged: false,
    allowHostMounts: false,
    allowPrivileged: false,
    installedPackages: [],
    systemd: false,
  };
}

/** @throws ProtocolError `invalid_request` naming the file when it cannot be understood. */
export function readSettings(file: string): PlatformSettings {
  const text = readIfPresent(file);
  if (text === undefined) return defaultSettings();
  try {
    return parseAs(PlatformSettings, { ...defaultSettings(), ...JSON.parse(text) }, file);
  } catch (error) {
    throw new ProtocolError(
      "invalid_request",
      `${file} cannot be understood: ${error instanceof Error ? error.message : String(error)}`,
      { file },
      { cause: error },
    );
  }
}

/** Whole or not at all: a crash leaves the old file. */
export function writeSettings(file: string, settings: PlatformSettings): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${randomBytes(4).toString("hex")}`;
  writeFileSync(fresh, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
  renameSync(fresh, file);
}

function readIfPresent(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

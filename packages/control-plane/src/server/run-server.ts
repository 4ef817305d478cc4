/**
 * One server process: opens store and blobs, makes what the first start makes, runs the control plane and
 * listens. The CLI calls it; so do tests, with a directory and a port of their own.
 *
 * Order of the start: nothing listens before the state is known, so whoever gets an answer gets a true one.
 * Order of the stop: streams end, running calls finish, controllers stop, the audit record is written, the
 * store is closed. A second server on the same directory is refused by the embedded store's lock; servers on
 * one etcd are a cluster, and one of them leads.
 */

import { randomBytes } from "node:crypto";
import { type Clock, Driver, type Logger, Prng } from "@berth/base";
import { ApiMetrics } from "../api/api-metrics.ts";
import { createApi } from "../api/create-api.ts";
import { SecretBox } from "../api/secret-box.ts";
import { openDiskBlobs } from "../blobs/disk.ts";
import type { Blobs } from "../blobs/port.ts";
import { programHook } from "../certificates/acme/hook.ts";
import { httpsTransport } from "../certificates/acme/transport.ts";
import { authoritativeTxtRecords } from "../certificates/acme/txt-records.ts";
import { Vault } from "../certificates/vault.ts";
import { ControlPlane } from "../control-plane.ts";
import { refuseNewerState, tooOldServer } from "../formats/format-standing.ts";
import { fenceProgram } from "../hooks/fence-program.ts";
import { ClusterPort, type ClusterPortOptions } from "../joining/cluster-port.ts";
import type { Software } from "../joining/entrance.ts";
import { HttpPeers } from "../servers/http-peers.ts";
import { ReplicatedBlobs } from "../servers/replicated-blobs.ts";
import { sessionRelay } from "../servers/session-relay.ts";
import { type ControlPlaneSettings, DEFAULT_SETTINGS } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import { dataPaths, makeDataDir } from "./data-dir.ts";
import { ensureSecretKey, ensureToken } from "./first-start.ts";
import { HttpServer, type ListenAddress } from "./http-server.ts";
import { type OpenedStore, openStore, type StoreChoice } from "./open-store.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { refuseRemoved, welcomeOf } from "./welcome.ts";

export interface RunServerOptions {
  /** Everything that the server keeps; made when missing, readable by its owner only. */
  readonly dataDir: string;
  readonly listen: ListenAddress;
  /** For other hosts, with TLS, once somebody lets one join. Absent: nobody can join. */
  readonly clusterPort?: ClusterPlace;
  readonly clock: Clock;
  readonly log: Logger;
  /** The node of the agent on this machine, which gets `agent.token`. */
  readonly nodeName: string;
  /** Version of the software, `0.1.0`. */
  readonly version: string;
  readonly settings?: Partial<ControlPlaneSettings>;
  /** Program (absolute path) and arguments that make sure of a dead node; see docs/operating/nodes.md. */
  readonly fenceHook?: readonly string[];
  /** Further names under which this server is reached. */
  readonly hostNames?: readonly string[];
  /** Where the state lies; beside the server by default. Servers that name the same etcd are one cluster. */
  readonly store?: StoreChoice;
  /** The program of the store's worker: another file when bundled. */
  readonly storeWorkerUrl?: URL;
  /** Called once when the server cannot go on (its store has failed). It should be stopped and started. */
  readonly onFailure?: (error: Error) => void;
}

/** Where other hosts reach this server. */
export interface ClusterPlace {
  /** Address to listen on; `0.0.0.0` for all of IPv4. */
  readonly host: string;
  /** 7711; 0 takes one that is free. */
  readonly port: number;
  /** Addresses of this machine for others, best first. */
  readonly addresses: () => readonly string[];
  /** What hosts run that join. */
  readonly software: Software;
  /** Settings that a further server takes over, by their names; none by default. */
  readonly sharedSettings?: Readonly<Record<string, unknown>>;
}

export interface RunningServer {
  /** `http://127.0.0.1:7710` */
  readonly url: string;
  readonly clusterId: string;
  /** Whether it runs the controllers: always where it has the store alone. */
  leads(): boolean;
  /** Graceful; resolves when everything is closed. Idempotent. */
  stop(): Promise<void>;
}

/**
 * @throws ProtocolError `unavailable` when another server has the directory, the address is taken or a
 * file cannot be used.
 */
export async function runServer(options: RunServerOptions): Promise<RunningServer> {
  const { dataDir, clock, log, nodeName } = options;
  const paths = dataPaths(dataDir);
  await makeDataDir(dataDir);
  const opened = await openStore({
    dataDir,
    choice: options.store ?? {},
    clock,
    log,
    ...(options.storeWorkerUrl === undefined ? {} : { workerUrl: options.storeWorkerUrl }),
    ...(options.onFailure === undefined ? {} : { onFailure: options.onFailure }),
  });
  const { store, isShared } = opened;
  try {
    await refuseNewerState(store, options.version);
    if (isShared) await refuseRemoved(store, nodeName);
    const secrets = new SecretBox(await ensureSecretKey(paths, store));
    // Each of several servers has its administrator's token, and none replaces another's.
    const admin = isShared ? `admin:${nodeName}` : "admin";
    await ensureToken(store, clock, paths.adminToken, { name: admin, role: "admin" });
    const agent = { name: `agent:${nodeName}`, role: "agent", node: nodeName } as const;
    await ensureToken(store, clock, paths.agentToken, agent);
    return await serve(options, opened, secrets);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function fencing({ fenceHook }: RunServerOptions, settings: ControlPlaneSettings) {
  return fenceHook === undefined ? {} : { fenceHook: fenceProgram(fenceHook, settings) };
}

async function serve(
  options: RunServerOptions,
  opened: OpenedStore,
  secrets: SecretBox,
): Promise<RunningServer> {
  const { clock, log, version } = options;
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const metrics = new ApiMetrics();
  const endSampling = addProcessMetrics(metrics.registry, version);
  const prng = new Prng(randomBytes(6).readUIntBE(0, 6));
  const driver = new Driver({ clock, log, prng });
  const control = new ControlPlane({
    ...{
      store: metrics.timedStore(opened.store, () => clock.monotonic()),
      clock,
      log,
      driver,
      settings,
    },
    onTooOld: (level) => options.onFailure?.(tooOldServer(level, version)),
    prng: prng.fork(),
    serverNode: options.nodeName,
    ...(opened.isShared ? { shared: true } : {}),
    certificates: certificatePorts(options, secrets),
    ...fencing(options, settings),
  });
  const { store } = control;
  const ownBlobs = await openDiskBlobs(dataPaths(options.dataDir).blobs);
  await control.start();
  const hostNames = options.hostNames ?? [];
  const base = { store, driver, clock, log, hostNames, newId: newRandomId };
  const entrance = clusterPortOf(options, {
    ...base,
    state: control.state,
    vault: new Vault({ box: secrets, store }),
    cluster: () => control.clusterId(),
    dispatcher: () => api.dispatcher,
    ...{ node: options.nodeName, version, isAlwaysOpen: opened.isShared },
  });
  const others = opened.isShared
    ? othersOf(options, { state: control.state, entrance, ownBlobs, driver })
    : undefined;
  const api = createApi({
    ...base,
    ...(entrance === undefined ? {} : { entrance }),
    state: control.state,
    ...(others ?? { blobs: ownBlobs }),
    ...{ ownBlobs, control, settings, secrets, version, metrics },
  });
  const http = new HttpServer({ ...base, dispatcher: api.dispatcher });
  const stop = once(async () => {
    api.close();
    await Promise.all([http.stop(), entrance?.stop()]);
    others?.peers.close();
    await control.stop();
    await api.flush().catch((error: unknown) => log.error("audit record not written", { error }));
    await driver.stop();
    endSampling();
    await opened.store.close();
  });
  try {
    const url = await http.listen(options.listen);
    log.info("server listens", { url, cluster: control.clusterId(), version });
    return { url, clusterId: control.clusterId(), leads: () => control.acts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What a server that shares its store does with the others. */
function othersOf(
  { nodeName, log }: RunServerOptions,
  parts: {
    readonly state: ClusterState;
    readonly entrance: ClusterPort | undefined;
    readonly ownBlobs: Blobs;
    readonly driver: Driver;
  },
) {
  const { state, entrance, ownBlobs, driver } = parts;
  const identity = () => entrance?.identity();
  const peers = new HttpPeers({ own: nodeName, view: state.view, identity });
  const blobs = new ReplicatedBlobs({ own: ownBlobs, peers, driver, log });
  return { peers, blobs, relay: sessionRelay(peers, state.view) };
}

/** What the certificate controller reaches the outside by. */
function certificatePorts({ clock, version }: RunServerOptions, box: SecretBox) {
  return {
    box,
    transport: httpsTransport({ clock, userAgent: `berth/${version}` }),
    hook: programHook,
    txtRecords: authoritativeTxtRecords,
  };
}

function clusterPortOf(
  { clusterPort, dataDir, store }: RunServerOptions,
  parts: Omit<ClusterPortOptions, "listen" | "addresses" | "software" | "welcome">,
): ClusterPort | undefined {
  if (clusterPort === undefined) return undefined;
  const { addresses, software, sharedSettings = {} } = clusterPort;
  const welcome = () => welcomeOf(dataDir, store, sharedSettings);
  return new ClusterPort({ ...parts, listen: clusterPort, addresses, software, welcome });
}

/** Bytes of chance that are asked for at once: a call of the system for each request would be one too many. */
const CHANCE_BYTES = 4_000;
const ID_BYTES = 10;
let chance = Buffer.alloc(0);

/** 20 hexadecimal digits: sessions and requests that nobody guesses and no two share. */
function newRandomId(): string {
  if (chance.length < ID_BYTES) chance = randomBytes(CHANCE_BYTES);
  const id = chance.toString("hex", 0, ID_BYTES);
  chance = chance.subarray(ID_BYTES);
  return id;
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= run();
    return running;
  };
}

/**
 * What the agent wants of a container → the Engine's create body. Pure.
 *
 * Invariants: the engine restarts nothing (policy `no`); it gets no aliases and no host name for its own
 * resolver; environment values pass as they are; addresses and MACs are the plan's. Networks beyond the first
 * are connected after create on engines before API 1.44, which take one only.
 */

import { type EngineOptions, ProtocolError, type Resources } from "@berth/protocol";
import { compareVersions } from "./docker-version.ts";
import {
  type ContainerMount,
  type ContainerNetwork,
  type ContainerRequest,
  LABEL_CLUSTER,
} from "./port.ts";

/** Several networks and their MACs in one create. */
const API_MULTIPLE_NETWORKS = "1.44";
/** A part of a volume as mount. */
const API_VOLUME_SUBPATH = "1.45";
/** Whether mounts below a read-only bind are read-only, too. */
const API_RECURSIVE_READ_ONLY = "1.44";
/** The gateway of a named network as default route. */
const API_GATEWAY_PRIORITY = "1.48";
/** The name of a container's interface (Engine 28.1). */
const API_INTERFACE_NAME = "1.49";
const OPTION_INTERFACE_NAME = "com.docker.network.endpoint.ifname";

/**
 * The engine's own copy of the output, from which the agent reads. It only has to last while no agent
 * runs: 32 MiB a container, in the driver that every engine (and Podman) has.
 */
const LOG_CONFIG = { Type: "json-file", Config: { "max-size": "16m", "max-file": "2" } } as const;

/** A network to connect before the start. */
export interface LateNetwork {
  readonly network: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface CreateCall {
  readonly body: Readonly<Record<string, unknown>>;
  readonly later: readonly LateNetwork[];
}

/** Parts of an image's configuration that a request builds on. */
export interface ImageDefaults {
  readonly entrypoint: readonly string[];
}

/** Name of a cluster's network at the engine. */
export function networkName(cluster: string, id: string): string {
  return `berth-${cluster}-${id}`;
}

/** The body of `POST /containers/create` and what is to be connected after it. */
export function createCall(
  request: ContainerRequest,
  apiVersion: string,
  image: ImageDefaults,
): CreateCall {
  const networks = networkPart(request, apiVersion);
  const body = {
    ...processPart(request, image),
    ...networks.body,
    Image: request.imageId,
    Labels: { ...request.engine.labels, ...request.labels },
    HostConfig: {
      ...hostPart(request.engine),
      ...limitsPart(request.limits),
      ...periodPart(request),
      ...networks.host,
      ...mountsPart(request.mounts, apiVersion),
      LogConfig: LOG_CONFIG,
      RestartPolicy: { Name: "no" },
      ...sharedPart(request),
    },
  };
  return { body, later: networks.later };
}

/** Limits as the Engine's create and update calls take them. */
export function limitsPart(limits: Resources): Readonly<Record<string, number>> {
  const { cpuMillis, memoryBytes, pids } = limits;
  return {
    ...(cpuMillis === undefined ? {} : { NanoCpus: cpuMillis * 1_000_000 }),
    ...(memoryBytes === undefined ? {} : { Memory: memoryBytes }),
    ...(pids === undefined ? {} : { PidsLimit: pids }),
  };
}

/** The limit over the period that the file states, instead of over the engine's own. */
function periodPart({ engine, limits }: ContainerRequest): Readonly<Record<string, unknown>> {
  const period = engine.cpuPeriodMicros;
  if (period === undefined || limits.cpuMillis === undefined) return {};
  const quota = Math.round((limits.cpuMillis * period) / 1_000);
  return { NanoCpus: undefined, CpuPeriod: period, CpuQuota: quota };
}

function processPart(request: ContainerRequest, image: ImageDefaults) {
  const { engine } = request;
  // The engine takes an empty command for "not given" and would run the image's: naming the image's
  // entrypoint makes it the request's own, and the command stays empty.
  const clearsCommand = request.command?.length === 0 && image.entrypoint.length > 0;
  const entrypoint = request.entrypoint ?? (clearsCommand ? image.entrypoint : undefined);
  return {
    Env: Object.entries(request.environment).map(([name, value]) => `${name}=${value}`),
    Entrypoint: entrypoint,
    Cmd: request.command,
    User: engine.user,
    WorkingDir: engine.workingDir,
    Tty: engine.tty ?? false,
    OpenStdin: engine.stdinOpen ?? false,
    StopSignal: engine.stopSignal,
    StopTimeout: Math.ceil(request.stopGraceMs / 1_000),
    // The image's own health check would run beside the probes and restart nothing.
    Healthcheck: { Test: ["NONE"] },
  };
}

function hostPart(engine: EngineOptions) {
  return {
    Init: engine.init,
    ReadonlyRootfs: engine.readOnlyRoot,
    Privileged: engine.privileged,
    CapAdd: engine.capAdd,
    CapDrop: engine.capDrop,
    SecurityOpt: engine.securityOptions,
    Sysctls: engine.sysctls,
    Ulimits: Object.entries(engine.ulimits ?? {}).map(([name, { soft, hard }]) => ({
      Name: name,
      Soft: soft,
      Hard: hard,
    })),
    GroupAdd: engine.groupAdd,
    ExtraHosts: engine.extraHosts,
    ShmSize: engine.shmSizeBytes,
    Devices: (engine.devices ?? []).map(({ source, target, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    })),
    Runtime: engine.runtime,
    PidMode: engine.pidMode,
    IpcMode: engine.ipcMode,
    UsernsMode: engine.usernsMode,
    UTSMode: engine.utsMode,
    CgroupParent: engine.cgroupParent,
    Annotations: engine.annotations,
    MemorySwap: engine.memorySwapBytes,
    MemorySwappiness: engine.memorySwappiness,
    MemoryReservation: engine.memoryReservationBytes,
    CpuShares: engine.cpuShares,
    CpusetCpus: engine.cpuset,
    OomKillDisable: engine.oomKillDisable,
    OomScoreAdj: engine.oomScoreAdjust,
    StorageOpt: engine.storageOptions,
    CgroupnsMode: engine.cgroupMode,
    Isolation: engine.isolation,
    CpuRealtimePeriod: engine.cpuRealtimePeriodMicros,
    CpuRealtimeRuntime: engine.cpuRealtimeRuntimeMicros,
    DeviceCgroupRules: engine.deviceCgroupRules,
    DeviceRequests: engine.deviceRequests?.map((request) => ({
      Driver: request.driver ?? "",
      Count: request.count ?? 0,
      DeviceIDs: request.ids ?? [],
      // One alternative, all of whose words must hold.
      Capabilities: [request.capabilities],
      Options: request.options,
    })),
    ...blockPart(engine),
  };
}

function blockPart(engine: EngineOptions) {
  const rates = (list: EngineOptions["blkioReadBps"]) =>
    list?.map(({ path, rate }) => ({ Path: path, Rate: rate }));
  return {
    BlkioWeight: engine.blkioWeight,
    BlkioWeightDevice: engine.blkioWeightDevice?.map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: rates(engine.blkioReadBps),
    BlkioDeviceReadIOps: rates(engine.blkioReadIops),
    BlkioDeviceWriteBps: rates(engine.blkioWriteBps),
    BlkioDeviceWriteIOps: rates(engine.blkioWriteIops),
  };
}

/** What the containers of a pod share besides the network. */
function sharedPart(request: ContainerRequest) {
  const { sharePidOf, shareIpcOf, shareVolumesOf } = request;
  return {
    ...(sharePidOf === undefined ? {} : { PidMode: `container:${sharePidOf}` }),
    ...(shareIpcOf === undefined ? {} : { IpcMode: `container:${shareIpcOf}` }),
    ...(shareVolumesOf === undefined ? {} : { VolumesFrom: [shareVolumesOf] }),
  };
}

/** Each mount in the form that can say what it asks for: the long one, or one of the engine's texts. */
function mountsPart(mounts: readonly ContainerMount[], apiVersion: string) {
  const memory = mounts.filter(isMemoryText);
  return {
    Mounts: mounts
      .filter((mount) => !isBindText(mount) && !isMemoryText(mount))
      .map((mount) => mountPart(mount, apiVersion)),
    Binds: mounts.filter(isBindText).map(bindText),
    ...(memory.length === 0
      ? {}
      : { Tmpfs: Object.fromEntries(memory.map((mount) => [mount.target, memoryText(mount)])) }),
  };
}

type MemoryRequest = Extract<ContainerMount, { kind: "tmpfs" }>;

function isMemoryText(mount: ContainerMount): mount is MemoryRequest {
  return mount.kind === "tmpfs" && mount.options !== undefined;
}

function memoryText({ sizeBytes, mode, options = [] }: MemoryRequest): string {
  const size = sizeBytes === undefined ? [] : [`size=${sizeBytes}`];
  const bits = mode === undefined ? [] : [`mode=${mode.toString(8)}`];
  return [...size, ...bits, ...options].join(",");
}

function mountPart(mount: ContainerMount, apiVersion: string) {
  switch (mount.kind) {
    case "volume":
      requireSubpath(mount.subpath, apiVersion);
      return {
        Type: "volume",
        Source: mount.engineName,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        VolumeOptions: { NoCopy: mount.noCopy, Subpath: mount.subpath },
      };
    case "bind":
      return {
        Type: "bind",
        Source: mount.source,
        Target: mount.target,
        ReadOnly: mount.readOnly,
        ...bindOptions(mount, apiVersion),
      };
    case "tmpfs":
      return {
        Type: "tmpfs",
        Target: mount.target,
        TmpfsOptions: { SizeBytes: mount.sizeBytes, Mode: mount.mode },
      };
  }
}

type BindRequest = Extract<ContainerMount, { kind: "bind" }>;

/** Only the engine's short form makes a missing source and relabels files. */
function isBindText(mount: ContainerMount): mount is BindRequest {
  if (mount.kind !== "bind" || mount.recursive !== undefined) return false;
  return mount.createIfMissing === true || mount.selinux !== undefined;
}

function bindText({ source, target, readOnly, propagation, selinux }: BindRequest): string {
  const words = [readOnly ? "ro" : "rw", selinux, propagation].filter((word) => word !== undefined);
  return `${source}:${target}:${words.join(",")}`;
}

function bindOptions({ propagation, recursive }: BindRequest, apiVersion: string) {
  if (propagation === undefined && recursive === undefined) return {};
  if (recursive === "readonly") requireApi(apiVersion, API_RECURSIVE_READ_ONLY, RECURSIVE_NEEDS);
  const isNew = compareVersions(apiVersion, API_RECURSIVE_READ_ONLY) >= 0;
  return {
    BindOptions: {
      Propagation: propagation,
      NonRecursive: recursive === "disabled" ? true : undefined,
      // What older engines do anyway.
      ReadOnlyNonRecursive: recursive === "writable" && isNew ? true : undefined,
      ReadOnlyForceRecursive: recursive === "readonly" ? true : undefined,
    },
  };
}

const RECURSIVE_NEEDS = "make the mounts below a bind read-only; Engine 25 and newer can";

function requireApi(apiVersion: string, needed: string, what: string): void {
  if (compareVersions(apiVersion, needed) >= 0) return;
  const message = `this engine (API ${apiVersion}) cannot ${what}`;
  throw new ProtocolError("not_implemented", message, { apiVersion, needed });
}

function requireSubpath(subpath: string | undefined, apiVersion: string): void {
  if (subpath === undefined) return;
  requireApi(apiVersion, API_VOLUME_SUBPATH, "mount a part of a volume; Engine 26 and newer can");
}

interface NetworkPart {
  readonly body: Readonly<Record<string, unknown>>;
  readonly host: Readonly<Record<string, unknown>>;
  readonly later: readonly LateNetwork[];
}

/** Host and domain name belong to the network namespace's owner: the engine refuses them on guests. */
function networkPart(request: ContainerRequest, apiVersion: string): NetworkPart {
  const { network, engine } = request;
  const names = { Hostname: engine.hostname, Domainname: engine.domainname };
  const resolver = {
    Dns: engine.dnsServers,
    DnsSearch: engine.dnsSearch,
    DnsOptions: engine.dnsOptions,
  };
  switch (network.kind) {
    case "host":
    case "none":
      return { body: names, host: { NetworkMode: network.kind, ...resolver }, later: [] };
    case "container":
      return { body: {}, host: { NetworkMode: `container:${network.containerId}` }, later: [] };
    case "networks":
      return attachmentsPart(request, network.attachments, apiVersion, names);
  }
}

type Attachments = Extract<ContainerNetwork, { kind: "networks" }>["attachments"];

function attachmentsPart(
  request: ContainerRequest,
  attachments: Attachments,
  apiVersion: string,
  names: Readonly<Record<string, unknown>>,
): NetworkPart {
  const cluster = request.labels[LABEL_CLUSTER] ?? "";
  const [primary, ...others] = attachments;
  if (primary === undefined) return { body: names, host: { NetworkMode: "none" }, later: [] };
  if (attachments.some(({ interfaceName }) => interfaceName !== undefined)) {
    requireApi(apiVersion, API_INTERFACE_NAME, "name interfaces; Engine 28.1 and newer can");
  }
  const name = networkName(cluster, primary.networkId);
  const host = { NetworkMode: name };
  if (compareVersions(apiVersion, API_MULTIPLE_NETWORKS) >= 0) {
    const priority = compareVersions(apiVersion, API_GATEWAY_PRIORITY) >= 0;
    const endpoints = attachments.map((attachment, index) => [
      networkName(cluster, attachment.networkId),
      {
        IPAMConfig: addressesOf(attachment),
        MacAddress: attachment.mac,
        ...(priority ? { GwPriority: index === 0 ? 1 : 0 } : {}),
        ...interfaceOf(attachment),
      },
    ]);
    const networking = { EndpointsConfig: Object.fromEntries(endpoints) };
    return { body: { ...names, NetworkingConfig: networking }, host, later: [] };
  }
  const endpoint = { IPAMConfig: addressesOf(primary) };
  const networking = { EndpointsConfig: { [name]: endpoint } };
  return {
    body: { ...names, MacAddress: primary.mac, NetworkingConfig: networking },
    host,
    later: others.map((attachment) => {
      requireOwnMac(attachment, apiVersion);
      return {
        network: networkName(cluster, attachment.networkId),
        body: { EndpointConfig: { IPAMConfig: addressesOf(attachment) } },
      };
    }),
  };
}

function interfaceOf({ interfaceName }: Attachments[number]) {
  if (interfaceName === undefined) return {};
  return { DriverOpts: { [OPTION_INTERFACE_NAME]: interfaceName } };
}

function addressesOf({ address, address6 }: Attachments[number]) {
  return { IPv4Address: address, ...(address6 === undefined ? {} : { IPv6Address: address6 }) };
}

/** Old engines take no MAC for further networks: their bridge driver makes it of the address, as we do. */
function requireOwnMac({ address, mac }: Attachments[number], apiVersion: string): void {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  if (mac.toLowerCase() === `02:42:${bytes.join(":")}`) return;
  throw new ProtocolError(
    "not_implemented",
    `this engine (API ${apiVersion}) takes a MAC for a container's first network only`,
    { apiVersion, needed: API_MULTIPLE_NETWORKS, address, mac },
  );
}

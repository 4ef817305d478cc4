/** Lines for the container engine: hostname, capabilities, devices and the like, one to one. */

import type { DeviceRequest, EngineOptions, Resources, ServiceSpec } from "@berth/protocol";
import type { DeviceRequest as ComposeDeviceRequest } from "../model/deploy-model.ts";
import type { BlkioLimit, ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

export function compileEngine(service: ComposeService): EngineOptions {
  return presentFields<EngineOptions>({
    ...processOptions(service),
    ...namespaceOptions(service),
    ...limitOptions(service),
    ...blockOptions(service),
  });
}

type Loose = { readonly [Key in keyof EngineOptions]?: EngineOptions[Key] | undefined };

function processOptions(service: ComposeService): Loose {
  return {
    hostname: service.hostname,
    domainname: service.domainname,
    user: service.user,
    workingDir: service.workingDir,
    init: service.init,
    tty: service.tty,
    stdinOpen: service.stdinOpen,
    readOnlyRoot: service.readOnly,
    privileged: service.privileged,
    capAdd: service.capAdd,
    capDrop: service.capDrop,
    securityOptions: service.securityOpt,
    groupAdd: service.groupAdd,
    stopSignal: service.stopSignal,
    labels: { ...service.deploy?.labels, ...service.labels },
    annotations: service.annotations,
    runtime: service.runtime,
    platform: service.platform,
    storageOptions: service.storageOpt,
    devices: service.devices?.map((device) => ({
      source: device.source,
      target: device.target ?? device.source,
      permissions: device.permissions ?? "rwm",
    })),
    deviceCgroupRules: service.deviceCgroupRules,
    deviceRequests: driverDevices(service),
  };
}

/** Devices that a driver of the engine gives; an empty list would be a list. */
function driverDevices(service: ComposeService): DeviceRequest[] | undefined {
  const wishes = deviceWishes(service);
  if (wishes.length === 0) return undefined;
  return wishes.map((wish) =>
    presentFields<DeviceRequest>({
      driver: wish.driver,
      // Neither a count nor identifiers: all, as the specification says.
      count: wish.count ?? (wish.deviceIds === undefined ? ALL_DEVICES : undefined),
      ids: wish.deviceIds,
      capabilities: wish.capabilities ?? [],
      options: wish.options ?? {},
    }),
  );
}

const ALL_DEVICES = -1;

/** `gpus`, whose capability is in its name, and `reservations.devices`. */
function deviceWishes(service: ComposeService): readonly ComposeDeviceRequest[] {
  const gpus = (service.gpus ?? []).map((gpu) => ({
    ...gpu,
    capabilities: [...new Set([GPU, ...(gpu.capabilities ?? [])])],
  }));
  return [...gpus, ...(service.deploy?.resources?.reservations?.devices ?? [])];
}

/** The countable resource that nodes with graphics processors declare. */
const GPU = "gpu";

/**
 * What the scheduler counts: `generic_resources` by their kind, and graphics processors as `gpu`. "All" is
 * counted as one: how many that is differs from node to node.
 */
export function compileCountables(service: ComposeService): ServiceSpec["countables"] {
  // What is said of a kind in full goes before the count of it.
  const refined = new Set(service.xBerth?.devices?.map(({ kind }) => kind));
  const counts = new Map<string, number>();
  const add = (kind: string, count: number) => counts.set(kind, (counts.get(kind) ?? 0) + count);
  for (const { discreteResourceSpec } of service.deploy?.resources?.reservations
    ?.genericResources ?? []) {
    if (discreteResourceSpec?.kind) add(discreteResourceSpec.kind, discreteResourceSpec.value ?? 1);
  }
  for (const { capabilities, count, deviceIds } of deviceWishes(service)) {
    if (!capabilities?.includes(GPU) || refined.has(GPU)) continue;
    add(GPU, count !== undefined && count > 0 ? count : (deviceIds?.length ?? 1));
  }
  return counts.size === 0 ? undefined : Object.fromEntries(counts);
}

function namespaceOptions(service: ComposeService): Loose {
  return {
    sysctls: service.sysctls,
    extraHosts: service.extraHosts?.map((text) => text.replace("=", ":")),
    dnsServers: service.dns,
    dnsSearch: service.dnsSearch,
    dnsOptions: service.dnsOpt,
    shmSizeBytes: aboveZero(service.shmSizeBytes),
    pidMode: ownMode(service.pid),
    ipcMode: ownMode(service.ipc),
    usernsMode: service.usernsMode,
    utsMode: service.uts,
    cgroupParent: service.cgroupParent,
    cgroupMode: service.cgroup,
    isolation: service.isolation === "default" ? undefined : service.isolation,
    macAddress: service.macAddress,
  };
}

/** `service:x` makes a pod instead. */
function ownMode(mode: string | undefined): string | undefined {
  return mode?.startsWith("service:") ? undefined : mode;
}

function limitOptions(service: ComposeService): Loose {
  const ulimits = service.ulimits;
  return {
    ulimits:
      ulimits === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(ulimits).map(([name, { soft, hard }]) => [name, { soft, hard }]),
          ),
    memorySwapBytes: service.memSwapLimitBytes,
    memorySwappiness: service.memSwappiness,
    memoryReservationBytes: aboveZero(service.memReservationBytes),
    cpuShares: service.cpuShares,
    cpuset: service.cpuset,
    oomKillDisable: service.oomKillDisable,
    oomScoreAdjust: service.oomScoreAdj,
    cpuPeriodMicros: service.cpuPeriod || undefined,
    cpuRealtimePeriodMicros: service.cpuRtPeriod || undefined,
    cpuRealtimeRuntimeMicros: service.cpuRtRuntime || undefined,
  };
}

function blockOptions({ blkioConfig: block }: ComposeService): Loose {
  return {
    blkioWeight: block?.weight,
    blkioWeightDevice: block?.weightDevice?.flatMap(({ path, weight }) =>
      path === undefined ? [] : [{ path, weight: weight ?? 0 }],
    ),
    blkioReadBps: rates(block?.deviceReadBps),
    blkioReadIops: rates(block?.deviceReadIops),
    blkioWriteBps: rates(block?.deviceWriteBps),
    blkioWriteIops: rates(block?.deviceWriteIops),
  };
}

function rates(limits: readonly BlkioLimit[] | undefined): EngineOptions["blkioReadBps"] {
  return limits?.flatMap(({ path, rate }) =>
    path === undefined ? [] : [{ path, rate: rate ?? 0 }],
  );
}

/** `deploy.resources.limits` wins over the older keys of the service. */
export function compileLimits(service: ComposeService): Resources {
  const limits = service.deploy?.resources?.limits;
  return presentFields<Resources>({
    cpuMillis: limits?.cpuMillis ?? service.cpuMillis ?? quotaMillis(service),
    memoryBytes: aboveZero(limits?.memoryBytes ?? service.memLimitBytes),
    pids: boundedPids(limits?.pids ?? service.pidsLimit),
  });
}

/** Zero and -1 mean without a limit. */
function boundedPids(pids: number | undefined): number | undefined {
  return pids === undefined || pids <= 0 ? undefined : pids;
}

function quotaMillis(service: ComposeService): number | undefined {
  if (service.cpuQuota === undefined || service.cpuQuota <= 0) return undefined;
  return Math.round((service.cpuQuota / (service.cpuPeriod ?? 100_000)) * 1000);
}

/** What the scheduler sets aside: `x-berth.requests`, then `reservations`; never more than the limit. */
export function compileRequests(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): Resources {
  const wished = service.xBerth?.requests;
  const reserved = service.deploy?.resources?.reservations;
  const limits = compileLimits(service);
  const requests = presentFields<Resources>({
    cpuMillis: wished?.cpuMillis ?? reserved?.cpuMillis,
    memoryBytes:
      wished?.memoryBytes ?? reserved?.memoryBytes ?? aboveZero(service.memReservationBytes),
    pids: undefined,
  });
  for (const key of ["cpuMillis", "memoryBytes"] as const) {
    const [request, limit] = [requests[key], limits[key]];
    if (request !== undefined && limit !== undefined && limit > 0 && request > limit) {
      problems.error(
        ["services", name],
        `sets aside more ${key === "cpuMillis" ? "processor" : "memory"} (${request}) than its limit (${limit})`,
      );
    }
  }
  return requests;
}

/** Zero and below are "no limit" in a file; the platform says that by silence. */
function aboveZero(bytes: number | undefined): number | undefined {
  return bytes !== undefined && bytes > 0 ? bytes : undefined;
}

/** Lines for the container engine: hostname, capabilities, devices and the like, one to one. */

import type { EngineOptions, Resources } from "@berth/protocol";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

export function compileEngine(service: ComposeService): EngineOptions {
  return presentFields<EngineOptions>({
    ...processOptions(service),
    ...namespaceOptions(service),
    ...limitOptions(service),
  });
}

type Loose = { readonly [Key in keyof EngineOptions]: EngineOptions[Key] | undefined };

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
  };
}

function namespaceOptions(service: ComposeService): Loose {
  return {
    sysctls: service.sysctls,
    extraHosts: service.extraHosts?.map((text) => text.replace("=", ":")),
    dnsServers: service.dns,
    dnsSearch: service.dnsSearch,
    dnsOptions: service.dnsOpt,
    shmSizeBytes: service.shmSizeBytes,
    pidMode: ownMode(service.pid),
    ipcMode: ownMode(service.ipc),
    usernsMode: service.usernsMode,
    utsMode: service.uts,
    cgroupParent: service.cgroupParent,
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
    memoryReservationBytes: service.memReservationBytes,
    cpuShares: service.cpuShares,
    cpuset: service.cpuset,
    oomKillDisable: service.oomKillDisable,
    oomScoreAdjust: service.oomScoreAdj,
    blkioWeight: service.blkioConfig?.weight,
  };
}

/** `deploy.resources.limits` wins over the older keys of the service. */
export function compileLimits(service: ComposeService): Resources {
  const limits = service.deploy?.resources?.limits;
  return presentFields<Resources>({
    cpuMillis: limits?.cpuMillis ?? service.cpuMillis ?? quotaMillis(service),
    memoryBytes: limits?.memoryBytes ?? service.memLimitBytes,
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
    memoryBytes: wished?.memoryBytes ?? reserved?.memoryBytes ?? service.memReservationBytes,
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

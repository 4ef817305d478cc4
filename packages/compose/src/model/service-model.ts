/**
 * A service in the model: every key of the specification in its long form, in plain units.
 *
 * Absent means that the file says nothing; defaults are the platform's business. Keys stand in the order of the
 * specification's reference implementation.
 */

import type { Extensions } from "../codec/extension.ts";
import type { ServiceWishes } from "./berth-model.ts";
import type {
  Build,
  Deploy,
  Develop,
  DeviceRequest,
  Healthcheck,
  ServiceHook,
  StartStep,
  Ulimit,
} from "./deploy-model.ts";
import type { NetworkAttachment } from "./network-model.ts";
import type { FileReference, HostPath, ServiceMount } from "./storage-model.ts";

/** When a container that ended is started again. */
export interface RestartPolicy {
  /** `unknown`: none of the words, which is warned of; the platform refuses it at deploy. */
  readonly policy: "no" | "always" | "on-failure" | "unless-stopped" | "unknown";
  /** What the file says, where that is none of the words. */
  readonly written?: string;
  /** `on-failure:5`; absent is without end. */
  readonly maxRetries?: number;
}

export interface ServiceDependency {
  readonly condition: "service_started" | "service_healthy" | "service_completed_successfully";
  /** Restart this service after the other one was restarted by a command. */
  readonly restart?: boolean;
  /** False: a missing service is passed over. */
  readonly required: boolean;
  readonly extensions?: Extensions;
}

/** One published or exposed port of a service. */
export interface ServicePort {
  readonly name?: string;
  readonly mode?: string;
  readonly hostIp?: string;
  /** In the container. */
  readonly target: number;
  /** On the host: a number or a range `8000-8010` to choose from; absent: any free one. */
  readonly published?: string;
  readonly protocol?: string;
  readonly appProtocol?: string;
  readonly extensions?: Extensions;
}

export interface DeviceMapping {
  readonly source: string;
  readonly target?: string;
  /** Of `r`, `w`, `m`. */
  readonly permissions?: string;
  readonly extensions?: Extensions;
}

export interface EnvFile {
  readonly file: HostPath;
  readonly required: boolean;
  readonly format?: string;
}

export interface BlkioConfig {
  readonly weight?: number;
  readonly weightDevice?: readonly BlkioWeight[];
  readonly deviceReadBps?: readonly BlkioLimit[];
  readonly deviceReadIops?: readonly BlkioLimit[];
  readonly deviceWriteBps?: readonly BlkioLimit[];
  readonly deviceWriteIops?: readonly BlkioLimit[];
  readonly extensions?: Extensions;
}

export interface BlkioWeight {
  readonly path?: string;
  readonly weight?: number;
}

export interface BlkioLimit {
  readonly path?: string;
  /** Bytes or operations a second. */
  readonly rate?: number;
}

export interface CredentialSpec {
  readonly config?: string;
  readonly file?: string;
  readonly registry?: string;
  readonly extensions?: Extensions;
}

export interface Logging {
  readonly driver?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly extensions?: Extensions;
}

export interface Provider {
  readonly type: string;
  readonly options?: Readonly<Record<string, readonly string[]>>;
  readonly extensions?: Extensions;
}

export interface ServiceModelUse {
  readonly endpointVar?: string;
  readonly modelVar?: string;
  readonly extensions?: Extensions;
}

/** See the module comment. */
export interface ComposeService {
  readonly profiles?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly attach?: boolean;
  readonly build?: Build;
  readonly develop?: Develop;
  readonly blkioConfig?: BlkioConfig;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly cgroupParent?: string;
  readonly cgroup?: string;
  readonly cpuCount?: number;
  readonly cpuPercent?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuRtPeriod?: number;
  readonly cpuRtRuntime?: number;
  /** Thousandths of a processor (`cpus`). */
  readonly cpuMillis?: number;
  readonly cpuset?: string;
  readonly cpuShares?: number;
  /** Words; empty clears the image's; null and absent keep it. */
  readonly command?: readonly string[] | null;
  readonly configs?: readonly FileReference[];
  readonly containerName?: string;
  readonly credentialSpec?: CredentialSpec;
  readonly dependsOn?: Readonly<Record<string, ServiceDependency>>;
  readonly deploy?: Deploy;
  readonly deviceCgroupRules?: readonly string[];
  readonly devices?: readonly DeviceMapping[];
  readonly dns?: readonly string[];
  readonly dnsOpt?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly domainname?: string;
  /** Words; empty clears the image's; null and absent keep it. */
  readonly entrypoint?: readonly string[] | null;
  /** With the values of env files; null: not set where it should have come from. */
  readonly environment?: Readonly<Record<string, string | null>>;
  /** Already read into `environment`. */
  readonly envFiles?: readonly EnvFile[];
  readonly expose?: readonly string[];
  readonly externalLinks?: readonly string[];
  /** `host=address`, sorted. */
  readonly extraHosts?: readonly string[];
  readonly gpus?: readonly DeviceRequest[];
  readonly groupAdd?: readonly string[];
  readonly hostname?: string;
  readonly healthcheck?: Healthcheck;
  readonly image?: string;
  readonly init?: boolean;
  readonly ipc?: string;
  readonly isolation?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Already read into `labels`. */
  readonly labelFiles?: readonly HostPath[];
  readonly links?: readonly string[];
  readonly logging?: Logging;
  readonly memLimitBytes?: number;
  readonly memReservationBytes?: number;
  /** Memory and swap together; -1 is unlimited. */
  readonly memSwapLimitBytes?: number;
  readonly memSwappiness?: number;
  readonly macAddress?: string;
  readonly models?: Readonly<Record<string, ServiceModelUse>>;
  /** `host`, `none`, `bridge`, `service:x`, `container:x`. */
  readonly networkMode?: string;
  readonly networks?: Readonly<Record<string, NetworkAttachment>>;
  readonly oomKillDisable?: boolean;
  readonly oomScoreAdj?: number;
  readonly pid?: string;
  readonly pidsLimit?: number;
  readonly platform?: string;
  readonly ports?: readonly ServicePort[];
  readonly postStart?: readonly ServiceHook[];
  readonly preStart?: readonly StartStep[];
  readonly preStop?: readonly ServiceHook[];
  readonly privileged?: boolean;
  readonly provider?: Provider;
  readonly pullPolicy?: string;
  readonly pullRefreshAfter?: string;
  readonly readOnly?: boolean;
  readonly restart?: RestartPolicy;
  readonly runtime?: string;
  /** Number of copies (`scale`). */
  readonly scale?: number;
  readonly secrets?: readonly FileReference[];
  readonly securityOpt?: readonly string[];
  readonly shmSizeBytes?: number;
  readonly stdinOpen?: boolean;
  readonly stopGracePeriodMs?: number;
  readonly stopSignal?: string;
  readonly storageOpt?: Readonly<Record<string, string>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** `/run` or `/run:size=64m`. */
  readonly tmpfs?: readonly string[];
  readonly tty?: boolean;
  readonly ulimits?: Readonly<Record<string, Ulimit>>;
  readonly useApiSocket?: boolean;
  readonly user?: string;
  readonly usernsMode?: string;
  readonly uts?: string;
  readonly volumes?: readonly ServiceMount[];
  readonly volumesFrom?: readonly string[];
  readonly workingDir?: string;
  readonly xBerth?: ServiceWishes;
  readonly extensions?: Extensions;
}

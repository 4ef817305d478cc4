/**
 * `deploy`, `build`, `healthcheck` and `develop` of a service in the model.
 */

import type { Extensions } from "../codec/extension.ts";
import type { FileReference, HostPath } from "./storage-model.ts";

export interface Deploy {
  readonly mode?: string;
  readonly replicas?: number;
  /** Labels of the service, not of its containers. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly updateConfig?: UpdateConfig;
  readonly rollbackConfig?: UpdateConfig;
  readonly resources?: Resources;
  readonly restartPolicy?: DeployRestartPolicy;
  readonly placement?: Placement;
  readonly endpointMode?: string;
  readonly extensions?: Extensions;
}

export interface UpdateConfig {
  /** Copies at a time; 0 is all. */
  readonly parallelism?: number;
  readonly delayMs?: number;
  readonly failureAction?: string;
  readonly monitorMs?: number;
  readonly maxFailureRatio?: number;
  readonly order?: "start-first" | "stop-first";
  readonly extensions?: Extensions;
}

export interface Resources {
  readonly limits?: ResourceAmounts;
  readonly reservations?: ResourceAmounts;
  readonly extensions?: Extensions;
}

export interface ResourceAmounts {
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
  readonly pids?: number;
  readonly devices?: readonly DeviceRequest[];
  readonly genericResources?: readonly GenericResource[];
  readonly extensions?: Extensions;
}

export interface DeviceRequest {
  readonly capabilities?: readonly string[];
  readonly driver?: string;
  /** -1 is all. */
  readonly count?: number;
  readonly deviceIds?: readonly string[];
  readonly options?: Readonly<Record<string, string>>;
}

export interface GenericResource {
  readonly discreteResourceSpec?: DiscreteResource;
  readonly extensions?: Extensions;
}

export interface DiscreteResource {
  readonly kind?: string;
  readonly value?: number;
  readonly extensions?: Extensions;
}

export interface DeployRestartPolicy {
  readonly condition?: string;
  readonly delayMs?: number;
  readonly maxAttempts?: number;
  readonly windowMs?: number;
  readonly extensions?: Extensions;
}

export interface Placement {
  readonly constraints?: readonly string[];
  readonly preferences?: readonly PlacementPreference[];
  readonly maxReplicasPerNode?: number;
  readonly extensions?: Extensions;
}

export interface PlacementPreference {
  readonly spread?: string;
  readonly extensions?: Extensions;
}

export interface Healthcheck {
  /** First word `CMD`, `CMD-SHELL` or `NONE`. */
  readonly test?: readonly string[];
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  readonly retries?: number;
  readonly startPeriodMs?: number;
  readonly startIntervalMs?: number;
  /** The image's own check is off, too. */
  readonly disable?: boolean;
  readonly extensions?: Extensions;
}

export interface Build {
  /** A directory, or a remote context (`https://`, `git@` ...). */
  readonly context?: BuildContext;
  readonly dockerfile?: string;
  readonly dockerfileInline?: string;
  readonly entitlements?: readonly string[];
  readonly args?: Readonly<Record<string, string | null>>;
  /** Agent sockets and keys by id; an empty path is the agent. */
  readonly ssh?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly noCache?: boolean;
  /** Stages that are built without a cache. */
  readonly noCacheFilter?: readonly string[];
  readonly additionalContexts?: Readonly<Record<string, BuildContext>>;
  readonly pull?: boolean;
  readonly extraHosts?: readonly string[];
  readonly isolation?: string;
  readonly network?: string;
  readonly target?: string;
  readonly secrets?: readonly FileReference[];
  readonly shmSizeBytes?: number;
  readonly tags?: readonly string[];
  readonly ulimits?: Readonly<Record<string, Ulimit>>;
  readonly platforms?: readonly string[];
  readonly privileged?: boolean;
  readonly provenance?: string;
  readonly sbom?: string;
  readonly extensions?: Extensions;
}

/** Where a build takes its files from. */
export type BuildContext =
  | { readonly kind: "local"; readonly directory: HostPath }
  | { readonly kind: "remote"; readonly url: string };

/** A limit of the kernel; both the same when the file gives one number. -1 is unlimited. */
export interface Ulimit {
  readonly soft: number;
  readonly hard: number;
  /** The file gave one number. */
  readonly single?: boolean;
  readonly extensions?: Extensions;
}

export interface Develop {
  readonly watch?: readonly WatchTrigger[];
  readonly extensions?: Extensions;
}

export interface WatchTrigger {
  readonly path: HostPath;
  readonly action: "rebuild" | "sync" | "restart" | "sync+restart" | "sync+exec";
  readonly target?: string;
  readonly exec?: ServiceHook;
  readonly ignore?: readonly string[];
  readonly include?: readonly string[];
  readonly initialSync?: boolean;
  readonly extensions?: Extensions;
}

/** A command run in the container after its start or before its stop. */
export interface ServiceHook {
  readonly command?: readonly string[] | null;
  readonly user?: string;
  readonly privileged?: boolean;
  readonly workingDir?: string;
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly extensions?: Extensions;
}

/** `pre_start`: a container of its own that runs to its end before the service's starts. */
export interface StartStep extends ServiceHook {
  /** The service's own by default. */
  readonly image?: string;
  /** Before each copy instead of once before the first. */
  readonly perReplica?: boolean;
}

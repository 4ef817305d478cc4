/**
 * What a service is: the rendered, engine-neutral form of a Compose service. Written by users (through
 * the Compose compiler), immutable inside a release.
 *
 * Everything is in its long form and in base units; nothing is interpolated or inherited any more.
 */

import { Type } from "typebox";
import { ComposeName, Digest } from "../names.ts";
import type { Of } from "../schema.ts";
import {
  ClassWord,
  DEVICE_WISHES_MAX,
  DeviceWish,
  ScoreWeights,
  StrategyWord,
} from "./placing-wishes.ts";
import { Probes } from "./probe.ts";
import { RouteSpec, TcpRouteSpec } from "./route-spec.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const StringMap = Type.Record(Type.String(), Type.String());
const Strings = Type.Array(Type.String());

/** Something that appears inside the container's file system. */
export const Mount = Type.Union([
  Type.Object({
    kind: Type.Literal("volume"),
    /** A key of the stack's `volumes`. */
    volume: Type.String(),
    target: Type.String(),
    readOnly: Type.Boolean(),
    /** Do not seed an empty volume from the image. */
    noCopy: Type.Optional(Type.Boolean()),
    subpath: Type.Optional(Type.String()),
  }),
  /** A file, or a directory as a tar archive, from the blobs; always read-only. */
  Type.Object({
    kind: Type.Literal("object"),
    digest: Digest,
    form: Type.Union([Type.Literal("file"), Type.Literal("directory")]),
    target: Type.String(),
    /** Permission bits; 0o444 by default. */
    mode: Type.Optional(Type.Integer({ minimum: 0, maximum: 0o7777 })),
    uid: Type.Optional(Type.Integer({ minimum: 0 })),
    gid: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
  /** A path of the host; needs a policy that allows it. */
  Type.Object({
    kind: Type.Literal("host"),
    source: Type.String(),
    target: Type.String(),
    readOnly: Type.Boolean(),
    createIfMissing: Type.Optional(Type.Boolean()),
    propagation: Type.Optional(Type.String()),
    /** Relabelled for SELinux: shared with other containers (`z`), or the container's own (`Z`). */
    selinux: Type.Optional(Type.Union([Type.Literal("z"), Type.Literal("Z")])),
    /**
     * Mounts below the path: `disabled` leaves them out, `writable` keeps them writable in a read-only
     * mount, `readonly` insists on the opposite. Absent: the engine's default, which carries them along.
     */
    recursive: Type.Optional(
      Type.Union([Type.Literal("disabled"), Type.Literal("writable"), Type.Literal("readonly")]),
    ),
  }),
  Type.Object({
    kind: Type.Literal("tmpfs"),
    target: Type.String(),
    sizeBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    mode: Type.Optional(Type.Integer({ minimum: 0, maximum: 0o7777 })),
    /** Further words for mount(8): `exec`, `uid=1000`. */
    options: Type.Optional(Strings),
  }),
]);
export type Mount = Of<typeof Mount>;

/** A config or secret as a file in memory. */
export const FileReference = Type.Object({
  /** A key of the stack's `configs` or `secrets`. */
  name: Type.String(),
  target: Type.String(),
  uid: Type.Integer({ minimum: 0 }),
  gid: Type.Integer({ minimum: 0 }),
  mode: Type.Integer({ minimum: 0, maximum: 0o7777 }),
});
export type FileReference = Of<typeof FileReference>;

/** Processor, memory and process counts; absent means not stated. */
export const Resources = Type.Object({
  cpuMillis: Type.Optional(Type.Integer({ minimum: 0 })),
  memoryBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  pids: Type.Optional(Type.Integer({ minimum: 0 })),
});
export type Resources = Of<typeof Resources>;

/** A port of the host that leads to the service. */
export const PublishedPort = Type.Object({
  /** Inside the container. */
  target: Port,
  /** On the ingress nodes. Absent: the platform chooses one. */
  published: Type.Optional(Port),
  /** The platform chooses from here; from its own range when both are absent. */
  publishedRange: Type.Optional(Type.Object({ first: Port, last: Port })),
  /** Address of the host to listen on; all addresses by default. */
  hostAddress: Type.Optional(Type.String()),
  protocol: Type.Union([Type.Literal("tcp"), Type.Literal("udp")]),
});
export type PublishedPort = Of<typeof PublishedPort>;

/** How long-running work is started again when it ends. */
export const RestartSpec = Type.Object({
  /** `no` makes the service one-shot; `on-failure` restarts after any code but 0. */
  policy: Type.Union([Type.Literal("always"), Type.Literal("on-failure"), Type.Literal("no")]),
  /** Restarts at most; unlimited when absent. */
  maxAttempts: Type.Optional(Type.Integer({ minimum: 0 })),
  /** Shortest pause before a restart. Absent: none before the first, then growing ones. */
  delayMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** An attempt that lived this long was a success: the count of restarts begins anew. Default 600,000. */
  windowMs: Type.Optional(Type.Number({ minimum: 0 })),
});
export type RestartSpec = Of<typeof RestartSpec>;

/** How a service moves from one release to another. Times in milliseconds. */
export const UpdateSpec = Type.Object({
  /** Free services start first by default; exclusive ones are always stop-first. */
  order: Type.Union([Type.Literal("start-first"), Type.Literal("stop-first")]),
  /** Copies replaced at once; 0 means all. Default 1. */
  parallelism: Type.Integer({ minimum: 0 }),
  /** Pause between batches. Default 0. */
  delayMs: Type.Number({ minimum: 0 }),
  /** A copy counts once it has been ready for this long. Default 5,000. */
  minHealthyMs: Type.Number({ minimum: 0 }),
  /** Without progress for this long the rollout has failed. Default 300,000. */
  progressDeadlineMs: Type.Number({ minimum: 1_000 }),
  failureAction: Type.Union([
    Type.Literal("rollback"),
    Type.Literal("pause"),
    Type.Literal("continue"),
  ]),
  /** Share of the copies that may fail for good before the rollout has failed. Default 0. */
  maxFailureRatio: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
});
export type UpdateSpec = Of<typeof UpdateSpec>;

/** How a service goes back when a rollout has failed; what is absent is as in `update`, without pauses. */
export const RollbackSpec = Type.Object({
  order: Type.Optional(Type.Union([Type.Literal("start-first"), Type.Literal("stop-first")])),
  /** Copies taken back at once; 0 means all. */
  parallelism: Type.Optional(Type.Integer({ minimum: 0 })),
  /** Pause between batches. Default 0. */
  delayMs: Type.Optional(Type.Number({ minimum: 0 })),
  minHealthyMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** `pause` (default): a rollback that fails waits for a person; `continue` goes on with the other copies. */
  failureAction: Type.Optional(Type.Union([Type.Literal("pause"), Type.Literal("continue")])),
  maxFailureRatio: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
});
export type RollbackSpec = Of<typeof RollbackSpec>;

export const DependencySpec = Type.Object({
  condition: Type.Union([
    Type.Literal("started"),
    Type.Literal("healthy"),
    Type.Literal("completed"),
  ]),
  /** A dependency that is not in the stack is no error. */
  required: Type.Boolean(),
  /** Restart when the dependency was restarted by a command. Default false. */
  restart: Type.Optional(Type.Boolean()),
});
export type DependencySpec = Of<typeof DependencySpec>;

/** Limits of the kernel by name, `nofile`. */
const Ulimits = Type.Record(
  Type.String(),
  Type.Object({ soft: Type.Integer(), hard: Type.Integer() }),
);

/** How an image is built from a context that lies in the blobs as a tar archive. */
export const BuildSpec = Type.Object({
  contextDigest: Digest,
  dockerfile: Type.String(),
  /** The Dockerfile itself, where the file has it; `dockerfile` is then only its name in the context. */
  dockerfileText: Type.Optional(Type.String()),
  target: Type.Optional(Type.String()),
  args: StringMap,
  labels: StringMap,
  noCache: Type.Optional(Type.Boolean()),
  pull: Type.Optional(Type.Boolean()),
  networkMode: Type.Optional(Type.String()),
  shmSizeBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  extraHosts: Type.Optional(Strings),
  platform: Type.Optional(Type.String()),
  /** Further names of the result. */
  tags: Type.Optional(Strings),
  /** Images whose layers may be used, pulled before the build. */
  cacheFrom: Type.Optional(Strings),
  ulimits: Type.Optional(Ulimits),
  isolation: Type.Optional(Type.String()),
});
export type BuildSpec = Of<typeof BuildSpec>;

/** A command that is run inside the container. */
export const Hook = Type.Object({
  command: Strings,
  user: Type.Optional(Type.String()),
  workingDir: Type.Optional(Type.String()),
  environment: Type.Optional(StringMap),
  /** Needs a policy that allows it. */
  privileged: Type.Optional(Type.Boolean()),
});
export type Hook = Of<typeof Hook>;

/** A hook that has nothing but its command may be written as that. */
const HookForm = Type.Union([Strings, Hook]);

/** The long form of a hook. */
export function hookOf(form: readonly string[] | Hook): Hook {
  return "command" in form ? form : { command: form };
}

/** Devices that a driver of the engine gives: graphics processors, above all. */
export const DeviceRequest = Type.Object({
  driver: Type.Optional(Type.String()),
  /** -1 is all. */
  count: Type.Optional(Type.Integer({ minimum: -1 })),
  ids: Type.Optional(Strings),
  capabilities: Strings,
  options: StringMap,
});
export type DeviceRequest = Of<typeof DeviceRequest>;

/** A limit for one disk of the host. */
const BlockRate = Type.Array(
  Type.Object({ path: Type.String(), rate: Type.Integer({ minimum: 0 }) }),
);

/** Lines for the engine that change nothing about how Berth treats the task. */
export const EngineOptions = Type.Object({
  hostname: Type.Optional(Type.String()),
  domainname: Type.Optional(Type.String()),
  user: Type.Optional(Type.String()),
  workingDir: Type.Optional(Type.String()),
  init: Type.Optional(Type.Boolean()),
  tty: Type.Optional(Type.Boolean()),
  stdinOpen: Type.Optional(Type.Boolean()),
  readOnlyRoot: Type.Optional(Type.Boolean()),
  privileged: Type.Optional(Type.Boolean()),
  capAdd: Type.Optional(Strings),
  capDrop: Type.Optional(Strings),
  securityOptions: Type.Optional(Strings),
  sysctls: Type.Optional(StringMap),
  ulimits: Type.Optional(Ulimits),
  groupAdd: Type.Optional(Strings),
  /** `name:address` */
  extraHosts: Type.Optional(Strings),
  dnsServers: Type.Optional(Strings),
  dnsSearch: Type.Optional(Strings),
  dnsOptions: Type.Optional(Strings),
  stopSignal: Type.Optional(Type.String()),
  shmSizeBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  devices: Type.Optional(
    Type.Array(
      Type.Object({ source: Type.String(), target: Type.String(), permissions: Type.String() }),
    ),
  ),
  runtime: Type.Optional(Type.String()),
  platform: Type.Optional(Type.String()),
  pidMode: Type.Optional(Type.String()),
  ipcMode: Type.Optional(Type.String()),
  usernsMode: Type.Optional(Type.String()),
  utsMode: Type.Optional(Type.String()),
  cgroupParent: Type.Optional(Type.String()),
  macAddress: Type.Optional(Type.String()),
  labels: Type.Optional(StringMap),
  annotations: Type.Optional(StringMap),
  memorySwapBytes: Type.Optional(Type.Integer({ minimum: -1 })),
  memorySwappiness: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  memoryReservationBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  cpuShares: Type.Optional(Type.Integer({ minimum: 0 })),
  cpuset: Type.Optional(Type.String()),
  oomKillDisable: Type.Optional(Type.Boolean()),
  oomScoreAdjust: Type.Optional(Type.Integer({ minimum: -1_000, maximum: 1_000 })),
  storageOptions: Type.Optional(StringMap),
  blkioWeight: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
  blkioWeightDevice: Type.Optional(
    Type.Array(Type.Object({ path: Type.String(), weight: Type.Integer({ minimum: 0 }) })),
  ),
  /** Bytes (`Bps`) or operations (`Iops`) a second. */
  blkioReadBps: Type.Optional(BlockRate),
  blkioReadIops: Type.Optional(BlockRate),
  blkioWriteBps: Type.Optional(BlockRate),
  blkioWriteIops: Type.Optional(BlockRate),
  /** Period over which the processor limit holds, microseconds. The engine's 100,000 when absent. */
  cpuPeriodMicros: Type.Optional(Type.Integer({ minimum: 0 })),
  cpuRealtimePeriodMicros: Type.Optional(Type.Integer({ minimum: 0 })),
  cpuRealtimeRuntimeMicros: Type.Optional(Type.Integer({ minimum: 0 })),
  deviceCgroupRules: Type.Optional(Strings),
  deviceRequests: Type.Optional(Type.Array(DeviceRequest)),
  /** `host` or `private`. */
  cgroupMode: Type.Optional(Type.String()),
  /** `process` or `hyperv`, on Windows. */
  isolation: Type.Optional(Type.String()),
});
export type EngineOptions = Of<typeof EngineOptions>;

const NetworkUse = Type.Object({
  aliases: Strings,
  ipv4Address: Type.Optional(Type.String()),
  /** Fixed addresses by slot: copy 1 has the first. As many as copies at least. */
  addresses: Type.Optional(Strings),
  ipv6Address: Type.Optional(Type.String()),
  macAddress: Type.Optional(Type.String()),
  /** Name of the interface in the container, at most 15 characters; `eth0` and so on by default. */
  interfaceName: Type.Optional(Type.String({ pattern: "^[^\\s/:]{1,15}$" })),
});

/** Connections of one source to the service's address go to one copy. */
export const Affinity = Type.Object({
  kind: Type.Literal("source"),
  /** The source is forgotten after this time without a new connection. Default 10,800,000 (3 h). */
  timeoutMs: Type.Integer({ minimum: 1_000, maximum: 604_800_000 }),
});
export type Affinity = Of<typeof Affinity>;

/** More say that taints are used for what labels are for. */
export const TOLERATIONS_MAX = 50;

export const Toleration = Type.Object({
  key: Type.String({ minLength: 1, maxLength: 128 }),
  value: Type.Optional(Type.String({ maxLength: 256 })),
});
export type Toleration = Of<typeof Toleration>;

export const ServiceSpec = Type.Object({
  /** Reference as written; for a service that only builds, the name that the build gets. */
  image: Type.String({ minLength: 1 }),
  build: Type.Optional(BuildSpec),
  pullPolicy: Type.Union([
    Type.Literal("missing"),
    Type.Literal("always"),
    Type.Literal("never"),
    Type.Literal("build"),
  ]),
  /** With `missing`: the registry is asked again when the image was looked up longer ago than this. */
  pullEveryMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** Overrides the image's; an empty list clears it. */
  entrypoint: Type.Optional(Strings),
  command: Type.Optional(Strings),
  /** Byte for byte what the process sees. */
  environment: StringMap,
  engine: EngineOptions,
  limits: Resources,
  /** What the scheduler keeps free for a copy; the project's defaults fill what is absent. */
  requests: Resources,
  /** Countable resources that nodes declare, by name (`generic_resources`, `gpu`), needed by each copy. */
  countables: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0 }))),
  mounts: Type.Array(Mount),
  configs: Type.Array(FileReference),
  secrets: Type.Array(FileReference),
  /** Keys of the stack's `networks`; empty with `networkMode` other than `networks`. */
  networks: Type.Record(Type.String(), NetworkUse),
  networkMode: Type.Union([Type.Literal("networks"), Type.Literal("host"), Type.Literal("none")]),
  /** The service whose network namespace (or volumes, or pid) this one shares: they form a pod. */
  podWith: Type.Optional(Type.String()),
  podShares: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Literal("network"),
        Type.Literal("pid"),
        Type.Literal("ipc"),
        Type.Literal("volumes"),
      ]),
    ),
  ),
  ports: Type.Array(PublishedPort),
  expose: Type.Array(Port),
  routes: Type.Array(RouteSpec),
  /** Absent: none. */
  tcpRoutes: Type.Optional(Type.Array(TcpRouteSpec)),
  endpointMode: Type.Union([Type.Literal("vip"), Type.Literal("dnsrr")]),
  /** Default: each connection to any ready copy. */
  affinity: Type.Optional(Affinity),
  probes: Probes,
  dependsOn: Type.Record(Type.String(), DependencySpec),
  restart: RestartSpec,
  /** `job`: runs to completion once per release. */
  mode: Type.Union([Type.Literal("replicated"), Type.Literal("global"), Type.Literal("job")]),
  /** Of a job: one run on each node that fits, instead of `copies` runs. Default false. */
  everyNode: Type.Optional(Type.Boolean()),
  /** The file's number of copies. */
  copies: Type.Integer({ minimum: 0, maximum: 100_000 }),
  update: UpdateSpec,
  rollback: Type.Optional(RollbackSpec),
  constraints: Strings,
  /** Topology labels to spread over, `node.labels.zone`. */
  spreadOver: Strings,
  maxPerNode: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Taints that do not keep its copies away; a value that is absent matches every value. Default: none. */
  tolerations: Type.Optional(Type.Array(Toleration, { maxItems: TOLERATIONS_MAX })),
  /** Default: the project's, else `balanced`. */
  strategy: Type.Optional(StrategyWord),
  /** Go before those of the project. */
  weights: Type.Optional(ScoreWeights),
  /** Default: `guaranteed`. */
  class: Type.Optional(ClassWord),
  /** Devices of nodes that are shared or chosen by model; in place of `countables` of the same kind. */
  devices: Type.Optional(Type.Array(DeviceWish, { maxItems: DEVICE_WISHES_MAX })),
  /**
   * `fence`: a copy that only one may run of stops by itself when its node reaches no server, so that it may be
   * started elsewhere after a stated time. Default: it waits for its node, a fence hook or a person.
   */
  failover: Type.Optional(Type.Literal("fence")),
  priority: Type.Integer({ minimum: 0, maximum: 100 }),
  /** SIGTERM to SIGKILL. Default 10,000. */
  stopGraceMs: Type.Number({ minimum: 0 }),
  /** Time for open connections after leaving the endpoints. Default 30,000. */
  drainMs: Type.Number({ minimum: 0 }),
  /** Commands run in the container after start and before the stop signal. */
  postStart: Type.Optional(Type.Array(HookForm)),
  preStop: Type.Optional(Type.Array(HookForm)),
  /** Log rotation of the agent. Defaults 10 MiB and 3 files. */
  log: Type.Object({
    maxBytes: Type.Integer({ minimum: 4_096 }),
    maxFiles: Type.Integer({ minimum: 1, maximum: 1_000 }),
  }),
});
export type ServiceSpec = Of<typeof ServiceSpec>;

/** The nodes decide how many copies there are: one on each that fits. */
export function runsOnEveryNode(spec: Pick<ServiceSpec, "mode" | "everyNode">): boolean {
  return spec.mode === "global" || spec.everyNode === true;
}

export const ServiceName = ComposeName;

/** Ports that a service serves, each once, by number: published, exposed, and targets of routes. */
export function servedPorts({
  ports,
  expose,
  routes,
  tcpRoutes = [],
}: ServiceSpec): { readonly port: number; readonly protocol: "tcp" | "udp" }[] {
  const served = new Map<string, { port: number; protocol: "tcp" | "udp" }>();
  const add = (port: number, protocol: "tcp" | "udp") =>
    served.set(`${port}/${protocol}`, { port, protocol });
  for (const { target, protocol } of ports) add(target, protocol);
  for (const port of [...expose, ...[...routes, ...tcpRoutes].map((route) => route.port)]) {
    add(port, "tcp");
  }
  return [...served.values()].sort(
    (a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol),
  );
}

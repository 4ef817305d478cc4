/**
 * The runtime port: what an agent needs of whatever runs containers on its node.
 *
 * Docker Engine (and Podman through the same API) and the simulation's fake implement it and pass one
 * contract suite. Every call has a deadline through its signal, names what it works on in its errors, and
 * may be repeated: create with a name that exists answers the existing container, removing what is gone
 * succeeds. The runtime keeps no restart policy: only the agent starts containers.
 */

import type {
  BuildSpec,
  EngineOptions,
  PinnedImage,
  RegistryAuth,
  Resources,
} from "@berth/protocol";

/** Labels by which an agent knows its own. */
export const LABEL_CLUSTER = "berth.cluster";
export const LABEL_TASK = "berth.task";
export const LABEL_SERVICE = "berth.service";
export const LABEL_ATTEMPT = "berth.attempt";

export interface RuntimeInfo {
  readonly name: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly os: string;
  readonly architecture: string;
  readonly kernel: string;
  readonly cgroupVersion: "v1" | "v2";
  /** Where images and volumes lie: disk pressure is measured here. */
  readonly dataRoot: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** A bridge on this node for one network of the cluster. */
export interface NetworkRequest {
  readonly id: string;
  readonly cluster: string;
  /** At most 15 characters. */
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
  /** Together with `gateway6`, where the network has IPv6. */
  readonly subnet6?: string;
  readonly gateway6?: string;
  readonly internal: boolean;
  readonly mtu?: number;
  /** Of a person; ours win. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface VolumeRequest {
  readonly engineName: string;
  readonly cluster: string;
  readonly driver?: string;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Everything resolved: what the agent wants the container to be. */
export interface ContainerRequest {
  /** Opaque, unique per task and attempt; the container's name. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Image ID that `ensureImage` answered. */
  readonly imageId: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly engine: EngineOptions;
  readonly limits: Resources;
  readonly mounts: readonly ContainerMount[];
  readonly network: ContainerNetwork;
  /** Containers of the same pod to share with. */
  readonly shareVolumesOf?: string;
  readonly sharePidOf?: string;
  readonly shareIpcOf?: string;
  readonly stopGraceMs: number;
  /** Nothing is lost when its program is ended right after its begin and begun again; no by default. */
  readonly repeatable?: boolean;
}

export type ContainerMount =
  | {
      readonly kind: "volume";
      readonly engineName: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly noCopy: boolean;
      readonly subpath?: string;
    }
  /** A path of the host: files made by the agent, or real host binds. */
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly propagation?: string;
      /** An absent source becomes a directory, as in Compose's short form. */
      readonly createIfMissing?: boolean;
      readonly selinux?: "z" | "Z";
      readonly recursive?: "disabled" | "writable" | "readonly";
    }
  | {
      readonly kind: "tmpfs";
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly options?: readonly string[];
    };

export type ContainerNetwork =
  | {
      readonly kind: "networks";
      /** The first is the primary: its gateway is the default route. */
      readonly attachments: readonly {
        readonly networkId: string;
        readonly address: string;
        readonly address6?: string;
        readonly mac: string;
        /** Name of the interface; the engine's choice without one. */
        readonly interfaceName?: string;
      }[];
    }
  | { readonly kind: "host" }
  | { readonly kind: "none" }
  /** Shares the network namespace of another container of its pod. */
  | { readonly kind: "container"; readonly containerId: string };

export interface ContainerState {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly imageId: string;
  readonly phase: "created" | "running" | "paused" | "exited" | "dead";
  /** Host PID of the first process, while running. */
  readonly pid?: number;
  readonly exitCode?: number;
  readonly oomKilled: boolean;
  /** The engine's words when a start failed. */
  readonly error?: string;
  readonly startedAt?: number;
  readonly finishedAt?: number;
}

/** Progress of a pull or build, at most ten a second. */
export interface ImageProgress {
  readonly doneBytes?: number;
  readonly totalBytes?: number;
  readonly line?: string;
}

export interface ImageInfo extends PinnedImage {
  readonly imageId: string;
  readonly sizeBytes: number;
  readonly exposed: readonly number[];
  /** Tags and `name@digest` under which the engine knows it. */
  readonly references: readonly string[];
  /** Labels of the image; what Berth built carries `LABEL_CLUSTER`. */
  readonly labels: Readonly<Record<string, string>>;
  /** When it was made (not pulled), wall time. */
  readonly createdAt?: number;
}

/**
 * What a process wrote at one moment: a whole line with its line break, or, of a line longer than the
 * engine's buffer (16 KiB), a piece without one.
 */
export interface LogChunk {
  readonly stream: "stdout" | "stderr";
  /** Wall time in milliseconds. */
  readonly at: number;
  /**
   * The same to the nanosecond, `2026-01-02T03:04:05.000000006Z`: always 30 characters, so that text order
   * is time order. Positions in a log are made of it.
   */
  readonly stamp: string;
  readonly bytes: Uint8Array;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly privileged?: boolean;
  readonly user?: string;
  readonly workingDir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

/** How a command of a probe or hook is run. */
export interface InsideOptions {
  readonly timeoutMs: number;
  readonly user?: string;
  readonly workingDir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly privileged?: boolean;
  readonly signal?: AbortSignal;
}

/** A running command: a duplex of bytes, its end, its window. */
export interface ExecStream {
  /** Output in order; `stdout` for both with a terminal. */
  output(): AsyncIterable<{ readonly stream: "stdout" | "stderr"; readonly bytes: Uint8Array }>;
  write(bytes: Uint8Array): Promise<void>;
  /** No more input. */
  endInput(): void;
  resize(columns: number, rows: number): Promise<void>;
  /** After the output has ended. */
  exitCode(): Promise<number>;
  /** Gives the stream up (the process may go on: the engine offers no kill). */
  close(): void;
}

/** What the engine says of itself: a container started, ended ... Only containers of ours. */
export interface RuntimeEvent {
  readonly kind: "started" | "exited" | "removed" | "oom";
  readonly containerId: string;
  readonly task?: string;
  /** Of `exited`, where the engine says it. */
  readonly exitCode?: number;
  readonly at: number;
}

export interface ContainerStats {
  readonly containerId: string;
  /** Processor time used since the start, nanoseconds. */
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes?: number;
  readonly pids: number;
  readonly oomKills: number;
  readonly blockReadBytes: number;
  readonly blockWriteBytes: number;
}

/** Tells the login of an image's registry, or that there is none. */
export type RegistryAuthSource = () => Promise<RegistryAuth | undefined>;

/**
 * `undone`: it could not be given its networks before its program began. Nothing of it is left, not even the
 * container; made again, it is started in a way that cannot fail like this.
 */
export type StartOutcome = "started" | "undone";

/**
 * Failures are `ProtocolError`s: `engine_error` (with the engine's status and words in the details),
 * `image_unavailable`, `build_failed`, `not_found`, `claim_taken` (port or name at the engine),
 * `storage_full`, `timed_out`, `unavailable` (the engine does not answer).
 */
export interface Runtime {
  /** Connects if needed, negotiates the version. */
  info(signal?: AbortSignal): Promise<RuntimeInfo>;

  /** Containers with the label of `cluster`. */
  listContainers(cluster: string, signal?: AbortSignal): Promise<readonly ContainerState[]>;
  inspectContainer(idOrName: string, signal?: AbortSignal): Promise<ContainerState | undefined>;
  /** `networks` waits until those of the request are there; called where a creation needs them. */
  createContainer(
    request: ContainerRequest,
    signal?: AbortSignal,
    networks?: () => Promise<void>,
  ): Promise<ContainerState>;
  /** A container that runs already is `started`. */
  startContainer(id: string, signal?: AbortSignal): Promise<StartOutcome>;
  /** Sends the stop signal, waits for the grace, kills. Resolves when it has ended. */
  stopContainer(id: string, graceMs: number, signal?: AbortSignal): Promise<void>;
  killContainer(id: string, killSignal: string, signal?: AbortSignal): Promise<void>;
  /** Kills it if it runs, removes it with its anonymous volumes. Nothing of it runs afterwards. */
  removeContainer(id: string, signal?: AbortSignal): Promise<void>;
  /** Resolves with the state after the end; polls nothing. A container never started has not ended. */
  waitContainer(id: string, signal?: AbortSignal): Promise<ContainerState>;
  exec(id: string, request: ExecRequest, signal?: AbortSignal): Promise<ExecStream>;
  /** Runs a command to its end, for probes and hooks; output bounded to 4 KiB. */
  runInside(
    id: string,
    command: readonly string[],
    options: InsideOptions,
  ): Promise<{ readonly exitCode: number; readonly output: string }>;
  /**
   * Log output from the stamp `since` on (included; everything when absent), then as it comes until the
   * container ends. Ends at once for a container that has ended. Chunks of one stream come in order of
   * their stamps; of two streams nearly so.
   */
  logs(id: string, since: string | undefined, signal: AbortSignal): AsyncIterable<LogChunk>;
  updateLimits(id: string, limits: Resources, signal?: AbortSignal): Promise<void>;
  /** Puts a tar archive into a created container's path. */
  copyInto(id: string, path: string, tar: Uint8Array, signal?: AbortSignal): Promise<void>;

  ensureNetwork(request: NetworkRequest, signal?: AbortSignal): Promise<void>;
  listNetworks(
    cluster: string,
    signal?: AbortSignal,
  ): Promise<readonly { id: string; bridge: string }[]>;
  removeNetwork(id: string, cluster: string, signal?: AbortSignal): Promise<void>;

  ensureVolume(
    request: VolumeRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly created: boolean }>;
  listVolumes(cluster: string, signal?: AbortSignal): Promise<readonly { engineName: string }[]>;
  removeVolume(engineName: string, signal?: AbortSignal): Promise<void>;
  /**
   * Fills an empty volume from a tar archive; does nothing when it has content. A seeding that was cut off
   * is done again from the start: call it before the volume's first container, until it succeeds.
   */
  seedVolume(engineName: string, tar: Uint8Array, signal?: AbortSignal): Promise<void>;

  /** The content of a volume as a tar archive; everything in it lies below `volume/`. */
  readVolume(engineName: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Writes an archive of `readVolume` into a volume. What it was before is not taken away. */
  writeVolume(
    engineName: string,
    archive: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void>;

  /** The image by local content, or nothing. */
  inspectImage(reference: string, signal?: AbortSignal): Promise<ImageInfo | undefined>;
  /** What the registry has under the reference now, without pulling. */
  resolveRemote(
    reference: string,
    auth?: RegistryAuth,
    signal?: AbortSignal,
  ): Promise<{ readonly repoDigest: string }>;
  /** Makes the pinned image present; pulls by digest with progress. Answers its local ID. */
  ensureImage(
    image: PinnedImage,
    options: {
      /** Asked when the image has to be fetched. */
      readonly auth?: RegistryAuthSource;
      readonly onProgress?: (progress: ImageProgress) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<ImageInfo>;
  /** Builds from a tar archive of the context and tags the result `reference`. */
  buildImage(
    reference: string,
    spec: BuildSpec,
    context: AsyncIterable<Uint8Array>,
    options: {
      readonly cluster: string;
      readonly limits: Resources;
      /** Logins at the registries of the images that it builds on. */
      readonly auths?: readonly RegistryAuth[];
      readonly onProgress?: (progress: ImageProgress) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<ImageInfo>;
  /** The archive of a local image, for another node. `not_found` when it is not here. */
  saveImage(imageId: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Takes the image `imageId` from an archive that another node made, and nothing else that may be in it. It
   * is named `reference` where nothing has that name. `image_unavailable` when the archive has another image.
   */
  loadImage(
    archive: AsyncIterable<Uint8Array>,
    wanted: { readonly imageId: string; readonly reference: string },
    signal?: AbortSignal,
  ): Promise<ImageInfo>;
  listImages(signal?: AbortSignal): Promise<readonly ImageInfo[]>;
  removeImage(imageId: string, signal?: AbortSignal): Promise<void>;

  /** From cgroup files, never the Engine's stats call. Missing containers are left out. */
  stats(ids: readonly string[]): Promise<readonly ContainerStats[]>;
  /** Until the signal; reconnects are the caller's: it lists again after each break. */
  events(cluster: string, signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}

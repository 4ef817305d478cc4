/**
 * The runtime port over a Docker Engine (20.10 to 29) or Podman's service, through its socket.
 *
 * It keeps what is about the connection only: the negotiated version, kept sockets, images seen, places of
 * control groups. A container costs one create, one start and one followed log stream. See
 * docs/design/runtime.md.
 */

import { type Clock, systemClock } from "@berth/base";
import {
  type BuildSpec,
  type PinnedImage,
  ProtocolError,
  type RegistryAuth,
  type Resources,
} from "@berth/protocol";
import { attachmentsOfLabels, type DirectAttachment } from "./direct-plan.ts";
import { type DirectEngine, type DirectOptions, DirectStarts } from "./direct-starts.ts";
import { saveImage } from "./docker-archives.ts";
import { buildImage } from "./docker-build.ts";
import { EngineClient } from "./docker-client.ts";
import * as containers from "./docker-containers.ts";
import { followEvents } from "./docker-events.ts";
import { exec, runInside } from "./docker-exec.ts";
import { DockerImages } from "./docker-images.ts";
import { followLogs } from "./docker-logs.ts";
import * as networks from "./docker-networks.ts";
import { DockerSession } from "./docker-session.ts";
import * as volumes from "./docker-volumes.ts";
import {
  type ContainerRequest,
  type ExecRequest,
  type InsideOptions,
  LABEL_CLUSTER,
  type NetworkRequest,
  type Runtime,
  type RuntimeInfo,
  type StartOutcome,
  type VolumeRequest,
} from "./port.ts";

export interface DockerOptions {
  /** `/var/run/docker.sock` by default. */
  readonly socketPath?: string;
  readonly clock?: Clock;
  /** Where the kernel's accounting lies; for tests. */
  readonly cgroupRoot?: string;
  /** The agent gives containers their networks itself, where it can: docs/design/direct-start.md. */
  readonly direct?: DirectOptions;
}

/** Which networks a container is to get when it is started, and by whom. */
interface KnownNetworks {
  readonly cluster: string;
  readonly attachments: readonly DirectAttachment[];
  readonly isDirect: boolean;
}

export const DOCKER_SOCKET_DEFAULT = "/var/run/docker.sock";
/** Containers of which something is remembered since their creation: more than one machine runs. */
const CONTAINERS_REMEMBERED_MAX = 10_000;

/** Connects on first use; makes no call by itself. */
export function dockerRuntime(options: DockerOptions = {}): DockerRuntime {
  return new DockerRuntime(options);
}

export class DockerRuntime implements Runtime {
  readonly #clock: Clock;
  readonly #client: EngineClient;
  readonly #images: DockerImages;
  readonly #session: DockerSession;
  readonly #terminals = new Map<string, boolean>();
  readonly #networks = new Map<string, KnownNetworks>();
  readonly #direct: DirectStarts | undefined;

  constructor(options: DockerOptions) {
    const { clock = systemClock, socketPath = DOCKER_SOCKET_DEFAULT, direct, cgroupRoot } = options;
    this.#clock = clock;
    this.#client = new EngineClient({ socketPath, clock });
    this.#images = new DockerImages(this.#client, clock);
    this.#session = new DockerSession(this.#client, cgroupRoot);
    const places = cgroupRoot === undefined ? { clock } : { clock, cgroupRoot };
    if (direct !== undefined) {
      this.#direct = new DirectStarts(this.#directEngine(), { ...direct, ...places });
    }
  }

  /** Containers with networks are started directly from now on, where nothing forbids it. */
  get startsDirectly(): boolean {
    return this.#direct?.isPossible ?? false;
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.close();
  }

  info(signal?: AbortSignal): Promise<RuntimeInfo> {
    return this.#session.renew(signal);
  }

  async listContainers(cluster: string, signal?: AbortSignal) {
    const client = await this.#ready();
    await this.#direct?.settleDoubts(signal);
    const listed = await containers.listContainers(client, cluster, signal);
    const running = listed.find(({ phase }) => phase === "running");
    if (running !== undefined) this.#direct?.learnFrom(running.id);
    return listed;
  }

  async inspectContainer(idOrName: string, signal?: AbortSignal) {
    const client = await this.#ready();
    await this.#direct?.settleDoubts(signal);
    return containers.inspectContainer(client, idOrName, signal);
  }

  async createContainer(
    request: ContainerRequest,
    signal?: AbortSignal,
    networks?: () => Promise<void>,
  ) {
    const { apiVersion } = await this.#session.info();
    const isDirect = this.#direct?.takes(request) ?? false;
    if (!isDirect) await networks?.();
    try {
      const image = needsImageDefaults(request)
        ? await this.#images.defaultsOf(request.imageId, signal)
        : { entrypoint: [] };
      const options = { apiVersion, image, isDirect, signal };
      const created = await containers.createContainer(this.#client, request, options);
      this.#rememberTerminal(created.id, request.engine.tty ?? false);
      this.#rememberNetworks(created.id, networksOf(created.labels, request));
      return created;
    } catch (error) {
      const missing = error instanceof ProtocolError && error.code === "image_unavailable";
      if (missing) this.#images.forget(request.imageId);
      throw error;
    }
  }

  async startContainer(id: string, signal?: AbortSignal): Promise<StartOutcome> {
    const client = await this.#ready();
    const networks = this.#networks.get(id) ?? (await this.#lookForNetworks(id, signal));
    const container = { id, ...networks };
    if (networks.isDirect && this.#direct !== undefined) {
      await this.#requireFreeAtEngine(container, signal);
      return this.#direct.start(container, signal);
    }
    if (networks.isDirect) {
      // Made by an agent that would have given it its networks; this one does not.
      await containers.removeContainer(client, id, signal);
      return "undone";
    }
    await this.#direct?.requireFree(container);
    await containers.startContainer(client, id, signal);
    this.#direct?.learnFrom(id);
    return "started";
  }

  async stopContainer(id: string, graceMs: number, signal?: AbortSignal) {
    await containers.stopContainer(await this.#ready(), id, graceMs, signal);
  }

  async killContainer(id: string, killSignal: string, signal?: AbortSignal) {
    await containers.killContainer(await this.#ready(), id, killSignal, signal);
  }

  async removeContainer(id: string, signal?: AbortSignal) {
    await containers.removeContainer(await this.#ready(), id, signal);
    this.#direct?.endRest(id);
    this.#terminals.delete(id);
    this.#networks.delete(id);
  }

  async waitContainer(id: string, signal?: AbortSignal) {
    return containers.waitContainer(await this.#ready(), id, signal);
  }

  async exec(id: string, request: ExecRequest, signal?: AbortSignal) {
    return exec(await this.#ready(), this.#clock, id, { ...request, signal });
  }

  async runInside(container: string, command: readonly string[], options: InsideOptions) {
    return runInside(await this.#ready(), this.#clock, { container, command }, options);
  }

  async *logs(id: string, since: string | undefined, signal: AbortSignal) {
    const client = await this.#ready();
    const tty = this.#terminals.get(id) ?? (await this.#lookForTerminal(id));
    yield* followLogs(client, id, { since, tty, signal });
  }

  async updateLimits(id: string, limits: Resources, signal?: AbortSignal) {
    const { cpuMillis: hostCpuMillis } = await this.#session.info();
    await containers.updateLimits(this.#client, id, limits, { hostCpuMillis, signal });
  }

  async copyInto(id: string, path: string, tar: Uint8Array, signal?: AbortSignal) {
    await containers.copyInto(await this.#ready(), id, path, tar, signal);
  }

  async ensureNetwork(request: NetworkRequest, signal?: AbortSignal) {
    await networks.ensureNetwork(await this.#ready(), request, signal);
    const { cluster, id, bridge: name, ...bridge } = request;
    await this.#direct?.noteBridge(cluster, id, { name, ...bridge });
  }

  async listNetworks(cluster: string, signal?: AbortSignal) {
    return networks.listNetworks(await this.#ready(), cluster, signal);
  }

  async removeNetwork(id: string, cluster: string, signal?: AbortSignal) {
    const client = await this.#ready();
    const holders = (await this.#direct?.holdersIn(cluster, id, signal)) ?? [];
    if (holders.length > 0) {
      throw new ProtocolError("still_in_use", `network ${id} is in use`, { id, holders });
    }
    await networks.removeNetwork(client, id, cluster, signal);
    this.#direct?.forgetBridge(cluster, id);
  }

  async ensureVolume(request: VolumeRequest, signal?: AbortSignal) {
    return volumes.ensureVolume(await this.#ready(), request, signal);
  }

  async listVolumes(cluster: string, signal?: AbortSignal) {
    return volumes.listVolumes(await this.#ready(), cluster, signal);
  }

  async removeVolume(engineName: string, signal?: AbortSignal) {
    await volumes.removeVolume(await this.#ready(), engineName, signal);
  }

  async seedVolume(engineName: string, tar: Uint8Array, signal?: AbortSignal) {
    await volumes.seedVolume(await this.#ready(), engineName, tar, signal);
  }

  async readVolume(engineName: string, signal?: AbortSignal) {
    return volumes.readVolume(await this.#ready(), engineName, signal);
  }

  async writeVolume(engineName: string, archive: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    await volumes.writeVolume(await this.#ready(), engineName, archive, signal);
  }

  async inspectImage(reference: string, signal?: AbortSignal) {
    await this.#ready();
    return this.#images.inspect(reference, signal);
  }

  async resolveRemote(reference: string, auth?: RegistryAuth, signal?: AbortSignal) {
    await this.#ready();
    return this.#images.resolveRemote(reference, auth, signal);
  }

  async ensureImage(image: PinnedImage, options: Parameters<Runtime["ensureImage"]>[1]) {
    await this.#ready();
    return this.#images.ensure(image, options);
  }

  async buildImage(
    reference: string,
    spec: BuildSpec,
    context: AsyncIterable<Uint8Array>,
    options: Parameters<Runtime["buildImage"]>[3],
  ) {
    const engine = { client: await this.#ready(), images: this.#images, clock: this.#clock };
    return buildImage(engine, { reference, spec, context }, options);
  }

  async saveImage(imageId: string, signal?: AbortSignal) {
    const client = await this.#ready();
    // The engine's own words for this are about its files.
    if ((await this.#images.inspect(imageId, signal)) === undefined) {
      throw new ProtocolError("not_found", `the engine has no image ${imageId}`, { imageId });
    }
    return saveImage(client, imageId, signal);
  }

  async loadImage(
    archive: AsyncIterable<Uint8Array>,
    wanted: Parameters<Runtime["loadImage"]>[1],
    signal?: AbortSignal,
  ) {
    await this.#ready();
    return this.#images.load(archive, wanted, signal);
  }

  async listImages(signal?: AbortSignal) {
    await this.#ready();
    return this.#images.list(signal);
  }

  async removeImage(imageId: string, signal?: AbortSignal) {
    await this.#ready();
    await this.#images.remove(imageId, signal);
  }

  stats(ids: readonly string[]) {
    return this.#session.stats(ids);
  }

  async *events(cluster: string, signal: AbortSignal) {
    yield* followEvents(await this.#ready(), cluster, signal);
  }

  #directEngine(): DirectEngine {
    const client = this.#client;
    return {
      start: (id, signal) => containers.startContainer(client, id, signal),
      remove: (id, signal) => containers.removeContainer(client, id, signal),
      pidOf: (id) => containers.pidOf(client, id),
      bridgeOf: (cluster, id, signal) => networks.bridgeOf(client, { cluster, id }, signal),
      isPlain: () => this.#session.isPlain(),
      cgroupVersion: async () => (await this.#session.info()).cgroupVersion,
    };
  }

  /** The client, once a version is negotiated. */
  async #ready(): Promise<EngineClient> {
    await this.#session.info();
    return this.#client;
  }

  async #lookForTerminal(id: string): Promise<boolean> {
    const tty = await containers.hasTerminal(this.#client, id);
    this.#rememberTerminal(id, tty);
    return tty;
  }

  /** Directly, an address is taken that the engine may have given to somebody else. */
  async #requireFreeAtEngine(
    { id, cluster, attachments }: KnownNetworks & { readonly id: string },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const wanted = new Set(attachments.map(({ address }) => address));
    for (const [other, networks] of this.#networks) {
      if (networks.isDirect || networks.cluster !== cluster || other === id) continue;
      const address = networks.attachments.find((each) => wanted.has(each.address))?.address;
      if (address === undefined) continue;
      const state = await containers.inspectContainer(this.#client, other, signal);
      if (state === undefined) this.#networks.delete(other);
      if (state?.phase !== "running" && state?.phase !== "paused") continue;
      throw new ProtocolError("claim_taken", `address ${address} is in use`, { address, other });
    }
  }

  async #lookForNetworks(id: string, signal?: AbortSignal): Promise<KnownNetworks> {
    const state = await containers.inspectContainer(this.#client, id, signal);
    const labels = state?.labels ?? {};
    const attachments = attachmentsOfLabels(labels);
    const cluster = labels[LABEL_CLUSTER] ?? "";
    return { cluster, attachments: attachments ?? [], isDirect: attachments !== undefined };
  }

  #rememberNetworks(id: string, networks: KnownNetworks): void {
    if (this.#networks.size >= CONTAINERS_REMEMBERED_MAX) this.#networks.clear();
    this.#networks.set(id, networks);
  }

  #rememberTerminal(id: string, tty: boolean): void {
    if (this.#terminals.size >= CONTAINERS_REMEMBERED_MAX) this.#terminals.clear();
    this.#terminals.set(id, tty);
  }
}

/** Of a container that was made, or found, for `request`. */
function networksOf(
  labels: Readonly<Record<string, string>>,
  { network }: ContainerRequest,
): KnownNetworks {
  const cluster = labels[LABEL_CLUSTER] ?? "";
  const attachments = network.kind === "networks" ? network.attachments : [];
  return { cluster, attachments, isDirect: attachmentsOfLabels(labels) !== undefined };
}

/** An empty command is sent with the image's entrypoint: see `createCall`. */
function needsImageDefaults(request: ContainerRequest): boolean {
  return request.command?.length === 0 && request.entrypoint === undefined;
}

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
import type {
  ContainerRequest,
  ExecRequest,
  InsideOptions,
  NetworkRequest,
  Runtime,
  RuntimeInfo,
  VolumeRequest,
} from "./port.ts";

export interface DockerOptions {
  /** `/var/run/docker.sock` by default. */
  readonly socketPath?: string;
  readonly clock?: Clock;
  /** Where the kernel's accounting lies; for tests. */
  readonly cgroupRoot?: string;
}

export const DOCKER_SOCKET_DEFAULT = "/var/run/docker.sock";
/** Containers of which it is known whether they have a terminal: more than one machine runs. */
const TERMINALS_MAX = 10_000;

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

  constructor(options: DockerOptions) {
    const { clock = systemClock, socketPath = DOCKER_SOCKET_DEFAULT } = options;
    this.#clock = clock;
    this.#client = new EngineClient({ socketPath, clock });
    this.#images = new DockerImages(this.#client, clock);
    this.#session = new DockerSession(this.#client, options.cgroupRoot);
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.close();
  }

  info(signal?: AbortSignal): Promise<RuntimeInfo> {
    return this.#session.renew(signal);
  }

  async listContainers(cluster: string, signal?: AbortSignal) {
    return containers.listContainers(await this.#ready(), cluster, signal);
  }

  async inspectContainer(idOrName: string, signal?: AbortSignal) {
    return containers.inspectContainer(await this.#ready(), idOrName, signal);
  }

  async createContainer(request: ContainerRequest, signal?: AbortSignal) {
    const { apiVersion } = await this.#session.info();
    try {
      const image = needsImageDefaults(request)
        ? await this.#images.defaultsOf(request.imageId, signal)
        : { entrypoint: [] };
      const options = { apiVersion, image, signal };
      const created = await containers.createContainer(this.#client, request, options);
      this.#rememberTerminal(created.id, request.engine.tty ?? false);
      return created;
    } catch (error) {
      const missing = error instanceof ProtocolError && error.code === "image_unavailable";
      if (missing) this.#images.forget(request.imageId);
      throw error;
    }
  }

  async startContainer(id: string, signal?: AbortSignal) {
    await containers.startContainer(await this.#ready(), id, signal);
    return "started" as const;
  }

  async stopContainer(id: string, graceMs: number, signal?: AbortSignal) {
    await containers.stopContainer(await this.#ready(), id, graceMs, signal);
  }

  async killContainer(id: string, killSignal: string, signal?: AbortSignal) {
    await containers.killContainer(await this.#ready(), id, killSignal, signal);
  }

  async removeContainer(id: string, signal?: AbortSignal) {
    await containers.removeContainer(await this.#ready(), id, signal);
    this.#terminals.delete(id);
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
  }

  async listNetworks(cluster: string, signal?: AbortSignal) {
    return networks.listNetworks(await this.#ready(), cluster, signal);
  }

  async removeNetwork(id: string, cluster: string, signal?: AbortSignal) {
    await networks.removeNetwork(await this.#ready(), id, cluster, signal);
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

  #rememberTerminal(id: string, tty: boolean): void {
    if (this.#terminals.size >= TERMINALS_MAX) this.#terminals.clear();
    this.#terminals.set(id, tty);
  }
}

/** An empty command is sent with the image's entrypoint: see `createCall`. */
function needsImageDefaults(request: ContainerRequest): boolean {
  return request.command?.length === 0 && request.entrypoint === undefined;
}

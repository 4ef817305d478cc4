/**
 * The runtime port over a fake host: one agent's connection to its engine.
 *
 * It keeps no state but the connection: what it creates lies in the `FakeHost`. `disconnect` stands for
 * `kill -9` of the agent: what was sent may still take effect, no answer arrives any more. The same contract
 * suite runs against it and against a real engine (`contract.ts`).
 */

import { present } from "@berth/base";
import {
  type BuildSpec,
  type PinnedImage,
  ProtocolError,
  type RegistryAuth,
  type Resources,
} from "@berth/protocol";
import { Channel } from "./channel.ts";
import { archiveOf, contentOf, engineError, inUse, noSuch, once } from "./fake-answers.ts";
import type { FakeContainer } from "./fake-container.ts";
import { type FakeCommandStream, fakeCommandStream } from "./fake-exec.ts";
import { type FakeHost, type FakeOperation, networkKey } from "./fake-host.ts";
import { FakeImages } from "./fake-images.ts";
import {
  type ContainerRequest,
  type ContainerState,
  type ContainerStats,
  type ExecRequest,
  type ExecStream,
  type ImageInfo,
  LABEL_CLUSTER,
  type LogChunk,
  type NetworkRequest,
  type Runtime,
  type RuntimeEvent,
  type RuntimeInfo,
  type StartOutcome,
  type VolumeRequest,
} from "./port.ts";

/** Events that wait for a slow consumer. */
const EVENTS_MAX = 10_000;
/** Output of `runInside` that is kept. */
const OUTPUT_BYTES_MAX = 4_096;

export class FakeRuntime implements Runtime {
  readonly host: FakeHost;
  readonly #images: FakeImages;
  #connected = true;

  constructor(host: FakeHost) {
    this.host = host;
    this.#images = new FakeImages(host);
  }

  /** The agent is killed: no call of it answers any more, no stream says anything. */
  disconnect(): void {
    this.#connected = false;
  }

  info(signal?: AbortSignal): Promise<RuntimeInfo> {
    return this.#call("info", signal, () => ({
      name: "fake",
      version: "1",
      apiVersion: "1",
      os: "linux",
      architecture: "amd64",
      kernel: "fake",
      cgroupVersion: "v2",
      dataRoot: "/var/lib/fake",
      cpuMillis: this.host.cpuMillis,
      memoryBytes: this.host.memoryBytes,
    }));
  }

  listContainers(cluster: string, signal?: AbortSignal): Promise<readonly ContainerState[]> {
    return this.#call("listContainers", signal, () =>
      [...this.host.containers.values()]
        .filter((container) => container.request.labels[LABEL_CLUSTER] === cluster)
        .map((container) => container.state()),
    );
  }

  inspectContainer(idOrName: string, signal?: AbortSignal): Promise<ContainerState | undefined> {
    return this.#call("inspectContainer", signal, () => this.host.findContainer(idOrName)?.state());
  }

  async createContainer(
    request: ContainerRequest,
    signal?: AbortSignal,
    networks?: () => Promise<void>,
  ): Promise<ContainerState> {
    await networks?.();
    return this.#call("createContainer", signal, () => {
      const existing = this.host.findContainer(request.name);
      if (existing !== undefined) return existing.state();
      this.#requireParts(request);
      return this.host.addContainer(request).state();
    });
  }

  startContainer(id: string, signal?: AbortSignal): Promise<StartOutcome> {
    return this.#call("startContainer", signal, () => {
      const container = this.#container(id);
      if (this.host.undoneStarts.delete(container.request.name)) {
        this.host.removeContainer(container);
        return "undone";
      }
      this.#requireAddresses(container);
      const words = container.start();
      if (words !== undefined) throw engineError(`start of container ${id} failed`, words);
      return "started";
    });
  }

  async stopContainer(id: string, graceMs: number, signal?: AbortSignal): Promise<void> {
    const container = await this.#call("stopContainer", signal, () => {
      const found = this.#container(id);
      found.noteStop();
      if (graceMs > 0) found.signal(found.request.engine.stopSignal ?? "SIGTERM");
      return found;
    });
    // The engine, not the agent, sends the kill: it happens even if nobody waits any more.
    const cancel = this.host.clock.setTimer(graceMs, () => {
      if (this.host.engineUp) container.signal("SIGKILL");
    });
    try {
      await this.#until(container, () => !container.running, signal);
    } finally {
      if (!container.running) cancel();
    }
  }

  killContainer(id: string, killSignal: string, signal?: AbortSignal): Promise<void> {
    return this.#call("killContainer", signal, () => this.#container(id).signal(killSignal));
  }

  removeContainer(id: string, signal?: AbortSignal): Promise<void> {
    return this.#call("removeContainer", signal, () => {
      const container = this.host.findContainer(id);
      if (container !== undefined) this.host.removeContainer(container);
    });
  }

  async waitContainer(id: string, signal?: AbortSignal): Promise<ContainerState> {
    const container = await this.#call("waitContainer", signal, () => this.#container(id));
    await this.#until(container, () => container.ended, signal);
    return container.state();
  }

  exec(id: string, request: ExecRequest, signal?: AbortSignal): Promise<ExecStream> {
    return this.#call("exec", signal, () => this.#start(id, request.command, request.environment));
  }

  async runInside(
    id: string,
    command: readonly string[],
    options: { readonly timeoutMs: number; readonly user?: string; readonly signal?: AbortSignal },
  ): Promise<{ readonly exitCode: number; readonly output: string }> {
    const stream = await this.#call("runInside", options.signal, () => this.#start(id, command));
    stream.endInput();
    const { durationMs } = stream;
    await this.host.pause(Math.min(durationMs, options.timeoutMs), options.signal);
    if (durationMs > options.timeoutMs) {
      throw new ProtocolError("timed_out", `${command[0]} in container ${id} took too long`, {
        timeoutMs: options.timeoutMs,
      });
    }
    let output = "";
    for await (const chunk of stream.output()) output += Buffer.from(chunk.bytes).toString();
    return { exitCode: await stream.exitCode(), output: output.slice(0, OUTPUT_BYTES_MAX) };
  }

  async *logs(
    id: string,
    since: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<LogChunk> {
    const container = await this.#call("logs", signal, () => this.#container(id));
    let index = container.logs.findIndex((chunk) => since === undefined || chunk.stamp >= since);
    if (index < 0) index = container.logs.length;
    while (!signal.aborted) {
      const chunk = container.logs[index];
      if (chunk !== undefined) {
        index++;
        yield chunk;
        continue;
      }
      // A created container has not begun: its output is still to come.
      if (container.ended) return;
      const known = index;
      await this.#until(container, () => container.ended || container.logs.length > known, signal);
    }
  }

  updateLimits(id: string, limits: Resources, signal?: AbortSignal): Promise<void> {
    return this.#call("updateLimits", signal, () => {
      this.#container(id).updateLimits(limits);
    });
  }

  copyInto(id: string, path: string, tar: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#call("copyInto", signal, () => {
      this.#container(id).files.set(path, tar);
    });
  }

  ensureNetwork(request: NetworkRequest, signal?: AbortSignal): Promise<void> {
    return this.#call("ensureNetwork", signal, () => {
      this.host.networks.set(networkKey(request.cluster, request.id), request);
    });
  }

  listNetworks(
    cluster: string,
    signal?: AbortSignal,
  ): Promise<readonly { id: string; bridge: string }[]> {
    return this.#call("listNetworks", signal, () =>
      [...this.host.networks.values()]
        .filter((network) => network.cluster === cluster)
        .map(({ id, bridge }) => ({ id, bridge })),
    );
  }

  removeNetwork(id: string, cluster: string, signal?: AbortSignal): Promise<void> {
    return this.#call("removeNetwork", signal, () => {
      const users = [...this.host.containers.values()].filter(
        ({ running, request }) =>
          running &&
          request.labels[LABEL_CLUSTER] === cluster &&
          request.network.kind === "networks" &&
          request.network.attachments.some((attachment) => attachment.networkId === id),
      );
      if (users.length > 0) throw inUse(`network ${id}`, users);
      this.host.networks.delete(networkKey(cluster, id));
    });
  }

  ensureVolume(
    request: VolumeRequest,
    signal?: AbortSignal,
  ): Promise<{ readonly created: boolean }> {
    return this.#call("ensureVolume", signal, () => {
      const existing = this.host.volumes.get(request.engineName);
      if (existing === undefined) {
        this.host.volumes.set(request.engineName, { request, writers: 0 });
        return { created: true };
      }
      if (existing.request.cluster === request.cluster) return { created: false };
      throw new ProtocolError(
        "foreign_cluster",
        `volume ${request.engineName} belongs to cluster ${existing.request.cluster}`,
        { volume: request.engineName, cluster: existing.request.cluster },
      );
    });
  }

  listVolumes(cluster: string, signal?: AbortSignal): Promise<readonly { engineName: string }[]> {
    return this.#call("listVolumes", signal, () =>
      [...this.host.volumes.values()]
        .filter((volume) => volume.request.cluster === cluster)
        .map((volume) => ({ engineName: volume.request.engineName })),
    );
  }

  removeVolume(engineName: string, signal?: AbortSignal): Promise<void> {
    return this.#call("removeVolume", signal, () => {
      const users = [...this.host.containers.values()].filter(({ request }) =>
        request.mounts.some((mount) => mount.kind === "volume" && mount.engineName === engineName),
      );
      if (users.length > 0) throw inUse(`volume ${engineName}`, users);
      this.host.volumes.delete(engineName);
    });
  }

  seedVolume(engineName: string, tar: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#call("seedVolume", signal, () => {
      const volume = this.host.volumes.get(engineName);
      if (volume === undefined) throw noSuch(`volume ${engineName}`);
      if (volume.seed === undefined && volume.writers === 0) volume.seed = tar;
    });
  }

  async readVolume(engineName: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const content = await this.#call("readVolume", signal, () => {
      const volume = this.host.volumes.get(engineName);
      if (volume === undefined) throw noSuch(`volume ${engineName}`);
      return archiveOf(volume);
    });
    return once(content);
  }

  async writeVolume(
    engineName: string,
    archive: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const text = Buffer.concat(await Array.fromAsync(archive)).toString();
    await this.#call("writeVolume", signal, () => {
      const volume = this.host.volumes.get(engineName);
      if (volume === undefined) throw noSuch(`volume ${engineName}`);
      Object.assign(volume, contentOf(text));
    });
  }

  inspectImage(reference: string, signal?: AbortSignal): Promise<ImageInfo | undefined> {
    return this.#call("inspectImage", signal, () => this.#images.find(reference));
  }

  resolveRemote(
    reference: string,
    auth?: RegistryAuth,
    signal?: AbortSignal,
  ): Promise<{ readonly repoDigest: string }> {
    return this.#call("resolveRemote", signal, () => this.#images.resolve(reference, auth));
  }

  async ensureImage(
    image: PinnedImage,
    options: Parameters<Runtime["ensureImage"]>[1],
  ): Promise<ImageInfo> {
    const auth = this.#images.isPresent(image) ? undefined : await options.auth?.();
    const pullMs = this.#images.pullMs(image);
    return this.#call(
      "ensureImage",
      options.signal,
      () => this.#images.ensure(image, auth, options.onProgress),
      pullMs,
    );
  }

  async buildImage(
    reference: string,
    spec: BuildSpec,
    context: AsyncIterable<Uint8Array>,
    options: Parameters<Runtime["buildImage"]>[3],
  ): Promise<ImageInfo> {
    let contextBytes = 0;
    for await (const chunk of context) contextBytes += chunk.length;
    options.onProgress?.({ line: `context of ${contextBytes} bytes` });
    return this.#call("buildImage", options.signal, () =>
      this.#images.build(reference, spec, options.cluster),
    );
  }

  async saveImage(imageId: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const archive = await this.#call("saveImage", signal, () => this.#images.save(imageId));
    return once(archive);
  }

  async loadImage(
    archive: AsyncIterable<Uint8Array>,
    wanted: Parameters<Runtime["loadImage"]>[1],
    signal?: AbortSignal,
  ): Promise<ImageInfo> {
    const bytes = Buffer.concat(await Array.fromAsync(archive));
    return this.#call("loadImage", signal, () => this.#images.load(bytes, wanted));
  }

  listImages(signal?: AbortSignal): Promise<readonly ImageInfo[]> {
    return this.#call("listImages", signal, () => this.#images.list());
  }

  removeImage(imageId: string, signal?: AbortSignal): Promise<void> {
    return this.#call("removeImage", signal, () => {
      const users = [...this.host.containers.values()].filter(
        ({ request }) => request.imageId === imageId,
      );
      if (users.length > 0) throw inUse(`image ${imageId}`, users);
      this.host.images.delete(imageId);
    });
  }

  stats(ids: readonly string[]): Promise<readonly ContainerStats[]> {
    return this.#call("stats", undefined, () =>
      ids.flatMap((id) => this.host.findContainer(id)?.stats() ?? []),
    );
  }

  async *events(cluster: string, signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const channel = new Channel<RuntimeEvent>({
      limit: EVENTS_MAX,
      overflow: () => new ProtocolError("limit_exceeded", "too many events are waiting"),
    });
    const release = [
      this.host.subscribe((event, { request }) => {
        const ours = request.labels[LABEL_CLUSTER] === cluster;
        if (this.#connected && ours) channel.push(event);
      }),
      this.host.onInterrupt((error) => {
        if (this.#connected) channel.fail(error);
      }),
    ];
    const onAbort = () => channel.end();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await this.#call("events", signal, () => undefined);
      yield* channel;
    } finally {
      for (const stop of release) stop();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** A call as the agent sees it; never settles once the agent is dead. */
  async #call<T>(
    operation: FakeOperation,
    signal: AbortSignal | undefined,
    effect: () => T,
    extraMs = 0,
  ): Promise<T> {
    try {
      // A dead agent sends nothing.
      if (!this.#connected) return await new Promise<T>(() => {});
      return await this.host.perform(operation, signal, effect, extraMs);
    } finally {
      if (!this.#connected) await new Promise(() => {});
    }
  }

  /** Resolves once `holds`, which is looked at after each change of the container. */
  async #until(container: FakeContainer, holds: () => boolean, signal?: AbortSignal) {
    const release: (() => void)[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        const look = () => {
          if (holds()) resolve();
        };
        const onAbort = () => reject(signal?.reason);
        release.push(container.watch(look), this.host.onInterrupt(reject));
        signal?.addEventListener("abort", onAbort, { once: true });
        release.push(() => signal?.removeEventListener("abort", onAbort));
        if (signal?.aborted) onAbort();
        look();
      });
    } finally {
      for (const stop of release) stop();
      if (!this.#connected) await new Promise(() => {});
    }
  }

  #container(id: string): FakeContainer {
    const container = this.host.findContainer(id);
    if (container === undefined) throw noSuch(`container ${id}`);
    return container;
  }

  #start(
    id: string,
    command: readonly string[],
    added: Readonly<Record<string, string>> = {},
  ): FakeCommandStream {
    const container = this.#container(id);
    if (!container.running) {
      throw new ProtocolError("conflict", `container ${id} is not running`, { container: id });
    }
    const environment = { ...container.request.environment, ...added };
    const result = this.host.runCommand(container, command, environment) ?? {
      exitCode: 127,
      stdout: `exec: "${command[0]}": executable file not found in $PATH\n`,
    };
    return fakeCommandStream(result);
  }

  #requireParts(request: ContainerRequest): void {
    if (!this.host.images.has(request.imageId)) {
      throw new ProtocolError("image_unavailable", `image ${request.imageId} is not present`, {
        imageId: request.imageId,
      });
    }
    const cluster = request.labels[LABEL_CLUSTER] ?? "";
    if (request.network.kind === "networks") {
      for (const { networkId } of request.network.attachments) {
        const known = this.host.networks.has(networkKey(cluster, networkId));
        if (!known) throw noSuch(`network ${networkId}`);
      }
    }
    for (const mount of request.mounts) {
      if (mount.kind !== "volume" || this.host.volumes.has(mount.engineName)) continue;
      // As the engine does: a volume that is mounted and missing is made.
      this.host.volumes.set(mount.engineName, {
        request: { engineName: mount.engineName, cluster: "", driverOptions: {}, labels: {} },
        writers: 0,
      });
    }
  }

  #requireAddresses(container: FakeContainer): void {
    const { network } = container.request;
    if (network.kind !== "networks" || container.running) return;
    for (const { networkId, address } of network.attachments) {
      const [holder] = this.host.containersAt(networkId, address);
      if (holder === undefined) continue;
      throw new ProtocolError("claim_taken", `address ${address} is in use`, {
        address,
        holder: present(holder, "holder").request.name,
      });
    }
  }
}

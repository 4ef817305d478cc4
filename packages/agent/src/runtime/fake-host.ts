/**
 * A fake machine with a container engine: everything that outlives an agent.
 *
 * Containers, volumes, networks and images belong to the host; engines crash and come back, the power goes
 * off, agents come and go (`FakeRuntime`), all on a given clock and from a given seed. Who used which
 * volume from when to when is recorded, so that a checker can see two writers at once.
 *
 * Every operation takes time before and after its effect: what is cut off in the first half did not happen,
 * in the second half it happened and nobody was told.
 */

import { type CancelTimer, type Clock, type Prng, present } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { exitCodeOf, FakeContainer } from "./fake-container.ts";
import type { FakeCommandResult, FakeProgram } from "./fake-program.ts";
import { type FakeImage, FakeRegistry } from "./fake-registry.ts";
import {
  type ContainerRequest,
  LABEL_TASK,
  type NetworkRequest,
  type Runtime,
  type RuntimeEvent,
  type VolumeRequest,
} from "./port.ts";

/** Names of the port's calls: what latencies and faults are given for. */
export type FakeOperation = keyof Runtime;

/** A container had a volume from one moment to another, on the host's monotonic clock. */
export interface VolumeUse {
  readonly engineName: string;
  readonly container: string;
  readonly task: string | undefined;
  readonly readOnly: boolean;
  readonly fromMs: number;
  /** Absent while it is still in use. */
  toMs?: number;
}

export interface FakeVolume {
  readonly request: VolumeRequest;
  /** The archive that it was seeded with. */
  seed?: Uint8Array;
  /** Starts of containers that could write to it. */
  writers: number;
}

export interface FakeHostOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly name?: string;
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
  readonly registry?: FakeRegistry;
  /** What a container does; runs for ever by default. */
  readonly programOf?: (request: ContainerRequest) => FakeProgram;
  /** What a command inside a container does; by default it succeeds while the container is healthy. */
  readonly commandOf?: (
    container: FakeContainer,
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) => FakeCommandResult | undefined;
  /** Milliseconds that a call takes; `LATENCY_MS` by default. */
  readonly latencyMs?: (operation: FakeOperation) => number;
}

type FakeEventListener = (event: RuntimeEvent, container: FakeContainer) => void;

interface Fault {
  readonly operation: FakeOperation;
  readonly error: ProtocolError;
  readonly afterEffect: boolean;
  left: number;
}

/** What calls take where it matters, as measured with a real engine; all others 2 ms. */
const LATENCY_MS: Partial<Readonly<Record<FakeOperation, number>>> = {
  createContainer: 15,
  startContainer: 180,
  removeContainer: 90,
  ensureNetwork: 30,
  exec: 40,
  runInside: 40,
};
const LATENCY_MS_OTHERS = 2;
/** Uses of volumes that are remembered: more than any simulated run makes. */
const VOLUME_USES_MAX = 1_000_000;

export class FakeHost {
  readonly clock: Clock;
  readonly name: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly registry: FakeRegistry;
  readonly containers = new Map<string, FakeContainer>();
  readonly volumes = new Map<string, FakeVolume>();
  /** By `networkKey`. */
  readonly networks = new Map<string, NetworkRequest>();
  /** Names of containers whose next start answers `undone`, once. */
  readonly undoneStarts = new Set<string>();
  /** Local images by image ID. */
  readonly images = new Map<string, FakeImage>();
  readonly volumeUses: VolumeUse[] = [];
  readonly #options: FakeHostOptions;
  readonly #prng: Prng;
  readonly #openUses = new Map<string, VolumeUse[]>();
  readonly #subscribers = new Set<FakeEventListener>();
  readonly #interrupts = new Set<(error: ProtocolError) => void>();
  #faults: Fault[] = [];
  #faultRate: (operation: FakeOperation) => number = () => 0;
  /** Calls take so many times as long: 1, or more for a host that is overloaded. */
  slowness = 1;
  #engineUp = true;
  #boots = 1;
  #sequence = 0;

  constructor(options: FakeHostOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#prng = options.prng;
    this.name = options.name ?? "fake";
    this.cpuMillis = options.cpuMillis ?? 4_000;
    this.memoryBytes = options.memoryBytes ?? 8 * 1024 ** 3;
    this.registry = options.registry ?? new FakeRegistry({ any: true });
  }

  get engineUp(): boolean {
    return this.#engineUp;
  }

  /** Changes with every boot. */
  get bootId(): string {
    return `${this.name}-boot-${this.#boots}`;
  }

  /** The engine's process dies: calls fail, streams break; containers go on if they `survive`. */
  crashEngine(options: { readonly survive: boolean } = { survive: true }): void {
    this.#engineUp = false;
    const error = engineAway();
    for (const interrupt of [...this.#interrupts]) interrupt(error);
    if (!options.survive) this.#endAll(137);
  }

  restartEngine(): void {
    this.#engineUp = true;
  }

  /** The power goes off: every process is gone at once. What lies on disk stays. */
  powerOff(): void {
    this.crashEngine({ survive: true });
    this.#endAll(255);
  }

  /** Power is back and the engine runs; no container was started. */
  boot(): void {
    this.#boots++;
    this.restartEngine();
  }

  /** The next `count` calls of `operation` fail, before or after they took effect. */
  failNext(
    operation: FakeOperation,
    error: ProtocolError,
    options: { readonly count?: number; readonly afterEffect?: boolean } = {},
  ): void {
    const { count = 1, afterEffect = false } = options;
    this.#faults.push({ operation, error, afterEffect, left: count });
  }

  /** Calls fail by chance, half of them after they took effect. */
  failAtRandom(rate: (operation: FakeOperation) => number): void {
    this.#faultRate = rate;
  }

  /** No faults any more, and no slowness. */
  heal(): void {
    this.#faults = [];
    this.#faultRate = () => 0;
    this.slowness = 1;
  }

  /** By identifier or name. */
  findContainer(idOrName: string): FakeContainer | undefined {
    const found = this.containers.get(idOrName);
    if (found !== undefined) return found;
    for (const container of this.containers.values()) {
      if (container.request.name === idOrName) return container;
    }
    return undefined;
  }

  /** The running container that answers at `address` of a network, directly or through its pod. */
  containersAt(networkId: string, address: string): FakeContainer[] {
    return [...this.containers.values()].filter(
      (container) =>
        container.running &&
        this.#attachmentsOf(container).some(
          (attachment) => attachment.networkId === networkId && attachment.address === address,
        ),
    );
  }

  /** Uses of one volume by different containers that overlap in time and could write. */
  overlappingWriters(): readonly (readonly [VolumeUse, VolumeUse])[] {
    const pairs: [VolumeUse, VolumeUse][] = [];
    const writing = this.volumeUses.filter((use) => !use.readOnly);
    for (const [index, first] of writing.entries()) {
      for (const second of writing.slice(index + 1)) {
        if (first.engineName !== second.engineName || first.container === second.container)
          continue;
        if (second.fromMs < (first.toMs ?? Number.POSITIVE_INFINITY)) pairs.push([first, second]);
      }
    }
    return pairs;
  }

  addContainer(request: ContainerRequest): FakeContainer {
    this.#sequence++;
    const suffix = this.#prng.uint32().toString(16).padStart(8, "0");
    const container = new FakeContainer({
      id: `${this.#sequence.toString(16).padStart(8, "0")}${suffix}`.padEnd(64, "0"),
      pid: 1_000 + this.#sequence,
      request,
      program: this.#options.programOf?.(request) ?? {},
      clock: this.clock,
      onPhase: (changed) => this.#onPhase(changed),
    });
    this.containers.set(container.id, container);
    return container;
  }

  removeContainer(container: FakeContainer): void {
    container.signal("SIGKILL");
    this.containers.delete(container.id);
    this.#publish("removed", container);
  }

  /** What `command` does in `container`; `undefined` when there is no such executable. */
  runCommand(
    container: FakeContainer,
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): FakeCommandResult | undefined {
    const { commandOf } = this.#options;
    if (commandOf !== undefined) return commandOf(container, command, environment);
    return { exitCode: container.healthy() ? 0 : 1, stdout: "" };
  }

  subscribe(listener: FakeEventListener): () => void {
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
  }

  /** Calls `interrupt` when the engine dies, until the returned function is called. */
  onInterrupt(interrupt: (error: ProtocolError) => void): () => void {
    this.#interrupts.add(interrupt);
    return () => this.#interrupts.delete(interrupt);
  }

  /** Runs `effect` in the middle of the time that `operation` takes; see the module comment. */
  async perform<T>(
    operation: FakeOperation,
    signal: AbortSignal | undefined,
    effect: () => T,
    extraMs = 0,
  ): Promise<T> {
    if (!this.#engineUp) throw engineAway();
    const latencyMs = extraMs + this.#latencyOf(operation);
    await this.pause(latencyMs / 2, signal);
    const fault = this.#takeFault(operation);
    if (fault?.afterEffect === false) throw fault.error;
    const result = effect();
    await this.pause(latencyMs / 2, signal);
    if (fault !== undefined) throw fault.error;
    return result;
  }

  /** Waits; rejects when the engine dies or the signal aborts. */
  pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let cancel: CancelTimer = () => {};
      const settle = (finish: () => void) => {
        cancel();
        release();
        signal?.removeEventListener("abort", onAbort);
        finish();
      };
      const onAbort = () => settle(() => reject(signal?.reason));
      const release = this.onInterrupt((error) => settle(() => reject(error)));
      cancel = this.clock.setTimer(ms, () => settle(resolve));
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  #latencyOf(operation: FakeOperation): number {
    if (this.#options.latencyMs !== undefined) return this.#options.latencyMs(operation);
    const meanMs = LATENCY_MS[operation] ?? LATENCY_MS_OTHERS;
    return meanMs * this.slowness * (0.5 + this.#prng.float());
  }

  #takeFault(operation: FakeOperation): Fault | undefined {
    const planned = this.#faults.find((fault) => fault.operation === operation);
    if (planned !== undefined) {
      planned.left--;
      if (planned.left === 0) this.#faults = this.#faults.filter((fault) => fault !== planned);
      return planned;
    }
    const rate = this.#faultRate(operation);
    if (rate === 0 || !this.#prng.chance(rate)) return undefined;
    const error = new ProtocolError("engine_error", `injected fault of ${operation}`, {
      status: 500,
      words: "injected",
    });
    return { operation, error, afterEffect: this.#prng.chance(0.5), left: 1 };
  }

  #endAll(exitCode: number): void {
    for (const container of this.containers.values()) container.end(exitCode);
  }

  #onPhase(container: FakeContainer): void {
    if (container.running) this.#recordUses(container);
    else this.#closeUses(container);
    this.#publish(container.running ? "started" : "exited", container);
  }

  #publish(kind: RuntimeEvent["kind"], container: FakeContainer): void {
    // A dead engine says nothing; whoever listens lists again after the break.
    if (!this.#engineUp) return;
    const { labels } = container.request;
    const task = labels[LABEL_TASK];
    const event: RuntimeEvent = {
      kind,
      containerId: container.id,
      ...(task === undefined ? {} : { task }),
      ...(kind === "exited" ? { exitCode: exitCodeOf(container) } : {}),
      at: this.clock.now(),
    };
    for (const subscriber of [...this.#subscribers]) subscriber(event, container);
  }

  #recordUses(container: FakeContainer): void {
    const open: VolumeUse[] = [];
    for (const mount of container.request.mounts) {
      if (mount.kind !== "volume") continue;
      if (this.volumeUses.length === VOLUME_USES_MAX) this.volumeUses.shift();
      if (!mount.readOnly) present(this.volumes.get(mount.engineName), "mounted volume").writers++;
      const use: VolumeUse = {
        engineName: mount.engineName,
        container: container.id,
        task: container.request.labels[LABEL_TASK],
        readOnly: mount.readOnly,
        fromMs: this.clock.monotonic(),
      };
      open.push(use);
      this.volumeUses.push(use);
    }
    this.#openUses.set(container.id, open);
  }

  #closeUses(container: FakeContainer): void {
    for (const use of this.#openUses.get(container.id) ?? []) use.toMs = this.clock.monotonic();
    this.#openUses.delete(container.id);
  }

  #attachmentsOf(container: FakeContainer) {
    const { network } = container.request;
    if (network.kind === "networks") return network.attachments;
    if (network.kind !== "container") return [];
    const owner = this.findContainer(network.containerId);
    return owner?.request.network.kind === "networks" ? owner.request.network.attachments : [];
  }
}

/** The engine does not answer. */
export function engineAway(): ProtocolError {
  return new ProtocolError("unavailable", "the container engine does not answer", {});
}

/** Networks of two clusters may have one identifier. */
export function networkKey(cluster: string, id: string): string {
  return `${cluster}/${id}`;
}

/** The node's own report: what its host and engine are, and what a person should know about it. */

import type { Driver } from "@berth/base";
import {
  asProtocolError,
  type FloatingPart,
  FORMAT_LEVEL,
  IMAGE_NAMES_TOLD_MAX,
  IMAGES_TOLD_MAX,
  type LocalImage,
  type NodeStatus,
} from "@berth/protocol";
import type { AgentSettings } from "./agent-options.ts";
import type { HostDevices } from "./devices/host-devices.ts";
import type { HostFacts } from "./host-facts.ts";
import type { ImageInfo, Runtime, RuntimeInfo } from "./runtime/port.ts";
import { reserveOf } from "./stats/reserve.ts";
import { UseMeter } from "./stats/use-meter.ts";
import type { Containers } from "./task/containers.ts";

export type Condition = NodeStatus["conditions"][number];

/** New images and builds are refused when less of the disk is free. */
export const DISK_PRESSURE_SHARE = 0.1;
/** The engine is asked about itself at most this often: its answer hardly ever changes. */
const INFO_PERIOD_MS = 60_000;

export interface NodeStatusSource {
  readonly node: string;
  readonly runtime: Pick<Runtime, "info" | "listImages" | "stats">;
  readonly driver: Driver;
  readonly containers: Pick<Containers, "running">;
  readonly host: HostFacts;
  readonly settings: AgentSettings;
  readonly dataDir: string;
  readonly clock: { now(): number; monotonic(): number };
  readonly conditions: () => readonly Condition[];
  /** Where other nodes reach this one, as it was found last. */
  readonly underlay: () => NodeStatus["underlay"];
  /** A bridge of a network of this cluster, by its name. */
  /** Floating addresses that this host may have. */
  readonly floating: () => readonly FloatingPart[];
  readonly isOwnInterface: (name: string) => boolean;
}

export class NodeStatusMaker {
  readonly #source: NodeStatusSource;
  #info: RuntimeInfo | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;
  #devices: HostDevices = { devices: [] };
  readonly #meter: UseMeter;

  constructor(source: NodeStatusSource) {
    this.#source = source;
    const { runtime, clock, driver, containers } = source;
    this.#meter = new UseMeter({ runtime, clock, driver, running: () => containers.running() });
  }

  /** The engine was found reachable or not: asked anew at the next report. */
  forget(): void {
    this.#askedAt = Number.NEGATIVE_INFINITY;
  }

  async make(signal: AbortSignal): Promise<NodeStatus> {
    const { node, host, settings, dataDir, clock, conditions } = this.#source;
    await this.#ask(signal);
    const info = this.#info;
    const underlay = this.#source.underlay();
    const isOurs = this.#source.isOwnInterface;
    const hostRanges = (await host.ranges()).filter((each) => !isOurs(each.interface));
    const disk = await host
      .disk(info?.dataRoot ?? dataDir)
      .catch(() => host.disk(dataDir))
      .catch(() => ({ sizeBytes: 0, freeBytes: 0 }));
    const images = await this.#images(signal);
    const capacity = {
      cpuMillis: info?.cpuMillis ?? 0,
      memoryBytes: info?.memoryBytes ?? 0,
      diskBytes: disk.sizeBytes,
      pids: await host.pidsMax(),
    };
    const { devices } = this.#devices;
    const use = this.#meter.told();
    const held = this.#source
      .floating()
      .map(({ address }) => address.split("/", 1)[0] ?? "")
      .filter((address) => host.hasAddress?.(address) === true)
      .sort();
    return {
      name: node,
      bootId: host.bootId,
      agentVersion: settings.version,
      format: FORMAT_LEVEL,
      platform: { os: info?.os ?? "linux", architecture: info?.architecture ?? "unknown" },
      kernel: info?.kernel ?? "unknown",
      engine: {
        name: info?.name ?? "unknown",
        version: info?.version ?? "unknown",
        apiVersion: info?.apiVersion ?? "unknown",
        reachable: this.#problem === undefined,
        ...(this.#problem === undefined ? {} : { message: this.#problem }),
      },
      capacity,
      reserved: settings.reserved ?? reserveOf(capacity),
      diskFreeBytes: disk.freeBytes,
      diskPressure: disk.freeBytes < disk.sizeBytes * DISK_PRESSURE_SHARE,
      address: settings.address,
      ...(underlay === undefined ? {} : { underlay }),
      ...(hostRanges.length === 0 ? {} : { hostRanges: [...hostRanges] }),
      ...(images === undefined ? {} : { images }),
      ...(devices.length === 0 ? {} : { devices: [...devices] }),
      ...(Object.keys(use).length === 0 ? {} : { use }),
      ...(held.length === 0 ? {} : { floating: held }),
      conditions: [...conditions(), ...deviceConditions(this.#devices)],
      reportedAt: clock.now(),
    };
  }

  /** What others may get from here; nothing while the engine does not answer. */
  async #images(signal: AbortSignal): Promise<LocalImage[] | undefined> {
    if (this.#problem !== undefined) return undefined;
    try {
      return toldImages(await this.#source.runtime.listImages(signal));
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const now = this.#source.clock.monotonic();
    if (now - this.#askedAt < INFO_PERIOD_MS) return;
    this.#devices = await this.#source.host.devices();
    try {
      this.#info = await this.#source.runtime.info(signal);
      this.#problem = undefined;
      this.#askedAt = now;
    } catch (error) {
      signal.throwIfAborted();
      this.#problem = asProtocolError(error).message;
    }
  }
}

/** The newest images, in order of their identifiers: the same images are the same report. */
export function toldImages(images: readonly ImageInfo[]): LocalImage[] {
  return [...images]
    .sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0) || (a.imageId < b.imageId ? -1 : 1))
    .slice(0, IMAGES_TOLD_MAX)
    .sort((a, b) => (a.imageId < b.imageId ? -1 : 1))
    .map(({ imageId, sizeBytes, references }) => ({
      id: imageId,
      sizeBytes,
      names: [...references].sort().slice(0, IMAGE_NAMES_TOLD_MAX),
    }));
}

function deviceConditions({ problem }: HostDevices): Condition[] {
  if (problem === undefined) return [];
  const message = `Declared devices are not used: ${problem}`;
  const advice = "Mend the file; it is read again within a minute (docs/operating/nodes.md).";
  return [{ code: "devices-file", message, advice }];
}

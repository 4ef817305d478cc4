/**
 * Figures of containers from the kernel's files, without asking the engine.
 *
 * A container's control group lies where the engine's cgroup driver and parent say; the usual places are
 * tried first, then the process's own `/proc/<pid>/cgroup`. Found places are remembered until they vanish.
 * Cost: seven small reads a container.
 */

import { readFile, stat } from "node:fs/promises";
import { type CgroupFigures, cgroupPaths, figuresOfV1, figuresOfV2 } from "./cgroup-files.ts";

export interface CgroupReaderOptions {
  readonly version: "v1" | "v2";
  /** `/sys/fs/cgroup` by default. */
  readonly root?: string;
  /** `/proc` by default. */
  readonly procRoot?: string;
  /** The host's process of a container; asked only where the usual places are empty. */
  readonly pidOf: (containerId: string) => Promise<number>;
}

/** Containers whose place is remembered: more than one machine runs. */
const PLACES_MAX = 10_000;

/** Below the root (version 2) or below each controller (version 1). */
const USUAL_PLACES: readonly ((id: string) => string)[] = [
  (id) => `/docker/${id}`,
  (id) => `/system.slice/docker-${id}.scope`,
  (id) => `/machine.slice/libpod-${id}.scope`,
];

export class CgroupReader {
  readonly #version: "v1" | "v2";
  readonly #root: string;
  readonly #procRoot: string;
  readonly #pidOf: (containerId: string) => Promise<number>;
  readonly #places = new Map<string, string>();

  constructor(options: CgroupReaderOptions) {
    this.#version = options.version;
    this.#root = options.root ?? "/sys/fs/cgroup";
    this.#procRoot = options.procRoot ?? "/proc";
    this.#pidOf = options.pidOf;
  }

  /** Figures of a running container; `undefined` when it has no control group. */
  async read(containerId: string): Promise<CgroupFigures | undefined> {
    const known = this.#places.get(containerId);
    const place = known ?? (await this.#find(containerId));
    if (place === undefined) return undefined;
    if (known !== undefined && !(await this.#exists(place))) {
      this.#places.delete(containerId);
      return undefined;
    }
    this.#remember(containerId, place);
    return this.#version === "v1" ? this.#readV1(place) : this.#readV2(place);
  }

  #remember(containerId: string, place: string): void {
    if (this.#places.size >= PLACES_MAX) this.#places.clear();
    this.#places.set(containerId, place);
  }

  async #find(containerId: string): Promise<string | undefined> {
    for (const usual of USUAL_PLACES) {
      const place = usual(containerId);
      if (await this.#exists(place)) return place;
    }
    const pid = await this.#pidOf(containerId);
    if (pid <= 0) return undefined;
    const text = await readText(`${this.#procRoot}/${pid}/cgroup`);
    const paths = cgroupPaths(text ?? "");
    const place = this.#version === "v1" ? paths.get("memory") : paths.get("");
    return place !== undefined && (await this.#exists(place)) ? place : undefined;
  }

  async #exists(place: string): Promise<boolean> {
    const tree = this.#version === "v1" ? `${this.#root}/memory` : this.#root;
    try {
      return (await stat(`${tree}${place}`)).isDirectory();
    } catch {
      return false;
    }
  }

  async #readV1(place: string): Promise<CgroupFigures> {
    const read = (controller: string, file: string) =>
      readText(`${this.#root}/${controller}${place}/${file}`);
    const [usage, memory, limit, memoryStat, oom, pids, io] = await Promise.all([
      read("cpuacct", "cpuacct.usage"),
      read("memory", "memory.usage_in_bytes"),
      read("memory", "memory.limit_in_bytes"),
      read("memory", "memory.stat"),
      read("memory", "memory.oom_control"),
      read("pids", "pids.current"),
      read("blkio", "blkio.throttle.io_service_bytes"),
    ]);
    return figuresOfV1({
      ...given("cpuacctUsage", usage),
      ...given("memoryUsage", memory),
      ...given("memoryLimit", limit),
      ...given("memoryStat", memoryStat),
      ...given("memoryOomControl", oom),
      ...given("pidsCurrent", pids),
      ...given("blkioServiceBytes", io),
    });
  }

  async #readV2(place: string): Promise<CgroupFigures> {
    const read = (file: string) => readText(`${this.#root}${place}/${file}`);
    const [cpu, memory, limit, memoryStat, events, pids, io] = await Promise.all([
      read("cpu.stat"),
      read("memory.current"),
      read("memory.max"),
      read("memory.stat"),
      read("memory.events"),
      read("pids.current"),
      read("io.stat"),
    ]);
    return figuresOfV2({
      ...given("cpuStat", cpu),
      ...given("memoryCurrent", memory),
      ...given("memoryMax", limit),
      ...given("memoryStat", memoryStat),
      ...given("memoryEvents", events),
      ...given("pidsCurrent", pids),
      ...given("ioStat", io),
    });
  }
}

/** The file's text; `undefined` when it cannot be read: its controller may be off. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

function given<Key extends string>(
  key: Key,
  value: string | undefined,
): Partial<Record<Key, string>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<Key, string>>);
}

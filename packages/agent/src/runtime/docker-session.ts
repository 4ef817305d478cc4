/**
 * What is known of the engine at the other end: version, machine, how it accounts.
 *
 * Found out on first use and again by each `renew`, which the agent calls after a break: the engine may have
 * been upgraded meanwhile and refuse the version that it spoke before.
 */

import { CgroupReader } from "../stats/cgroup-reader.ts";
import type { EngineClient } from "./docker-client.ts";
import { pidOf } from "./docker-containers.ts";
import { numberAt, textAt, textsAt } from "./docker-json.ts";
import { API_VERSION_MIN, negotiate } from "./docker-version.ts";
import type { ContainerStats, RuntimeInfo } from "./port.ts";

/** `name=userns`, `name=rootless`: users inside are others than on the host. */
const REMAPPED = /^name=(userns|rootless)/;

export class DockerSession {
  readonly #client: EngineClient;
  readonly #cgroupRoot: string | undefined;
  #info: Promise<RuntimeInfo> | undefined;
  #reader: CgroupReader | undefined;
  #isPlain = false;

  constructor(client: EngineClient, cgroupRoot: string | undefined) {
    this.#client = client;
    this.#cgroupRoot = cgroupRoot;
  }

  /** As last found out. */
  info(): Promise<RuntimeInfo> {
    return this.#info ?? this.renew();
  }

  /** Asks the engine anew. */
  renew(signal?: AbortSignal): Promise<RuntimeInfo> {
    const asking = this.#ask(signal);
    this.#info = asking;
    asking.catch(() => {
      // The next call asks again.
      if (this.#info === asking) this.#info = undefined;
    });
    return asking;
  }

  /** Docker's engine, as root, in the host's user namespace, with runc: as nearly all are. */
  async isPlain(): Promise<boolean> {
    await this.info();
    return this.#isPlain;
  }

  /** Figures of those that run. */
  async stats(ids: readonly string[]): Promise<readonly ContainerStats[]> {
    const reader = await this.#cgroups();
    const found: ContainerStats[] = [];
    for (const containerId of ids) {
      const figures = await reader.read(containerId);
      if (figures !== undefined) found.push({ containerId, ...figures });
    }
    return found;
  }

  async #cgroups(): Promise<CgroupReader> {
    const { cgroupVersion: version } = await this.info();
    const root = this.#cgroupRoot === undefined ? {} : { root: this.#cgroupRoot };
    this.#reader ??= new CgroupReader({ version, ...root, pidOf: (id) => pidOf(this.#client, id) });
    return this.#reader;
  }

  async #ask(signal: AbortSignal | undefined): Promise<RuntimeInfo> {
    const version = await this.#client.unversioned({
      method: "GET",
      path: "/version",
      context: "ask the engine's version",
      signal,
    });
    const max = textAt(version, "ApiVersion") ?? API_VERSION_MIN;
    const apiVersion = negotiate({ max, min: textAt(version, "MinAPIVersion") ?? "1.12" });
    this.#client.useVersion(apiVersion);
    const context = "ask about the engine";
    const info = await this.#client.call({ method: "GET", path: "/info", context, signal });
    const name = platformName(version);
    const isRemapped = textsAt(info, "SecurityOptions").some((text) => REMAPPED.test(text));
    this.#isPlain = name === "docker" && textAt(info, "DefaultRuntime") === "runc" && !isRemapped;
    return {
      name,
      version: textAt(version, "Version") ?? "unknown",
      apiVersion,
      os: textAt(version, "Os") ?? "linux",
      architecture: textAt(version, "Arch") ?? "unknown",
      kernel: textAt(version, "KernelVersion") ?? "unknown",
      cgroupVersion: textAt(info, "CgroupVersion") === "2" ? "v2" : "v1",
      dataRoot: textAt(info, "DockerRootDir") ?? "/var/lib/docker",
      cpuMillis: (numberAt(info, "NCPU") ?? 0) * 1_000,
      memoryBytes: numberAt(info, "MemTotal") ?? 0,
    };
  }
}

/** Podman's service says so among its components. */
function platformName(version: unknown): string {
  return JSON.stringify(version ?? "").includes("Podman Engine") ? "podman" : "docker";
}

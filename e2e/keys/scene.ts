/**
 * What checks of keys look with: the engine's own words, files below /proc, control groups, commands inside.
 *
 * A check names the keys of the stack file that it proves. The checks are data: `tools/key-proofs.test.ts` holds
 * them to the support table, so that no key can be called honoured without one.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { docker } from "../engine.ts";
import type { TaskRow } from "../stack-rows.ts";
import { eventually, type TestPlatform } from "../test-platform.ts";

/** What `docker inspect` says, as far as checks read it. */
export interface Inspected {
  readonly Id: string;
  readonly Path: string;
  readonly Args: readonly string[];
  readonly State: { readonly Pid: number; readonly Running: boolean };
  readonly Config: Readonly<Record<string, unknown>> & {
    readonly Labels: Readonly<Record<string, string>>;
    readonly Env: readonly string[];
  };
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly Readonly<Record<string, unknown>>[];
  readonly NetworkSettings: {
    readonly Networks: Readonly<
      Record<string, { readonly IPAddress: string; readonly MacAddress: string }>
    >;
  };
}

/** One statement about the real thing. */
export interface KeyCheck {
  /** Patterns as in the support table: `services.*.user`. */
  readonly keys: readonly string[];
  /** A sentence, unique in its stack. */
  readonly says: string;
  readonly look: (scene: Scene) => void | Promise<void>;
  /** What the engine is asked for, where a machine may refuse or drop it: `tools/asked-keys.test.ts` sees that it is asked. */
  readonly asks?: KeyAsk;
}

/** Fields of the HostConfig that a service's container is created with. */
export interface KeyAsk {
  readonly service: string;
  readonly host: Readonly<Record<string, unknown>>;
}

/** A stack that is deployed once, and all that is to be found in it. */
export interface KeyStack {
  readonly name: string;
  readonly compose: string;
  /** Files beside it. */
  readonly files?: Readonly<Record<string, string>>;
  /** Variables of the shell that deploys. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly words?: readonly string[];
  /** What a person does before the first deploy; the folder is that of `compose.yaml`. */
  readonly prepare?: (platform: TestPlatform, folder: string) => Promise<void>;
  readonly checks: readonly KeyCheck[];
}

export class Scene {
  readonly platform: TestPlatform;
  readonly stack: string;
  readonly #containers = new Map<string, Inspected>();

  constructor(platform: TestPlatform, stack: string) {
    this.platform = platform;
    this.stack = stack;
  }

  /** The running container of a service with one copy. */
  container(service: string): Inspected {
    const known = this.#containers.get(service);
    if (known !== undefined) return known;
    const [found] = this.containers(service);
    if (found === undefined) throw new Error(`${this.stack}/${service} has no container`);
    this.#containers.set(service, found);
    return found;
  }

  /** Running containers of all copies. */
  containers(service: string): readonly Inspected[] {
    const filters = [`berth.cluster=${this.platform.cluster}`];
    filters.push(`berth.service=default/main/${this.stack}/${service}`);
    const words = filters.flatMap((label) => ["--filter", `label=${label}`]);
    const ids = docker("ps", "-q", "--no-trunc", ...words);
    const each = ids.split("\n").filter((id) => id !== "");
    return each.length === 0 ? [] : (JSON.parse(docker("inspect", ...each)) as Inspected[]);
  }

  /** Output of a command inside, by the engine and not by Berth. */
  inside(service: string, ...argv: readonly string[]): string {
    return docker("exec", this.container(service).Id, ...argv).trimEnd();
  }

  /** As `inside` with a shell; answers the output also when it failed. */
  try(service: string, script: string): string {
    const { Id } = this.container(service);
    return docker("exec", Id, "sh", "-c", `{ ${script}; } 2>&1 || true`).trimEnd();
  }

  /** A file of the first process below /proc, without the zeros between words. */
  proc(service: string, file: string): string {
    const { Pid } = this.container(service).State;
    return readFileSync(`/proc/${Pid}/${file}`, "utf8").replaceAll("\0", " ").trimEnd();
  }

  /** A line of /proc/PID/status: `CapEff`. */
  status(service: string, name: string): string {
    const line = new RegExp(`^${name}:\\s*(.*)$`, "m").exec(this.proc(service, "status"));
    return line?.[1] ?? "";
  }

  /** A file of the container's control group, in whichever version this machine has. */
  cgroup(service: string, controller: string, v1: string, v2: string): string {
    for (const line of this.proc(service, "cgroup").split("\n")) {
      const [, controllers = "", path = ""] = line.split(":");
      const isUnified = controllers === "";
      if (!isUnified && !controllers.split(",").includes(controller)) continue;
      const folder = isUnified ? "/sys/fs/cgroup" : `/sys/fs/cgroup/${controller}`;
      const file = join(folder, path, isUnified ? v2 : v1);
      if (existsSync(file)) return readFileSync(file, "utf8").trim();
    }
    throw new Error(`no control group file ${v1} or ${v2}`);
  }

  /** Rows of `berth ps`. */
  tasks(): Promise<TaskRow[]> {
    return this.platform.json<TaskRow>("ps", this.stack, "--all");
  }

  /** Waits for a log of a service that `pattern` matches. */
  async logged(service: string, pattern: RegExp): Promise<string> {
    let seen = "";
    await eventually(`${service} logs ${pattern}`, async () => {
      seen = await this.platform.must("logs", `${this.stack}/${service}`, "--no-prefix");
      return pattern.test(seen);
    });
    return seen;
  }
}

/** Output of a program of this machine. */
export function host(program: string, ...argv: readonly string[]): string {
  return execFileSync(program, argv, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}

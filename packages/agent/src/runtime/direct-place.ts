/**
 * Where the engine puts control groups of containers, learned from one that runs.
 *
 * The place depends on the engine's cgroup driver, its `cgroup-parent` and the machine's cgroup version; a
 * running container's own `/proc/PID/cgroup` says it for all. A container whose process is not seen, or not
 * where it says, teaches nothing: the engine is on another machine or behind namespaces.
 */

import { existsSync, readFileSync } from "node:fs";
import { cgroupPaths } from "../stats/cgroup-files.ts";

/** Path of the file with a container's processes. */
export type ProcessesPath = (containerId: string) => string;

export interface PlaceOptions {
  readonly version: "v1" | "v2";
  /** `/sys/fs/cgroup` by default. */
  readonly root?: string;
  /** `/proc` by default. */
  readonly procRoot?: string;
}

/** The controller of version 1 whose tree is read: every engine has it, and runc joins it early. */
const CONTROLLER = "memory";

/** What `pid`, the first process of `containerId`, shows; nothing where it cannot be told. */
export function learnPlace(
  containerId: string,
  pid: number,
  options: PlaceOptions,
): ProcessesPath | undefined {
  const { version, root = "/sys/fs/cgroup", procRoot = "/proc" } = options;
  let text: string;
  try {
    text = readFileSync(`${procRoot}/${pid}/cgroup`, "utf8");
  } catch {
    return undefined;
  }
  const own = cgroupPaths(text).get(version === "v1" ? CONTROLLER : "");
  const tree = version === "v1" ? `${root}/${CONTROLLER}` : root;
  if (own === undefined) return undefined;
  const [before, after, ...others] = own.split(containerId);
  if (before === undefined || after === undefined || others.length > 0) return undefined;
  if (!existsSync(`${tree}${own}/cgroup.procs`)) return undefined;
  return (id) => `${tree}${before}${id}${after}/cgroup.procs`;
}

/**
 * Mounts: what a service sees in its file system, and which volumes that makes.
 *
 * A relative path lies on the deploying machine, not on the node. So a file, or a directory that is mounted
 * read-only, becomes a content-addressed object; a directory that may be written becomes a volume, filled
 * once from it. Only absolute paths, and relative ones where `x-berth.bind: host` says so, are the host's.
 */

import type { Mount, VolumeSpec } from "@berth/protocol";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { BindMount, ServiceMount, VolumeMount } from "../model/storage-model.ts";
import { cleanPath } from "../path.ts";
import { parseByteSize } from "../text/byte-size.ts";
import type { ProblemList } from "./compile-problem.ts";
import type { FoundObjects, ObjectWish } from "./file-objects.ts";
import { presentFields } from "./present-fields.ts";
import { anonymousVolumeName, bindVolumeName } from "./volume-name.ts";

/** Relative binds of a service that are the platform's to carry, with the form each needs. */
export function bindWishes(service: ComposeService): ObjectWish[] {
  return (service.volumes ?? []).flatMap((mount): ObjectWish[] => {
    if (mount.type !== "bind" || isHostBind(mount, service)) return [];
    return [{ path: mount.source.path, use: mount.readOnly === true ? "directory" : "seed" }];
  });
}

function isHostBind(mount: BindMount, service: ComposeService): boolean {
  return !mount.source.relative || service.xBerth?.bind === "host";
}

export interface MountContext {
  readonly name: string;
  readonly service: ComposeService;
  readonly objects: FoundObjects;
  readonly problems: ProblemList;
  /** Volumes that mounts make besides the declared ones: filled by `compileMounts`. */
  readonly extraVolumes: Record<string, VolumeSpec>;
  /** Services that may write to a relative bind, by its absolute path. */
  readonly writers: ReadonlyMap<string, string>;
}

/** Who may write to which relative bind; the first service where there are several. */
export function bindWriters(project: ComposeProject): ReadonlyMap<string, string> {
  const writers = new Map<string, string>();
  for (const [name, service] of Object.entries(project.services)) {
    for (const mount of service.volumes ?? []) {
      if (mount.type !== "bind" || mount.readOnly === true || isHostBind(mount, service)) continue;
      if (!writers.has(mount.source.path)) writers.set(mount.source.path, name);
    }
  }
  return writers;
}

export function compileMounts(context: MountContext): Mount[] {
  const mounts = (context.service.volumes ?? []).flatMap((mount, index) =>
    compileMount(mount, ["services", context.name, "volumes", index], context),
  );
  const memory = (context.service.tmpfs ?? []).map((text, index) =>
    tmpfsOf(text, ["services", context.name, "tmpfs", index], context.problems),
  );
  return [...mounts, ...memory];
}

type Path = readonly (string | number)[];

function compileMount(mount: ServiceMount, path: Path, context: MountContext): Mount[] {
  switch (mount.type) {
    case "volume":
      return [volumeMount(mount, context)];
    case "tmpfs":
      return [
        presentFields<Extract<Mount, { kind: "tmpfs" }>>({
          kind: "tmpfs",
          target: mount.target,
          sizeBytes: mount.tmpfs?.sizeBytes,
          mode: mount.tmpfs?.mode,
        }),
      ];
    case "bind":
      return isHostBind(mount, context.service)
        ? [hostMount(mount)]
        : relativeBind(mount, path, context);
    default:
      context.problems.error(path, `mounts of type ${mount.type} are not supported`);
      return [];
  }
}

function volumeMount(mount: VolumeMount, context: MountContext): Mount {
  const volume = mount.source ?? anonymousVolume(mount, context);
  return presentFields<Extract<Mount, { kind: "volume" }>>({
    kind: "volume",
    volume,
    target: mount.target,
    readOnly: mount.readOnly ?? false,
    noCopy: mount.volume?.nocopy,
    subpath: mount.volume?.subpath,
  });
}

/** Each copy gets an anonymous volume of its own, as with Compose; unlike there, it is kept. */
function anonymousVolume(mount: VolumeMount, context: MountContext): string {
  const volume = anonymousVolumeName(context.name, mount.target);
  context.extraVolumes[volume] = {
    mode: "exclusive",
    perCopy: true,
    driverOptions: {},
    labels: {},
  };
  return volume;
}

type HostMount = Extract<Mount, { kind: "host" }>;

function hostMount(mount: BindMount): Mount {
  return presentFields<HostMount>({
    kind: "host",
    source: mount.source.path,
    target: mount.target,
    readOnly: mount.readOnly ?? false,
    createIfMissing: mount.bind?.createHostPath,
    propagation: mount.bind?.propagation,
    selinux: mount.bind?.selinux,
    recursive: recursiveOf(mount.bind?.recursive),
  });
}

/** `enabled` is what engines do by themselves. */
function recursiveOf(word: string | undefined): HostMount["recursive"] {
  return word === "disabled" || word === "writable" || word === "readonly" ? word : undefined;
}

function relativeBind(mount: BindMount, path: Path, context: MountContext): Mount[] {
  const { problems, objects } = context;
  const { source, target } = mount;
  if (source.escapesProject) {
    problems.error(
      path,
      `"${source.original}" lies outside the project's directory; copy it inside, or give the host's path with x-berth.bind: host`,
    );
    return [];
  }
  const found = objects.get(source.path) ?? { kind: "missing" };
  if (found.kind === "file") {
    if (mount.readOnly !== true) {
      problems.warn(
        path,
        `"${source.original}" is carried to the node as it is now, read-only: what the container writes to it is lost`,
      );
    }
    const { digest, mode } = found;
    return [{ kind: "object", digest, form: "file", target, mode }];
  }
  if (found.kind === "directory" && mount.readOnly === true) {
    const writer = context.writers.get(source.path);
    if (writer !== undefined) {
      problems.warn(
        path,
        `"${source.original}" is carried to the node as it is now: what ${writer} writes to it is not seen here; use a named volume for both`,
      );
    }
    return [{ kind: "object", digest: found.digest, form: "directory", target }];
  }
  return [seededVolume(mount, path, context)];
}

function seededVolume(mount: BindMount, path: Path, context: MountContext): Mount {
  const { source, target } = mount;
  const found = context.objects.get(source.path) ?? { kind: "missing" };
  const volume = bindVolumeName(cleanPath(source.original));
  const seeded = found.kind === "directory" ? "filled once from the directory, " : "";
  context.problems.warn(
    path,
    `"${source.original}" becomes the volume "${volume}" on the service's node, ${seeded}never overwritten (x-berth.bind: host takes the host's own path)`,
  );
  context.extraVolumes[volume] = presentFields<VolumeSpec>({
    mode: "exclusive",
    perCopy: false,
    driver: undefined,
    driverOptions: {},
    external: undefined,
    seedDigest: found.kind === "directory" ? found.digest : undefined,
    labels: {},
  });
  return { kind: "volume", volume, target, readOnly: mount.readOnly ?? false };
}

/** `/run:size=64m,mode=1770` */
function tmpfsOf(text: string, path: Path, problems: ProblemList): Mount {
  const [target = "", options = ""] = text.split(":");
  let sizeBytes: number | undefined;
  let mode: number | undefined;
  const further: string[] = [];
  for (const option of options.split(",").filter((word) => word !== "")) {
    const [key = "", value = ""] = option.split("=");
    if (key === "size" && parseByteSize(value) !== undefined) sizeBytes = parseByteSize(value);
    else if (key === "mode" && /^[0-7]{1,4}$/.test(value)) mode = Number.parseInt(value, 8);
    else if (TMPFS_OPTIONS.has(key) || /^size=\d+%$/.test(option)) further.push(option);
    else if (!TMPFS_DEFAULTS.has(key)) {
      problems.error(path, `"${option}" is no option of a file system in memory`);
    }
  }
  return presentFields<Extract<Mount, { kind: "tmpfs" }>>({
    kind: "tmpfs",
    target,
    sizeBytes,
    mode,
    options: further.length === 0 ? undefined : further,
  });
}

/** Options that are the default anyway. */
const TMPFS_DEFAULTS: ReadonlySet<string> = new Set(["rw", "nosuid", "nodev", "noexec"]);
/** Options that the engine takes besides size and mode; the kernel refuses what is wrong about them. */
const TMPFS_OPTIONS: ReadonlySet<string> = new Set(
  ["ro", "exec", "suid", "dev", "uid", "gid", "nr_inodes", "nr_blocks"].concat(
    ["async", "sync", "dirsync", "atime", "noatime", "diratime", "nodiratime"],
    ["relatime", "norelatime", "strictatime", "nostrictatime", "mand", "nomand"],
    ["rprivate", "private", "rshared", "shared", "rslave", "slave", "huge", "mpol"],
  ),
);

/** The volumes that the file declares. */
export function compileVolumes(
  project: ComposeProject,
  problems: ProblemList,
): Record<string, VolumeSpec> {
  return Object.fromEntries(
    Object.entries(project.volumes).map(([key, volume]) => {
      const shared = volume.xBerth?.mode === "shared";
      if (volume.external !== true && volume.name !== `${project.name}_${key}`) {
        problems.warn(
          ["volumes", key, "name"],
          `is not used: other stacks find it as ${project.name}_${key}`,
        );
      }
      if (volume.external === true && volume.name === undefined) {
        problems.error(["volumes", key], "an external volume needs a name");
      }
      return [
        key,
        presentFields<VolumeSpec>({
          mode: shared ? "shared" : "exclusive",
          perCopy: volume.xBerth?.perCopy ?? false,
          driver: volume.driver === "local" ? undefined : volume.driver,
          driverOptions: volume.driverOpts ?? {},
          external: volume.external === true ? { name: volume.name ?? key } : undefined,
          seedDigest: undefined,
          labels: volume.labels ?? {},
        }),
      ];
    }),
  );
}

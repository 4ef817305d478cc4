/**
 * Volumes, configs and secrets in the model: what a stack declares, and how a service mounts them.
 */

import type { Extensions } from "../codec/extension.ts";
import type { VolumeWishes } from "./berth-model.ts";

/** A path of the host that the file names. */
export interface HostPath {
  /** Absolute and clean: relative ones are resolved against the directory of their file's project. */
  readonly path: string;
  /** The absolute path, where `path` was left as it is written (`--no-path-resolution`). */
  readonly resolved?: string;
  /** As it was written, after interpolation. */
  readonly original: string;
  /** The file says it relative to itself: the platform uploads such paths as file objects. */
  readonly relative: boolean;
  /** Relative and outside the project's directory (`../secrets`): for the platform's policy to refuse. */
  readonly escapesProject: boolean;
}

/** A volume of the stack. */
export interface ComposeVolume {
  /** The name outside the stack: written, or `<project>_<key>`, or the key when external. */
  readonly name?: string;
  readonly driver?: string;
  readonly driverOpts?: Readonly<Record<string, string>>;
  /** The host path behind `driver_opts: {o: bind, device: ...}`, which makes a bind of the volume. */
  readonly bindDevice?: HostPath;
  readonly external?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  /** What `x-berth` of the volume wishes. */
  readonly xBerth?: VolumeWishes;
  readonly extensions?: Extensions;
}

/** A config or a secret of the stack. */
export interface ComposeFileObject {
  readonly name?: string;
  /** Where the content comes from on the machine that deploys. */
  readonly file?: HostPath;
  /** The environment variable that holds the content. */
  readonly environment?: string;
  /** The content: written in the file, or the value of `environment` where it is set. */
  readonly content?: string;
  readonly external?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly driver?: string;
  readonly driverOpts?: Readonly<Record<string, string>>;
  readonly templateDriver?: string;
  readonly extensions?: Extensions;
}

/** A service's use of a config or secret. */
export interface FileReference {
  /** Key of the config or secret in the stack. */
  readonly source: string;
  /** Path in the container; absent: `/<source>` for configs, `/run/secrets/<source>` for secrets. */
  readonly target?: string;
  readonly uid?: string;
  readonly gid?: string;
  /** Permission bits. */
  readonly mode?: number;
  readonly extensions?: Extensions;
}

interface MountBase {
  /** Path in the container, clean. */
  readonly target: string;
  readonly readOnly?: boolean;
  readonly consistency?: string;
  readonly extensions?: Extensions;
}

/** A path of the host. */
export interface BindMount extends MountBase {
  readonly type: "bind";
  readonly source: HostPath;
  readonly bind?: BindOptions;
}

/** A volume, or an anonymous one. */
export interface VolumeMount extends MountBase {
  readonly type: "volume";
  /** Key of the volume in the stack; absent for an anonymous one. */
  readonly source?: string;
  readonly volume?: VolumeOptions;
  /** SELinux and propagation words of a short form. */
  readonly bind?: BindOptions;
}

/** A file system in memory. */
export interface TmpfsMount extends MountBase {
  readonly type: "tmpfs";
  readonly tmpfs?: TmpfsOptions;
}

/** Kinds that only other platforms know. */
export interface OtherMount extends MountBase {
  readonly type: "npipe" | "cluster" | "image";
  readonly source?: string;
  readonly image?: ImageMountOptions;
}

/** One mount of a service. */
export type ServiceMount = BindMount | VolumeMount | TmpfsMount | OtherMount;

export interface BindOptions {
  readonly selinux?: "z" | "Z";
  readonly propagation?: string;
  /** Make the path on the host when it is missing; true in the short form. */
  readonly createHostPath?: boolean;
  readonly recursive?: string;
  readonly extensions?: Extensions;
}

export interface VolumeOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** Do not copy the image's files into a new volume. */
  readonly nocopy?: boolean;
  readonly subpath?: string;
  readonly extensions?: Extensions;
}

export interface TmpfsOptions {
  readonly sizeBytes?: number;
  /** Permission bits. */
  readonly mode?: number;
  readonly extensions?: Extensions;
}

export interface ImageMountOptions {
  readonly subpath?: string;
  readonly extensions?: Extensions;
}

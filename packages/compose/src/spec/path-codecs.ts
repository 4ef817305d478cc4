/**
 * Paths of the host in a stack file: resolved against the directory of the file's project, `~` against the home.
 */

import { type Codec, type Reading, refuse } from "../codec/codec.ts";
import { text } from "../codec/scalar-codecs.ts";
import type { BuildContext } from "../model/deploy-model.ts";
import type { HostPath } from "../model/storage-model.ts";
import {
  cleanPath,
  expandHome,
  isWindowsPath,
  isWithin,
  relativePath,
  resolvePath,
} from "../path.ts";
import type { Origin, Tree } from "../tree/tree.ts";

/** What `written` in the file of `origin` means. */
export function hostPathOf(written: string, origin: Origin, reading: Reading): HostPath {
  if (!reading.resolvePaths) {
    const resolved = resolvePath(origin.source.baseDirectory, expandHome(written, reading.home));
    const path = unresolvedPath(written, origin, reading.projectDirectory, reading.home);
    return { path, resolved, original: written, relative: true, escapesProject: false };
  }
  const expanded = expandHome(written, reading.home);
  const relative = !expanded.startsWith("/") && !isWindowsPath(expanded);
  // Absolute paths stay as they are written: only the engine knows what `..` means behind a link.
  const path = relative ? resolvePath(origin.source.baseDirectory, expanded) : expanded;
  const escapesProject = relative && !isWithin(reading.projectDirectory, path);
  return { path, original: written, relative, escapesProject };
}

/**
 * What stands for a path where paths are not resolved: what is written, in the project's own files. Files that these name have their paths
 * said from the project's directory, or nobody could tell what they are relative to.
 */
export function unresolvedPath(
  written: string,
  { source }: Origin,
  directory: string,
  home: string | undefined,
): string {
  if (source.isReferenced !== true) return written;
  const expanded = expandHome(written, home);
  if (expanded.startsWith("/") || isWindowsPath(expanded)) return expanded;
  return relativePath(directory, resolvePath(source.baseDirectory, expanded));
}

/** A path of the host. */
export const hostPath: Codec<HostPath> = {
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    if (written === undefined) return undefined;
    if (written !== "") return hostPathOf(written, tree, reading);
    return refuse(reading, tree, path, { found: "is empty", expected: "a path" });
  },
  print: (value) => value.path,
  schema: { type: "string" },
};

const REMOTE_PREFIXES = [
  "https://",
  "http://",
  "git://",
  "ssh://",
  "github.com/",
  "git@",
  "service:",
];

/** Whether a build context is fetched by the builder; every other one is a path of the host. */
export function isRemoteContext(written: string): boolean {
  return written.includes("://") || REMOTE_PREFIXES.some((prefix) => written.startsWith(prefix));
}

/** A build context from its text. */
export function buildContextOf(written: string, tree: Tree, reading: Reading): BuildContext {
  if (isRemoteContext(written)) return { kind: "remote", url: written };
  const directory = hostPathOf(written === "" ? "." : written, tree, reading);
  return { kind: "local", directory: { ...directory, original: written } };
}

/** A directory or a remote context of a build. */
export const buildContext: Codec<BuildContext> = {
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    return written === undefined ? undefined : buildContextOf(written, tree, reading);
  },
  // The reference leaves an empty text (a variable that is not set) as it is, and builds here.
  print(value) {
    if (value.kind === "remote") return value.url;
    return value.directory.original === "" ? "" : value.directory.path;
  },
  schema: { type: "string" },
};

/** A path in a container, without `.` and `..`. */
export function containerPath(path: string): string {
  return path === "" ? "" : cleanPath(path);
}

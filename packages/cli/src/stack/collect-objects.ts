/**
 * Reads what a stack file says by relative path, as content: files as they are, directories as tar
 * archives. Equal content gives equal digests on every machine: names are sorted, times and owners left out.
 *
 * Nothing larger than the limit of its use is read into memory, and links that leave the directory are kept
 * as links: they never pull in what lies outside.
 */

import { createHash } from "node:crypto";
import {
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import dockerignore from "@balena/dockerignore";
import { formatBytes } from "@berth/base";
import {
  type FoundObject,
  type ObjectWish,
  objectBytesMax,
} from "@berth/compose/stack/file-objects";
import { ProtocolError } from "@berth/protocol";
import { pack } from "tar-stream";

/** A thing to upload. */
export interface CollectedObject {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface Collection {
  readonly found: ReadonlyMap<string, FoundObject>;
  /** By digest. */
  readonly objects: ReadonlyMap<string, CollectedObject>;
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** @throws ProtocolError `limit_exceeded` with the path, its size and the limit. */
export async function collectObjects(wishes: readonly ObjectWish[]): Promise<Collection> {
  const found = new Map<string, FoundObject>();
  const objects = new Map<string, CollectedObject>();
  for (const wish of wishes) {
    if (found.has(wish.path)) continue;
    found.set(wish.path, await collect(wish, objects));
  }
  return { found, objects };
}

async function collect(
  wish: ObjectWish,
  objects: Map<string, CollectedObject>,
): Promise<FoundObject> {
  const stats = lstatOrMissing(wish.path);
  if (stats === undefined) return { kind: "missing" };
  const isDirectory = stats.isDirectory();
  const use = isDirectory || wish.use === "config" || wish.use === "secret" ? wish.use : "file";
  const bytes = isDirectory
    ? await archive(wish.path, { ...wish, use })
    : readLimited(wish.path, stats.size, objectBytesMax(use));
  const digest = digestOf(bytes);
  // Secrets travel inside the request, encrypted at rest; they never become blobs.
  if (wish.use !== "secret") objects.set(digest, { digest, bytes });
  const sizeBytes = bytes.length;
  return isDirectory
    ? { kind: "directory", digest, sizeBytes }
    : { kind: "file", digest, sizeBytes, mode: stats.mode & 0o777 };
}

function lstatOrMissing(path: string): Stats | undefined {
  try {
    const own = lstatSync(path);
    const stats = own.isSymbolicLink() ? followed(path) : own;
    if (stats.isFile() || stats.isDirectory()) return stats;
    throw new ProtocolError("invalid_request", `${path} is neither a file nor a directory`, {
      path,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** A link to something beside it is what it points to; others could carry anything of this machine away. */
function followed(path: string): Stats {
  const target = realpathSync(path);
  if (!target.startsWith(`${realpathSync(dirname(path))}/`)) {
    const message = `${path} is a link out of its folder, to ${target}; name that, or copy it`;
    throw new ProtocolError("invalid_request", message, { path, target });
  }
  return statSync(path);
}

function readLimited(path: string, sizeBytes: number, bytesMax: number): Buffer {
  if (sizeBytes > bytesMax) throw tooLarge(path, sizeBytes, bytesMax);
  return readFileSync(path);
}

function tooLarge(path: string, sizeBytes: number, bytesMax: number): ProtocolError {
  const message = `${path} has ${formatBytes(sizeBytes)}; at most ${formatBytes(bytesMax)} can be carried this way`;
  return new ProtocolError("limit_exceeded", message, { path, sizeBytes, bytesMax });
}

async function archive(directory: string, wish: ObjectWish): Promise<Buffer> {
  const bytesMax = objectBytesMax(wish.use);
  const tar = pack();
  const chunks: Buffer[] = [];
  const done = (async () => {
    for await (const chunk of tar) chunks.push(chunk as Buffer);
  })();
  let total = 0;
  for (const path of filesOf(directory, wish.use === "context")) {
    const stats = lstatSync(join(directory, path));
    total += stats.isFile() ? stats.size : 0;
    if (total > bytesMax) throw tooLarge(directory, total, bytesMax);
    addEntry(tar, directory, path, stats);
  }
  tar.finalize();
  await done;
  return Buffer.concat(chunks);
}

function addEntry(tar: ReturnType<typeof pack>, directory: string, path: string, stats: Stats) {
  const common = { name: path, mode: stats.mode & 0o7777, mtime: new Date(0) };
  if (stats.isDirectory()) tar.entry({ ...common, type: "directory" });
  else if (stats.isSymbolicLink()) {
    const linkname = readlinkSync(join(directory, path));
    tar.entry({ ...common, type: "symlink", linkname });
  } else if (stats.isFile()) tar.entry({ ...common }, readFileSync(join(directory, path)));
}

/** Paths below `directory`, sorted, directories before what is in them. */
function filesOf(directory: string, isContext: boolean): string[] {
  const ignored = isContext ? ignoreOf(directory) : () => false;
  const paths: string[] = [];
  const visit = (folder: string) => {
    const entries = readdirSync(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = relative(directory, join(folder, entry.name));
      // An ignored directory may contain what a later `!` line takes back: it is entered all the same.
      if (!ignored(path)) paths.push(path);
      if (entry.isDirectory()) visit(join(folder, entry.name));
    }
  };
  visit(directory);
  return paths;
}

const BUILD_FILE = /(^|\/)(\.dockerignore|[^/]*Dockerfile[^/]*)$/;

/** `.dockerignore` of a build context, by Docker's rules. */
function ignoreOf(directory: string): (path: string) => boolean {
  try {
    const rules = dockerignore
      .default()
      .add(readFileSync(join(directory, ".dockerignore"), "utf8"));
    // The builder needs them, whatever the rules say (as with Docker).
    return (path) => !BUILD_FILE.test(path) && rules.ignores(path);
  } catch {
    return () => false;
  }
}

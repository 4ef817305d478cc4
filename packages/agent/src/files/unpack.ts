/**
 * Unpacks a directory object. The archive comes from a user: no entry of it may touch anything outside of
 * the target, by its name, through a link, or as a device.
 */

import { createReadStream, createWriteStream } from "node:fs";
import { chmod, link, lstat, mkdir, symlink } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { ProtocolError } from "@berth/protocol";
import { extract, type Header } from "tar-stream";

/** Entries of one archive: a checked-out repository of assets; more would be a build context. */
export const ENTRIES_MAX = 50_000;

const MODE_MASK = 0o777;

/** Unpacks `archive` below `target`, an empty directory. Throws `invalid_request` at the first bad entry. */
export async function unpack(archive: string, target: string, signal: AbortSignal): Promise<void> {
  const entries = createReadStream(archive).pipe(extract());
  let count = 0;
  try {
    for await (const entry of entries) {
      signal.throwIfAborted();
      if (++count > ENTRIES_MAX) throw refused("the archive", `has over ${ENTRIES_MAX} entries`);
      const { header } = entry;
      const path = await placeOf(target, header.name);
      // Its type is of another stream library; it is read like any other.
      const bytes = entry as unknown as AsyncIterable<Uint8Array>;
      await makeEntry(target, path, header, bytes);
      entry.resume();
    }
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    signal.throwIfAborted();
    throw new ProtocolError("invalid_request", "the archive is broken", {}, { cause: error });
  }
}

async function makeEntry(
  root: string,
  path: string,
  header: Header,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const mode = (header.mode ?? 0o644) & MODE_MASK;
  switch (header.type) {
    case "directory":
      await mkdir(path, { recursive: true });
      return await chmod(path, mode | 0o700);
    case "file":
    case "contiguous-file":
      await mkdir(dirname(path), { recursive: true });
      await pipeline(bytes, createWriteStream(path, { flags: "wx", mode }));
      return await chmod(path, mode);
    case "symlink": {
      const linked = header.linkname ?? "";
      // Inside the container the link is followed there, so only its words count: no way up past the root.
      safeName(posix.join(posix.dirname(header.name), linked), header.name, linked);
      await mkdir(dirname(path), { recursive: true });
      return await symlink(linked, path);
    }
    case "link":
      await mkdir(dirname(path), { recursive: true });
      return await link(await placeOf(root, header.linkname ?? ""), path);
    default:
      throw refused(header.name, `is a ${header.type ?? "thing of an unknown kind"}`);
  }
}

/** Where an entry lies below `root`; refused when any folder on the way is a link. */
async function placeOf(root: string, name: string): Promise<string> {
  const safe = safeName(name, name);
  const parts = safe.split("/").slice(0, -1);
  let folder = root;
  for (const part of parts) {
    folder = join(folder, part);
    const found = await lstat(folder).catch(() => undefined);
    if (found === undefined) break;
    if (!found.isDirectory()) throw refused(name, "lies behind a link or a file");
  }
  const path = join(root, safe);
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink()) throw refused(name, "is there already, as a link");
  return path;
}

/** `name` without `.` and trailing slashes; refused when it leaves the archive's root. */
function safeName(name: string, entry: string, linked?: string): string {
  const plain = posix.normalize(name).replace(/\/+$/, "");
  const leaves = plain === ".." || plain.startsWith("../") || plain.startsWith("/");
  if (leaves || name.includes("\0") || linked?.startsWith("/")) {
    throw refused(entry, "leads out of the archive");
  }
  return plain === "" ? "." : plain;
}

function refused(entry: string, why: string): ProtocolError {
  return new ProtocolError("invalid_request", `entry ${entry} ${why}`, { entry });
}

/**
 * A folder in memory for secrets and configs: nothing of them reaches a disk in clear.
 *
 * On most hosts the runtime folder (/run) is in memory already. Where it is not, a tmpfs of our own is
 * mounted on it; where that is not permitted, the folder is used all the same and a person is told.
 */

import { execFile } from "node:child_process";
import { chmod, mkdir, statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { MIB } from "@berth/base";

const TMPFS_MAGIC = 0x0102_1994;
const RAMFS_MAGIC = 0x8584_58f6;
/** Secrets are at most 500 KB each: room for a hundred large ones. */
const SIZE_BYTES = 64 * MIB;
const MOUNT_TIMEOUT_MS = 5_000;

export interface MemoryFolder {
  readonly path: string;
  /** Why it is not in memory, when it is not. */
  readonly problem?: string;
}

/** Makes `path` (0700), in memory if at all possible. */
export async function memoryFolder(path: string): Promise<MemoryFolder> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  if (await isInMemory(path)) return { path };
  const options = `size=${SIZE_BYTES},mode=0700,nosuid,nodev`;
  try {
    await promisify(execFile)("mount", ["-t", "tmpfs", "-o", options, "berth-files", path], {
      timeout: MOUNT_TIMEOUT_MS,
    });
  } catch (error) {
    const words = error instanceof Error ? error.message.trim() : String(error);
    return { path, problem: `${path} is on a disk and no tmpfs could be mounted: ${words}` };
  }
  return { path };
}

async function isInMemory(path: string): Promise<boolean> {
  const { type } = await statfs(path);
  return type === TMPFS_MAGIC || type === RAMFS_MAGIC;
}

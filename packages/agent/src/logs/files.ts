/**
 * The few file operations that stored logs need, as a port: the disk in production, memory in tests and
 * simulation.
 *
 * Paths are relative, with slashes. `append` is the only way in which a file grows; after a crash a prefix of
 * what was appended last may be there.
 */

import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat, truncate } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";

export interface LogFiles {
  /** Every file, in no particular order. */
  list(): Promise<readonly { readonly path: string; readonly bytes: number }[]>;
  /** Makes the file and its folders when they are missing. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Up to `length` bytes from `offset`; empty at the end and for a file that is gone. */
  read(path: string, offset: number, length: number): Promise<Buffer>;
  truncate(path: string, bytes: number): Promise<void>;
  /** Removes it and folders that become empty. */
  remove(path: string): Promise<void>;
  /** Nothing more will be appended to it. */
  close(path: string): Promise<void>;
}

/** Files kept open for appending: one for each running task of a large machine. */
const HANDLES_MAX = 1_000;
/** Output of tasks may hold what is nobody else's business. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** Files below `directory`. */
export class DiskLogFiles implements LogFiles {
  readonly #directory: string;
  readonly #handles = new Map<string, FileHandle>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async list(): Promise<readonly { readonly path: string; readonly bytes: number }[]> {
    await mkdir(this.#directory, { recursive: true, mode: FOLDER_MODE });
    const entries = await readdir(this.#directory, { recursive: true, withFileTypes: true });
    const files: { path: string; bytes: number }[] = [];
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const full = join(entry.parentPath, entry.name);
      const path = relative(this.#directory, full).split(sep).join("/");
      files.push({ path, bytes: (await stat(full)).size });
    }
    return files;
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    const handle = this.#handles.get(path) ?? (await this.#open(path));
    let written = 0;
    while (written < bytes.length) {
      written += (await handle.write(bytes, written)).bytesWritten;
    }
  }

  async read(path: string, offset: number, length: number): Promise<Buffer> {
    let handle: FileHandle;
    try {
      handle = await open(this.#full(path), "r");
    } catch (error) {
      if (isMissing(error)) return Buffer.alloc(0);
      throw error;
    }
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  async truncate(path: string, bytes: number): Promise<void> {
    await truncate(this.#full(path), bytes);
  }

  async remove(path: string): Promise<void> {
    await this.close(path);
    await rm(this.#full(path), { force: true });
    await this.#removeEmpty(dirname(path));
  }

  async close(path: string): Promise<void> {
    const handle = this.#handles.get(path);
    this.#handles.delete(path);
    await handle?.close();
  }

  async #open(path: string): Promise<FileHandle> {
    const [oldest] = this.#handles.keys();
    if (this.#handles.size >= HANDLES_MAX && oldest !== undefined) await this.close(oldest);
    const full = this.#full(path);
    await mkdir(dirname(full), { recursive: true, mode: FOLDER_MODE });
    const handle = await open(full, "a", FILE_MODE);
    this.#handles.set(path, handle);
    return handle;
  }

  async #removeEmpty(folder: string): Promise<void> {
    if (folder === "." || folder === "") return;
    try {
      await rmdir(this.#full(folder));
    } catch {
      // Not empty, or somebody else was first.
      return;
    }
    await this.#removeEmpty(dirname(folder));
  }

  #full(path: string): string {
    return join(this.#directory, path);
  }
}

/** Files in memory. */
export class MemoryLogFiles implements LogFiles {
  readonly #files = new Map<string, Buffer>();

  async list(): Promise<readonly { readonly path: string; readonly bytes: number }[]> {
    return [...this.#files].map(([path, content]) => ({ path, bytes: content.length }));
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(path, Buffer.concat([this.#files.get(path) ?? Buffer.alloc(0), bytes]));
  }

  async read(path: string, offset: number, length: number): Promise<Buffer> {
    return (this.#files.get(path) ?? Buffer.alloc(0)).subarray(offset, offset + length);
  }

  async truncate(path: string, bytes: number): Promise<void> {
    const content = this.#files.get(path);
    if (content !== undefined) this.#files.set(path, content.subarray(0, bytes));
  }

  async remove(path: string): Promise<void> {
    this.#files.delete(path);
  }

  async close(): Promise<void> {}

  /** What `kill -9` in the middle of an append may leave: the last `lost` bytes are missing. */
  tear(path: string, lost: number): void {
    const content = this.#files.get(path) ?? Buffer.alloc(0);
    this.#files.set(path, content.subarray(0, Math.max(0, content.length - lost)));
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/**
 * The files of a server's data directory: where they lie, and how the small secret ones are written.
 *
 * A secret file is complete or absent (written aside, synced, renamed) and readable by its owner only.
 */

import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ProtocolError } from "@berth/protocol";

export interface DataPaths {
  readonly database: string;
  readonly blobs: string;
  readonly secretKey: string;
  readonly adminToken: string;
  readonly agentToken: string;
}

export function dataPaths(dataDir: string): DataPaths {
  return {
    database: join(dataDir, "state.db"),
    blobs: join(dataDir, "blobs"),
    secretKey: join(dataDir, "secret.key"),
    adminToken: join(dataDir, "admin.token"),
    agentToken: join(dataDir, "agent.token"),
  };
}

/** Makes the directory, for its owner only, where it is missing. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(error, dataDir);
  }
}

/**
 * Makes an empty file that only its owner can read, unless there is one. An existing file is not opened:
 * closing a database file that this process has open elsewhere would drop its lock.
 */
export async function makePrivateFile(path: string): Promise<void> {
  try {
    await (await open(path, "wx", 0o600)).close();
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw fileError(error, path);
  }
}

/** The content of a small file; `undefined` when there is none. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw fileError(error, path);
  }
}

/** Writes a secret file whole or not at all; durable when it returns. */
export async function writeSecretFile(path: string, content: string | Uint8Array): Promise<void> {
  const aside = `${path}.${randomBytes(4).toString("hex")}.new`;
  try {
    const file = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    const directory = await open(dirname(path), "r");
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    throw fileError(error, path);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function fileError(error: unknown, path: string): ProtocolError {
  const systemCode = codeOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  const code = systemCode === "ENOSPC" || systemCode === "EDQUOT" ? "storage_full" : "unavailable";
  return new ProtocolError(code, `${path}: ${reason}`, { path, systemCode }, { cause: error });
}

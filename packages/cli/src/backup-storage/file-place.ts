/** A backup as a file: written to `PATH.partial`, renamed when it is whole and on the disk. */

import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { ProtocolError } from "@berth/protocol";
import type { BackupPlace, BackupSink } from "./place.ts";

export function filePlace(path: string): BackupPlace {
  return {
    name: path,
    begin: () => beginFile(path),
    read: () => createReadStream(path) as AsyncIterable<Uint8Array>,
  };
}

async function beginFile(path: string): Promise<BackupSink> {
  const aside = `${path}.partial`;
  const file = await openNew(path, aside);
  return {
    write: (chunk) => file.writeFile(chunk),
    finish: async () => {
      await file.sync();
      await file.close();
      await rename(aside, path);
    },
    abandon: async () => {
      await file.close().catch(() => {});
      await rm(aside, { force: true });
    },
  };
}

/** Only for its owner to read. That the name is free and may be written is found out before anything is read. */
async function openNew(path: string, aside: string) {
  try {
    await (await open(path, "wx", 0o600)).close();
    await rm(path);
    return await open(aside, "w", 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = exists ? "exists already: name another" : String(cause);
    throw new ProtocolError("invalid_request", `${path} ${why}`, { file: path }, { cause });
  }
}

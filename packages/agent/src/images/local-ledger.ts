/** The image ledger's records in the agent's local database. */

import type { LocalDb } from "../state/local-db.ts";
import type { ImageRecord } from "./garbage.ts";
import type { ImageLedgerStore } from "./image-ledger.ts";

export function localLedgerStore(db: LocalDb): ImageLedgerStore {
  return {
    read: () => [...db.read("image")].flatMap(([imageId, row]) => recordOf(imageId, row)),
    put: (record) => db.commit([{ table: "image", key: record.imageId, value: record }]),
    remove: (imageId) => db.commit([{ table: "image", key: imageId, value: undefined }]),
  };
}

/** A row that cannot be read is no record: its image is then nobody's, and stays. */
function recordOf(imageId: string, row: unknown): ImageRecord[] {
  if (typeof row !== "object" || row === null || !("lastUsedAt" in row)) return [];
  const { lastUsedAt } = row;
  return typeof lastUsedAt === "number" ? [{ imageId, lastUsedAt }] : [];
}

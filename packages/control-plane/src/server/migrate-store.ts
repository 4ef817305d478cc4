/**
 * Moves a cluster's state to another store while no server runs: from the file to etcd, or back.
 *
 * Nothing is taken from the source; a move that fails or is cut off leaves it as it was, and a target that
 * no server opens. What lies beside the store (secret.key, tokens, blobs) stays where it is. It is another
 * life of the store: clients list again.
 */

import { rename } from "node:fs/promises";
import type { Clock, Logger } from "@berth/base";
import { keys, ProtocolError } from "@berth/protocol";
import { type CopiedStore, copyStore } from "../store/copy-store.ts";
import type { Store } from "../store/port.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { dataPaths } from "./data-dir.ts";
import { openStore, type StoreChoice } from "./open-store.ts";

export interface MigrateOptions {
  readonly dataDir: string;
  readonly from: StoreChoice;
  readonly to: StoreChoice;
  readonly clock: Clock;
  readonly log: Logger;
  /** The program of the embedded store's worker: another file when bundled. */
  readonly workerUrl?: URL;
  readonly signal?: AbortSignal;
}

/**
 * Copies everything and compares it.
 *
 * @throws ProtocolError `conflict` when a server still uses the source, or `to` is where the state lies
 * already; as the stores do, also when the target is not empty.
 */
export async function migrateStore(options: MigrateOptions): Promise<CopiedStore> {
  const { dataDir, from, to, clock, log, workerUrl, signal } = options;
  if (isSamePlace(from, to)) {
    throw new ProtocolError("conflict", "the state lies there already");
  }
  const common = { dataDir, clock, log, ...(workerUrl === undefined ? {} : { workerUrl }) };
  const source = await openStore({ ...common, choice: from });
  try {
    await refuseWhileLed(source.store);
    const target = await openStore({ ...common, choice: to });
    try {
      return await copyStore(source.store, target.store, signal);
    } finally {
      await target.store.close();
    }
  } finally {
    await source.store.close();
  }
}

/** Puts the file of the embedded store aside, so that the state can come back into a new one. Tells where. */
export async function setEmbeddedAside(dataDir: string, now: number): Promise<string> {
  const { database } = dataPaths(dataDir);
  const aside = `${database}.moved-${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  await rename(database, aside);
  return aside;
}

function isSamePlace(one: StoreChoice, other: StoreChoice): boolean {
  const placeOf = ({ url = "embedded" }: StoreChoice) => JSON.stringify(parseStoreUrl(url));
  return placeOf(one) === placeOf(other);
}

/** The embedded store has one owner; with etcd the leader's lease tells that somebody is there. */
async function refuseWhileLed(store: Store): Promise<void> {
  const { entry } = await store.get(keys.leader());
  if (entry?.leaseId === undefined) return;
  const message = "a server of the cluster runs (or ran some seconds ago): stop all of them first";
  throw new ProtocolError("conflict", message);
}

/** Opens the store that a server was told to use, with the files that etcd wants to see. */

import { readFile } from "node:fs/promises";
import type { Clock, Logger } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { refuseHalfCopy } from "../store/copy-store.ts";
import type { StoreError } from "../store/errors.ts";
import { openEtcdStore } from "../store/etcd.ts";
import type { EtcdCredentials } from "../store/etcd-client.ts";
import type { Store } from "../store/port.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { dataPaths, makePrivateFile } from "./data-dir.ts";

/** Where the state lies and how one gets in; files are named, never their content. */
export interface StoreChoice {
  /** See store-url.ts; `embedded` by default. */
  readonly url?: string;
  /** PEM of the authority that signed etcd's certificates; the system's authorities by default. */
  readonly caFile?: string;
  /** PEM of this server's own certificate and key, where etcd asks for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** One line, `USER:PASSWORD`, where etcd has users. */
  readonly loginFile?: string;
}

export interface OpenStoreOptions {
  readonly dataDir: string;
  readonly choice: StoreChoice;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workerUrl?: URL;
  readonly onFailure?: (error: StoreError) => void;
}

export interface OpenedStore {
  readonly store: Store;
  /** Other servers may have it open, too. */
  readonly isShared: boolean;
}

/** @throws ProtocolError as the stores do; `invalid_request` for a choice that cannot be. */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { choice, clock, log, workerUrl } = options;
  const place = parseStoreUrl(choice.url ?? "embedded");
  const worker = workerUrl === undefined ? {} : { workerUrl };
  const isShared = place.kind === "etcd";
  const store = isShared
    ? await openEtcdStore({ ...place, ...(await readAccess(choice)), clock, log, ...worker })
    : await openEmbedded(options);
  try {
    await refuseHalfCopy(store);
  } catch (error) {
    await store.close();
    throw error;
  }
  return { store, isShared };
}

async function openEmbedded(options: OpenStoreOptions): Promise<Store> {
  const { dataDir, clock, log, workerUrl, onFailure } = options;
  const { database } = dataPaths(dataDir);
  await makePrivateFile(database);
  return openSqliteStore({
    path: database,
    clock,
    log,
    ...(workerUrl === undefined ? {} : { workerUrl }),
    ...(onFailure === undefined ? {} : { onFailure }),
  });
}

async function readAccess(choice: StoreChoice) {
  const { caFile, certFile, keyFile, loginFile } = choice;
  const tls = {
    ...(caFile === undefined ? {} : { ca: await readNamed(caFile) }),
    ...(certFile === undefined ? {} : { cert: await readNamed(certFile) }),
    ...(keyFile === undefined ? {} : { key: await readNamed(keyFile) }),
  };
  return loginFile === undefined ? { tls } : { tls, credentials: await readLogin(loginFile) };
}

async function readLogin(file: string): Promise<EtcdCredentials> {
  const [line = ""] = (await readNamed(file)).toString().split("\n");
  const colon = line.indexOf(":");
  if (colon > 0) return { user: line.slice(0, colon), password: line.slice(colon + 1) };
  throw new ProtocolError("invalid_request", `${file}: expected one line, USER:PASSWORD`, { file });
}

async function readNamed(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const message = `${file}, which the store needs, cannot be read`;
    throw new ProtocolError("invalid_request", message, { file }, { cause });
  }
}

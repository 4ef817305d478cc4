/**
 * Makes this machine a further server of a cluster whose state is on etcd: by the one-time token it is told the key
 * of the secrets and the way to the state, looks whether that is the cluster's, and keeps both.
 *
 * The proof by which the same host may ask again is on disk before the token is used, so that a join that was cut
 * off anywhere is finished by the same line.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, silentLogger } from "@berth/base";
import { dataPaths, writeSecretFile } from "@berth/control-plane/server/data-dir";
import { openStore } from "@berth/control-plane/server/open-store";
import { parseStoreUrl } from "@berth/control-plane/store/store-url";
import { keys, ProtocolError, type ServerWelcome } from "@berth/protocol";
import type { HttpClient } from "@berth/protocol/client/http-client";
import type { PlatformPaths } from "../platform/paths.ts";
import {
  type PlatformSettings,
  SHARED_SETTINGS,
  type StoreSettings,
} from "../platform/settings.ts";

const PROOF_BYTES = 32;

export interface ServerJoin {
  readonly client: Pick<HttpClient, "call">;
  readonly paths: PlatformPaths;
  /** As the options of this host say. */
  readonly settings: PlatformSettings;
  readonly clock: Clock;
}

/** What makes the settings of this machine those of a server of the cluster. */
export async function joinAsServer(input: ServerJoin): Promise<Partial<PlatformSettings>> {
  const { client, paths, settings, clock } = input;
  mkdirSync(paths.dataDir, { recursive: true, mode: 0o700 });
  const proofFile = join(paths.dataDir, "join.proof");
  const body = { node: settings.node, now: clock.now(), proof: proofIn(proofFile) };
  const welcome = await client.call("joinServer", { params: {}, body });
  const store = settings.store ?? (await keptStore(paths, welcome));
  await refuseOther(input, store, welcome.cluster);
  const { secretKey } = dataPaths(paths.dataDir);
  await writeSecretFile(secretKey, Buffer.from(welcome.secretKey, "base64"));
  writeFileSync(paths.clusterId, `${welcome.cluster}\n`, { mode: 0o600 });
  rmSync(proofFile);
  const shared = SHARED_SETTINGS.filter((name) => Object.hasOwn(welcome.settings, name));
  return {
    ...Object.fromEntries(shared.map((name) => [name, welcome.settings[name]])),
    node: settings.node,
    store,
  };
}

/**
 * The address may mean another etcd here than it does on the server's host.
 *
 * @throws ProtocolError `invalid_request`
 */
export function refuseLoopback(store: StoreSettings | undefined, serversUrl: string): void {
  if (store !== undefined) return;
  const place = parseStoreUrl(serversUrl);
  if (place.kind !== "etcd") return;
  const isHere = place.endpoints.every((url) =>
    /^(127\.|\[?::1|localhost)/.test(new URL(url).host),
  );
  if (!isHere) return;
  const message = `the server reaches etcd at ${serversUrl}, which is on its own host: say where it is for this one`;
  const advice =
    "add --store etcd://HOST:PORT,... to the line; --store etcd://127.0.0.1:2379 for a member here";
  throw new ProtocolError("invalid_request", message, { advice });
}

function proofIn(file: string): string {
  if (!existsSync(file)) {
    const proof = randomBytes(PROOF_BYTES).toString("hex");
    writeFileSync(file, proof, { mode: 0o600, flush: true });
  }
  return readFileSync(file, "utf8");
}

/** The server's way to the store, its files beside this host's settings. */
async function keptStore(paths: PlatformPaths, { store }: ServerWelcome): Promise<StoreSettings> {
  const { url, ...texts } = store;
  const folder = join(paths.dataDir, "store");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const kept: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    const file = join(folder, name === "login" ? "login" : `${name}.pem`);
    await writeSecretFile(file, text);
    kept[`${name}File`] = file;
  }
  return { url, ...kept };
}

/** @throws ProtocolError `foreign_cluster` where another cluster's state lies in `store`, or none. */
async function refuseOther(
  { paths, clock }: ServerJoin,
  choice: StoreSettings,
  cluster: string,
): Promise<void> {
  const { dataDir } = paths;
  const { store } = await openStore({ dataDir, choice, clock, log: silentLogger });
  try {
    const { entry } = await store.get(keys.cluster());
    const found = entry === undefined ? "none" : String(Object(JSON.parse(entry.value)).id);
    if (found === cluster) return;
    const message = `the state at ${choice.url} is that of cluster ${found}, not of ${cluster}: this host would be a server of its own`;
    const advice =
      "give the members of the cluster's etcd with --store; the same line may be used again";
    throw new ProtocolError("foreign_cluster", message, { advice });
  } finally {
    await store.close();
  }
}

/**
 * What a further server is told by this one: the key of the secrets, the way to the store and the settings that all
 * servers share. And what this one asks of the store before it is one of the cluster's servers.
 */

import { readFile } from "node:fs/promises";
import { keys, ProtocolError } from "@berth/protocol";
import type { Welcome } from "../joining/entrance.ts";
import { serverRemoval } from "../joining/join-decision.ts";
import type { Store } from "../store/port.ts";
import { dataPaths } from "./data-dir.ts";
import type { StoreChoice } from "./open-store.ts";

/** @throws ProtocolError `conflict` where the state lies in a file that only this server has open. */
export async function welcomeOf(
  dataDir: string,
  choice: StoreChoice | undefined,
  settings: Readonly<Record<string, unknown>>,
): Promise<Welcome> {
  const { url = "embedded", caFile, certFile, keyFile, loginFile } = choice ?? {};
  if (url === "embedded") {
    const message =
      "the cluster's state lies in a file of this server: further servers can join once it is on etcd";
    throw new ProtocolError("conflict", message, { advice: "berth platform migrate-store" });
  }
  const secretKey = (await readFile(dataPaths(dataDir).secretKey)).toString("base64");
  const [ca, cert, key, login] = await Promise.all(
    [caFile, certFile, keyFile, loginFile].map(textOf),
  );
  const files = Object.entries({ ca, cert, key, login }).filter(([, text]) => text !== undefined);
  return { secretKey, store: { url, ...Object.fromEntries(files) }, settings: { ...settings } };
}

async function textOf(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : readFile(file, "utf8");
}

/** @throws ProtocolError `node_removed` for a server that was removed and did not join anew. */
export async function refuseRemoved(store: Pick<Store, "get">, node: string): Promise<void> {
  const { entry } = await store.get(keys.removal(serverRemoval(node)));
  if (entry === undefined) return;
  const message = `server ${node} was removed from this cluster: it has to join anew`;
  throw new ProtocolError("node_removed", message, { node, advice: "berth server join" });
}

/**
 * The other servers over their cluster ports, as a server: who is there is known by leases, where by addresses.
 * A client is kept for each for as long as its addresses stay the same.
 */

import { type ApiClient, keys, type ServerAddress } from "@berth/protocol";
import { FailoverClient } from "@berth/protocol/client/failover-client";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { PeerServer, PeerServers } from "./peer-servers.ts";

/** What a server shows to another: its certificate with the key, and whom it believes. */
export interface ServerIdentity {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

interface Kept {
  readonly urls: string;
  readonly api: FailoverClient;
}

export class HttpPeers implements PeerServers {
  readonly #own: string;
  readonly #view: Pick<ClusterView, "servers" | "serverAddresses">;
  readonly #identity: () => ServerIdentity | undefined;
  readonly #kept = new Map<string, Kept>();

  constructor(options: {
    /** This server's machine as a node. */
    readonly own: string;
    readonly view: Pick<ClusterView, "servers" | "serverAddresses">;
    /** Absent until the cluster's port is open. */
    readonly identity: () => ServerIdentity | undefined;
  }) {
    this.#own = options.own;
    this.#view = options.view;
    this.#identity = options.identity;
  }

  others(): readonly PeerServer[] {
    if (this.#identity() === undefined) return [];
    const present = new Set(this.#view.servers.all().flatMap(({ value }) => value.node ?? []));
    present.delete(this.#own);
    return [...present].flatMap((node) => {
      const address = this.#view.serverAddresses.get(keys.serverAddress(node))?.value;
      return address === undefined ? [] : [{ node, api: this.#clientOf(address) }];
    });
  }

  close(): void {
    for (const { api } of this.#kept.values()) api.close();
    this.#kept.clear();
  }

  #clientOf({ node, urls }: ServerAddress): ApiClient {
    const kept = this.#kept.get(node);
    const joined = urls.join(" ");
    if (kept?.urls === joined) return kept.api;
    kept?.api.close();
    const secure = () => {
      const { certificate, key, authority } = this.#identity() ?? { ...NO_IDENTITY };
      return { authority, own: { certificate, key } };
    };
    const api = new FailoverClient({
      endpoints: () => urls.map((url) => ({ url, secure })),
      isImpatient: true,
    });
    this.#kept.set(node, { urls: joined, api });
    return api;
  }
}

/** Never shown: clients are made only while there is an identity, which is not taken back. */
const NO_IDENTITY: ServerIdentity = { certificate: "", key: "", authority: "" };

/** The other servers of the cluster, as those parts see them that need one: session relay, copies of blobs. */

import type { ApiClient } from "@berth/protocol";

export interface PeerServer {
  /** Name of its machine as a node. */
  readonly node: string;
  /** Calls it as a server: only routes with the access `server`. */
  readonly api: ApiClient;
}

export interface PeerServers {
  /** Those whose lease lives, this one excluded; in no order that means anything. */
  others(): readonly PeerServer[];
}

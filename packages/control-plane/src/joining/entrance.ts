/** How hosts find the cluster and are let in: what the API needs of the cluster's port. */

import { ProtocolError } from "@berth/protocol";

/** Where the cluster's port is, and how to know that it is the right one. */
export interface OpenEntrance {
  /** `https://10.0.0.1:7711`, best first. */
  readonly urls: readonly string[];
  /** SHA-256 of the server's public key in base64. */
  readonly serverPin: string;
}

export interface ClusterEntrance {
  /** Opens the port unless it is open. Throws `unavailable` when it cannot. */
  open(): Promise<OpenEntrance>;
  /** Tries to reach a TCP port of a host that asks to join. */
  reach(address: string, port: number): Promise<{ readonly ok: boolean; readonly message: string }>;
}

/** For servers that nobody can join: simulations, tests of other things. */
export const CLOSED_ENTRANCE: ClusterEntrance = {
  open: async () => {
    throw new ProtocolError("unavailable", "this server has no port for other hosts");
  },
  reach: async () => ({ ok: false, message: "this server reaches nobody" }),
};

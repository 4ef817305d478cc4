/** How hosts find the cluster and are let in: what the API needs of the cluster's port. */

import { ProtocolError, type ServerWelcome, type SoftwareFile } from "@berth/protocol";

/** Where the cluster's port is, and how to know that it is the right one. */
export interface OpenEntrance {
  /** `https://10.0.0.1:7711`, best first. */
  readonly urls: readonly string[];
  /** SHA-256 of the server's public key in base64. */
  readonly serverPin: string;
  /** SHA-256 of the authority's certificate: hexadecimal pairs with colons. */
  readonly fingerprint: string;
}

/** What the server itself runs from, for hosts that have nothing yet. */
export interface Software {
  /** Architecture of the Node binary, as Node calls it. */
  readonly architecture: string;
  /** Throws `unavailable` where the server does not run from a bundle. */
  files(): Promise<readonly SoftwareFile[]>;
  /** The bytes of one of them. */
  read(digest: string): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** What another server of the cluster is told by this one; the cluster's name is known elsewhere. */
export type Welcome = Omit<ServerWelcome, "cluster">;

export interface ClusterEntrance {
  readonly software: Software;

  /** Throws `conflict` where the state is this server's alone. */
  welcome(): Promise<Welcome>;

  /** Opens the port unless it is open. Throws `unavailable` when it cannot. */
  open(): Promise<OpenEntrance>;
  /** Tries to reach a TCP port of a host that asks to join. */
  reach(address: string, port: number): Promise<{ readonly ok: boolean; readonly message: string }>;
}

/** For servers that nobody can join: simulations, tests of other things. */
export const CLOSED_ENTRANCE: ClusterEntrance = {
  software: {
    architecture: "none",
    files: async () => {
      throw new ProtocolError("unavailable", "this server has no software for other hosts");
    },
    read: async () => undefined,
  },
  welcome: async () => {
    throw new ProtocolError("unavailable", "this server lets no other join");
  },
  open: async () => {
    throw new ProtocolError("unavailable", "this server has no port for other hosts");
  },
  reach: async () => ({ ok: false, message: "this server reaches nobody" }),
};

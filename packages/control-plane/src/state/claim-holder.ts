/**
 * What the values of claim keys, of the cluster key, of the leadership key and of servers' keys say: small
 * rows that only servers write and nobody outside sees.
 */

/** Who holds a claim (a port, a route, a subnet, an address, an identifier, a volume, a slot). */
export interface ClaimHolder {
  /** `default/main/shop`; `-` when it is the platform itself. */
  readonly stack: string;
  /** The service, where the claim is a service's. */
  readonly service?: string;
  /** Of a service's address or an overlay's identifier: the network that it is on. */
  readonly network?: string;
  /** Of an address in a network: the node that has it, instead of tasks. */
  readonly node?: string;
  /** Of a node's address: whether the node answers the network's routes; absent while nobody has decided. */
  readonly ingress?: boolean;
  /** Live tasks that hold it: one for an address or volume (all of one pod), several for a slot. */
  readonly tasks?: readonly string[];
  /**
   * Wall time from which somebody else may take it: an address is in quarantine until then. Absent while
   * it is held.
   */
  readonly freeAt?: number;
}

/** The cluster's own identity. Written once, at the first start of its first server. */
export interface ClusterIdentity {
  /** Eight hexadecimal digits: part of container labels, bridges and firewall tables. */
  readonly id: string;
  readonly createdAt: number;
}

/** The level of formats that may be written: everybody reads it. Only rises. */
export interface FormatRow {
  readonly level: number;
  readonly at: number;
}

/** Who runs the controllers. Every write of a controller compares this key's revision. */
export interface Leadership {
  /** Names one life of one server process. */
  readonly server: string;
  /** Its machine as a node; servers before protocol 2 do not say it. */
  readonly node?: string;
  readonly since: number;
}

/** A server that is there. Its key hangs on the server's lease. */
export interface ServerPresence {
  /** Names one life of one server process. */
  readonly server: string;
  /** Its machine as a node; servers before protocol 2 do not say it. */
  readonly node?: string;
  readonly since: number;
  /** Newest formats that it reads; absent: the first. */
  readonly format?: number;
  /** Nodes whose agents were heard of by this server, which does not lead, since it said so last. */
  readonly heard: readonly string[];
}

/**
 * What an operator may set about the control plane, with the defaults and the reasons for them.
 *
 * Plain data: the server reads it from its configuration, a test or a simulation hands its own.
 */

import { DAY_MS, MIB, MINUTE_MS, SECOND_MS } from "@berth/base";

/** What services may ask of their host. Everything is denied unless a project's policy allows it. */
export interface Policy {
  /** `privileged`, and capabilities that amount to it. */
  readonly privileged: boolean;
  /** Paths of the host as mounts, the engine's socket excepted. */
  readonly hostMounts: boolean;
  /** The engine's socket as a mount: whoever has it owns the host. */
  readonly engineSocket: boolean;
  readonly devices: boolean;
  /** The host's network, process, IPC, user or UTS namespace. */
  readonly hostNamespaces: boolean;
}

export interface ControlPlaneSettings {
  /** Networks are carved from this range. It must not overlap with what hosts and sites use. */
  readonly clusterRange: string;
  /**
   * Addresses of services are from this range; no network is carved from it. Absent: the last sixteenth of
   * `clusterRange` (addresses/service-range.ts).
   */
  readonly serviceRange?: string;
  /** Prefix length of a network that states no range; bigger ones are made for many copies. */
  readonly networkPrefix: number;
  /** An address is not used again for this long after its task is gone: DNS answers have expired. */
  readonly addressQuarantineMs: number;

  /** A node that was silent for this long is down. Agents renew at a third of it. */
  readonly leaseMs: number;
  /** Leases are longer than that where there are so many nodes that more renewals than this would come a second. */
  readonly leaseRenewalsPerSecondMax: number;
  /** When more than this share of the nodes (and more than one) vanish, nothing is evicted for a while. */
  readonly massOutageShare: number;
  /** That while, counted from the last node that vanished. */
  readonly massOutagePauseMs: number;
  /** A node that fell silent so often within the window is held back: nothing new while another has room. */
  readonly flapCount: number;
  readonly flapWindowMs: number;
  /** Until it was in contact for this long without a break. */
  readonly heldBackMs: number;

  /** A copy with `failover: fence` is ended by its agent after so long without a server. */
  readonly isolationMs: number;
  /** A run of the fence hook is given up after this. */
  readonly fenceTimeoutMs: number;

  /** What a copy is taken to need when its file does not say. */
  readonly defaultRequests: { readonly cpuMillis: number; readonly memoryBytes: number };
  readonly policy: Policy;

  /** Host ports for `ports` without a published one, both included. */
  readonly publishedPorts: { readonly min: number; readonly max: number };
  /** Host ports of the platform itself: nobody may publish them. */
  readonly portsReserved: readonly number[];
  /** Where the HTTP ingress listens: for the addresses that listings show. */
  readonly ingressHttpPort: number;
  /** Where routes with TLS are answered. */
  readonly ingressHttpsPort: number;

  /** Releases of a stack that are kept for rollbacks, beside the current and the good one. */
  readonly releasesKept: number;
  /** Ended tasks of a slot that are kept as its history. */
  readonly endedTasksKept: number;
  /** Deployments of a stack that are kept. */
  readonly deploymentsKept: number;
  /** Events of an environment that are kept, and for how long. */
  readonly eventsKept: number;
  readonly eventAgeMs: number;
  /** Idempotency records are forgotten after this: no client repeats a request a day later. */
  readonly idempotencyAgeMs: number;
  /** Audit entries are kept this long. */
  readonly auditAgeMs: number;
  /** Finished operations are kept this long for those who look. */
  readonly operationAgeMs: number;
  /** A task that was given up with its node is forgotten after this when the node does not return. */
  readonly lostTaskAgeMs: number;

  /** Stacks that are evaluated at the same time: their waits for the store overlap. */
  readonly parallelStacks: number;
}

export const DENY_ALL: Policy = {
  privileged: false,
  hostMounts: false,
  engineSocket: false,
  devices: false,
  hostNamespaces: false,
};

export const DEFAULT_SETTINGS: ControlPlaneSettings = {
  // 1,048,576 addresses, 4,096 networks of 254; rarely used by companies, unlike 10.0/16 and 172.16/12.
  clusterRange: "10.64.0.0/12",
  networkPrefix: 24,
  // DNS answers live 1 s; clients that cache longer have had time to notice a closed connection.
  addressQuarantineMs: 30 * SECOND_MS,

  // Two lost renewals are tolerated; a dead host's services answer again within 5 s (ADR 44).
  leaseMs: 3 * SECOND_MS,
  // What 2,500 nodes need with 3 s: a sixth of the one thread that does everything else as well (ADR 54).
  leaseRenewalsPerSecondMax: 2_500,
  massOutageShare: 0.2,
  massOutagePauseMs: 5 * MINUTE_MS,
  // Once is an accident, twice a reboot that was repeated; what was moved three times moves no fourth time.
  flapCount: 3,
  flapWindowMs: 10 * MINUTE_MS,
  heldBackMs: 5 * MINUTE_MS,

  // Longer than a server takes to start again or to be replaced: nobody stops because of that.
  isolationMs: 30 * SECOND_MS,
  // Power controllers take ten seconds to switch, and some to be reached.
  fenceTimeoutMs: MINUTE_MS,

  // Of 2,694 published services 14 state a limit; this is what small services use.
  defaultRequests: { cpuMillis: 100, memoryBytes: 128 * MIB },
  policy: DENY_ALL,

  publishedPorts: { min: 30_000, max: 32_767 },
  portsReserved: [7710, 7711],
  ingressHttpPort: 8080,
  ingressHttpsPort: 8443,

  releasesKept: 10,
  endedTasksKept: 3,
  deploymentsKept: 20,
  eventsKept: 1_000,
  eventAgeMs: 7 * DAY_MS,
  idempotencyAgeMs: DAY_MS,
  auditAgeMs: 90 * DAY_MS,
  operationAgeMs: DAY_MS,
  lostTaskAgeMs: DAY_MS,

  parallelStacks: 8,
};

/**
 * What the scheduler knows: nodes, the tasks that run on them, and asks for room. Plain data, no domain
 * beyond it: services, volumes and pods are opaque keys, so that a live cluster and a foreign trace look
 * alike.
 *
 * Invariants that callers keep (asserted when a cluster is read): ids are unique; every quantity is a
 * whole number of at least 0, because sums of whole numbers are exact and an undo restores them to the
 * bit. `docs/design/scheduler.md` tells how it fits together.
 */

import type { Constraint } from "./constraint-form.ts";
import type { Weights } from "./options.ts";
import type { MeasuredUse, Overcommit } from "./overcommit.ts";

/** Quantities as a file or a user stated them; what is absent gets `ScheduleOptions.defaults`. */
export interface Requests {
  /** Thousandths of a processor. An explicit 0 is kept. */
  readonly cpuMillis?: number;
  readonly memoryBytes?: number;
  /** Writable layer and local volumes, in bytes. */
  readonly diskBytes?: number;
  /** Processes and threads. */
  readonly pids?: number;
  /** Any other countable resource of a node, by name. */
  readonly resources?: Readonly<Record<string, number>>;
  readonly devices?: readonly DeviceRequest[];
}

/** Some devices of one kind, whole or in part. */
export interface DeviceRequest {
  /** For example `gpu`. */
  readonly kind: string;
  /** How many devices; 1 by default. */
  readonly count?: number;
  /** Thousandths of each of them; 1000 (whole, shared with nobody) by default. */
  readonly shareMillis?: number;
  /** Acceptable models; any when absent or empty. */
  readonly models?: readonly string[];
}

/** Devices that a task was given. */
export interface DeviceAssignment {
  readonly kind: string;
  /** Positions among the node's devices of this kind, counted from 0 in the order of `NodeModel.devices`. */
  readonly indexes: readonly number[];
  /** Thousandths of each of them. */
  readonly shareMillis: number;
}

/** Equal devices of a node. */
export interface DeviceModel {
  readonly kind: string;
  readonly model: string;
  readonly count: number;
}

export interface Platform {
  /** As in image indexes: `linux`, `windows`. */
  readonly os: string;
  /** As in image indexes (`amd64`, `arm64`); `x86_64` and `aarch64` mean the same. */
  readonly architecture: string;
}

export type TaintEffect = "no-schedule" | "no-execute" | "prefer-no-schedule";

/** Keeps tasks away from a node unless they tolerate it. Both hard effects refuse new tasks. */
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: TaintEffect;
}

/** Matches taints: an absent field matches everything, so `{}` tolerates every taint. */
export interface Toleration {
  readonly key?: string;
  readonly value?: string;
  readonly effect?: TaintEffect;
}

/** A port of the host. Two conflict when protocol and port are equal and the addresses may overlap. */
export interface HostPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly port: number;
  /** Absent (like `0.0.0.0` and `::`): every address of the node. */
  readonly address?: string;
}

/** A host as the scheduler sees it. */
export interface NodeModel {
  readonly id: string;
  /** For people and `node.hostname` constraints; the id when absent. */
  readonly name?: string;
  /** All that the machine has, before `reserved`. Thousandths of a processor. */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Processes and threads; without limit when absent. */
  readonly pidsMax?: number;
  /** Other countable resources by name. */
  readonly resources: Readonly<Record<string, number>>;
  readonly devices: readonly DeviceModel[];
  readonly labels: Readonly<Record<string, string>>;
  /** Labels of the container engine, for `engine.labels.*` constraints. */
  readonly engineLabels?: Readonly<Record<string, string>>;
  /** What `node.role` answers; `node.role==x` holds when one of them is x. */
  readonly roles?: readonly string[];
  /** Level to domain, for example `{region: "eu", zone: "a", rack: "7"}`. The level `node` is implied. */
  readonly topology: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly platform: Platform;
  /** For system, engine and agent: never given away. */
  readonly reserved: {
    readonly cpuMillis: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
  };
  /** False while the node is silent or not yet prepared: no new tasks. */
  readonly ready: boolean;
  /** Why it is not ready, a few words for the reader ("disk is full"); ignored while it is. */
  readonly notReadyBecause?: string;
  /** True while an operator empties it: no new tasks. */
  readonly draining: boolean;
  /** Upper limit of tasks; without limit when absent. */
  readonly maxTasks?: number;
  /** Images that are present: digest to size in bytes. */
  readonly images: Readonly<Record<string, number>>;
  /** Keys of the volumes whose home is this node. */
  readonly volumes: readonly string[];
  /** Host addresses that a port may be bound to; none listed means that none is checked. */
  readonly addresses: readonly string[];
  /** Pools of fixed addresses that work on this node. */
  readonly pools?: readonly string[];
  /** Host ports that something other than a task holds. */
  readonly portsTaken?: readonly HostPort[];
  /** Price of an hour in thousandths of the operator's unit, for the strategy `cheapest`; 0 when absent. */
  readonly costPerHourMillis?: number;
}

/** A volume that a task mounts. */
export interface VolumeUse {
  /** One key, one volume: for example `project/environment/stack/name`. */
  readonly key: string;
  /** Home node, when the volume exists. When absent the nodes' `volumes` and the tasks that use it tell. */
  readonly node?: string;
  /** `exclusive`: at most one task in the whole cluster, whatever its node. */
  readonly mode: "exclusive" | "shared";
  /** `node` (default): data lies on its home node only. `cluster`: reachable from every node. */
  readonly reach?: "node" | "cluster";
}

/** An address that a task keeps over its replacements: one holder in the cluster at a time. */
export interface FixedAddress {
  readonly address: string;
  /** The node must carry this pool (`NodeModel.pools`). */
  readonly pool: string;
}

/**
 * Nearness to the copies of a service. `level` names what they share: `node`, a topology level (`zone`)
 * or an attribute (`node.labels.room`).
 */
export interface ServiceAffinity {
  readonly kind: "service";
  /** Key of the other service, or the ask's own. */
  readonly service: string;
  readonly level: string;
  /** True: a node where it does not hold is refused. False: it counts `weight` points. */
  readonly required: boolean;
  /** 1 to 100; 50 by default. Ignored when required. */
  readonly weight?: number;
  /**
   * Only of a required anti-affinity: copies of `service` that are borne in one domain beside a copy of the
   * ask's own service; 0 by default. Towards the own service it counts the others: `max: 1` allows two.
   */
  readonly max?: number;
}

/** Preference for nodes; a required one is a constraint. */
export interface NodeAffinity {
  readonly kind: "node";
  readonly constraint: Constraint;
  /** -100 (avoid) to 100; 50 by default. */
  readonly weight?: number;
}

/** How the copies of the ask's service lie over the domains of a level. */
export interface Spread {
  /** `node`, a topology level or an attribute, as in `ServiceAffinity`. */
  readonly level: string;
  /** True: a node is refused where its domain would exceed the emptiest by more than `maxSkew`. */
  readonly required: boolean;
  /** 1 or more; 1 by default. Only read when required. */
  readonly maxSkew?: number;
  /** 0 to 100, default 4; the unstated spread over nodes weighs 1. Only read when preferred. */
  readonly weight?: number;
}

/** What an ask and a running task have in common: the claims that others must respect. */
export interface Claims {
  /** Unique among asks and tasks. */
  readonly id: string;
  /** Key of the service whose copy it is; not empty. */
  readonly service: string;
  /** Ordinal of the copy; only orders asks. */
  readonly slot?: number;
  readonly requests: Requests;
  readonly ports?: readonly HostPort[];
  readonly volumes?: readonly VolumeUse[];
  readonly addresses?: readonly FixedAddress[];
  /** Required ones bind in both directions: whoever comes second is refused. */
  readonly antiAffinities?: readonly ServiceAffinity[];
  /** Asks of one pod share a node; one key per instance of the pod (not per service). */
  readonly pod?: string;
  /** Higher goes first; 50 by default. */
  readonly priority?: number;
  /** What it cannot go beyond, where it has a limit. Only read beside `measured`. */
  readonly limits?: { readonly cpuMillis?: number; readonly memoryBytes?: number };
  /** What it was measured to use; read where somebody may count on what it leaves (`overcommit.ts`). */
  readonly measured?: MeasuredUse;
}

/** A task that holds its place. */
export interface RunningTask extends Claims {
  /** Id of its node. A task of an unknown node takes no room but keeps volumes and addresses. */
  readonly node: string;
  /** What it was given; chosen again, deterministically, when it requests devices and this is absent. */
  readonly devices?: readonly DeviceAssignment[];
  /** True when its stop is decided: it takes room, ports and volumes but is no copy any more for
   * spread, affinity and the maximum per node. */
  readonly leaving?: boolean;
}

/** A copy that wants a node. */
export interface Ask extends Claims {
  /** All must hold. */
  readonly constraints?: readonly Constraint[];
  readonly affinities?: readonly (ServiceAffinity | NodeAffinity)[];
  readonly spread?: readonly Spread[];
  /** Most copies of the service on one node; without limit when absent. */
  readonly maxPerNode?: number;
  /** Only this node (its id). */
  readonly pinnedNode?: string;
  /** Asks with one gang key are placed all or none. */
  readonly gang?: string;
  /** For locality: what would have to be pulled. */
  readonly images?: readonly { readonly digest: string; readonly bytes: number }[];
  readonly tolerations?: readonly Toleration[];
  /** Platforms of the image, any of which will do; every node will do when absent or empty. */
  readonly platforms?: readonly Platform[];
  /** Node of the slot's last task: kept if nothing speaks against it. */
  readonly previousNode?: string;
  /** Nodes where the slot failed lately: taken last. */
  readonly failedNodes?: readonly string[];
  /** Overrides `ScheduleOptions.strategy` for this ask. */
  readonly strategy?: Strategy;
  /** Overrides single weights of the strategy and of `ScheduleOptions.weights`: whole numbers of at least 0. */
  readonly weights?: Partial<Weights>;
  /** How far requests may go beyond what a node can give, for this ask to be placed there; not at all when absent. */
  readonly overcommit?: Overcommit;
}

/**
 * `tightest`: fewest hosts. `room`: the emptiest node. `balanced`: room, processor and memory evenly
 * used. `cheapest`: lowest price first, then hosts that are in use.
 */
export const STRATEGIES = ["tightest", "room", "balanced", "cheapest"] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** One moment of a cluster. Order of nodes and tasks carries no meaning. */
export interface ClusterModel {
  readonly nodes: readonly NodeModel[];
  readonly tasks: readonly RunningTask[];
}

/** Nodes: what a user wants of a host, what its agent says, and work that is done on one. */

import { Type } from "typebox";
import { Identifier, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { PinnedImage } from "./release.ts";
import { BuildSpec } from "./service-spec.ts";

/** How many there are of each, by name. */
export const Countables = Type.Record(Type.String(), Type.Integer({ minimum: 0 }));
export type Countables = Of<typeof Countables>;

/**
 * What users let a node do. `cordoned`: nothing new but what belongs to this very node (copies of global
 * services, members of pods that live there); what runs stays. `draining`: nothing new, and what runs moves away.
 */
export const NodeAvailability = Type.Union([
  Type.Literal("active"),
  Type.Literal("cordoned"),
  Type.Literal("draining"),
]);
export type NodeAvailability = Of<typeof NodeAvailability>;

/**
 * `no-schedule` keeps new copies away that do not tolerate it; `prefer-no-schedule` only where there is a choice;
 * `no-execute` also moves away what runs, as a drain does (a format of level 2).
 */
export const TaintEffect = Type.Union([
  Type.Literal("no-schedule"),
  Type.Literal("prefer-no-schedule"),
  Type.Literal("no-execute"),
]);
export type TaintEffect = Of<typeof TaintEffect>;

/** How it stands with the word that nothing of a silent node runs any more. */
export const Fence = Type.Object({
  /** `done`: nothing of it runs. `failed`: the hook could not say so; it is tried again. */
  state: Type.Union([Type.Literal("running"), Type.Literal("failed"), Type.Literal("done")]),
  by: Type.Union([Type.Literal("hook"), Type.Literal("person")]),
  /** Name of the person's token. */
  who: Type.Optional(Type.String()),
  at: Timestamp,
  /** Runs of the hook for this silence. */
  attempts: Type.Integer({ minimum: 0 }),
  /** What the hook said last, or what went wrong with it. */
  message: Type.Optional(Type.String()),
  /** When the hook is tried again. */
  nextAttemptAt: Type.Optional(Timestamp),
});
export type Fence = Of<typeof Fence>;

/** A node as users and controllers write it. */
export const Node = Type.Object({
  name: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
  /** Written by users. */
  availability: NodeAvailability,
  joinedAt: Timestamp,
  /** Written by the lease controller: whether the agent is in contact. Only transitions are stored. */
  contact: Type.Union([Type.Literal("up"), Type.Literal("down")]),
  contactChangedAt: Timestamp,
  /**
   * So many nodes were silent at once that nothing of this one is given up until then. Absent: no pause. Ends
   * with the node's return, or with a person's word about it. Writer: lease controller.
   */
  evictionPausedUntil: Type.Optional(Timestamp),
  /** While it is silent: who says, or is asked to say, that it is dead. Writer: fence controller, API. */
  fence: Type.Optional(Fence),
  /**
   * It has been silent for at least this long, milliseconds; noted when the deadline of a copy passes that stops
   * by itself without contact (`failover: fence`). Writer: lease controller.
   */
  silentForMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** When it fell silent lately, newest last; what lies back longer than the flap window is forgotten. */
  silences: Type.Optional(Type.Array(Timestamp)),
  /**
   * It fell silent too often: until then nothing new is placed on it while another node has room. What runs
   * there stays. Absent: not held back. Writer: lease controller; users end it (uncordon).
   */
  heldBackUntil: Type.Optional(Timestamp),
  /** Countable things that tasks may ask for, by name: `gpu: 2`. Written by users. */
  countables: Type.Optional(Countables),
  /** By key. Written by users. */
  taints: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({ value: Type.Optional(Type.String()), effect: TaintEffect }),
    ),
  ),
});
export type Node = Of<typeof Node>;

/** Names of labels and resources: as Compose's constraints can write them. */
const NodeWord = Type.String({ pattern: "^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$" });

/** With the value `true`: the node answers requests from outside. Where no node has it, all do. */
export const INGRESS_LABEL = "berth.ingress";

/** Labels, resources and taints that one node may have of each. */
export const NODE_WORDS_MAX = 100;

/** What a person changes about a node; `null` takes away, what is not named stays. */
export const NodeChanges = Type.Object(
  {
    labels: Type.Optional(
      Type.Record(NodeWord, Type.Union([Type.String({ maxLength: 256 }), Type.Null()]), {
        maxProperties: NODE_WORDS_MAX,
        additionalProperties: false,
      }),
    ),
    countables: Type.Optional(
      Type.Record(NodeWord, Type.Union([Type.Integer({ minimum: 0, maximum: 1e9 }), Type.Null()]), {
        maxProperties: NODE_WORDS_MAX,
        additionalProperties: false,
      }),
    ),
    taints: Type.Optional(
      Type.Record(
        NodeWord,
        Type.Union([
          Type.Object(
            { value: Type.Optional(Type.String({ maxLength: 256 })), effect: TaintEffect },
            { additionalProperties: false },
          ),
          Type.Null(),
        ]),
        { maxProperties: NODE_WORDS_MAX, additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type NodeChanges = Of<typeof NodeChanges>;

/** Images that a node tells about: beyond it, the newest. A machine that builds all day keeps some hundred. */
export const IMAGES_TOLD_MAX = 200;
/** Names of one image that are told. */
export const IMAGE_NAMES_TOLD_MAX = 10;

/** An image that a node's engine has: what others may get from it, and what need not be pulled there. */
export const LocalImage = Type.Object({
  /** Digest of its configuration: the engine's image ID. */
  id: Type.String(),
  sizeBytes: Type.Integer({ minimum: 0 }),
  /** Tags and `name@digest` under which the engine knows it. */
  names: Type.Array(Type.String(), { maxItems: IMAGE_NAMES_TOLD_MAX }),
});
export type LocalImage = Of<typeof LocalImage>;

/** Devices that one node may report. */
export const DEVICES_MAX = 256;

/** One device of a host that one task has at a time. Writer: the agent. */
export const NodeDevice = Type.Object({
  /** What services ask for: `gpu`, or a word of the host's own. */
  kind: Type.String({ minLength: 1, maxLength: 64 }),
  /** For people: `NVIDIA A100-SXM4-40GB`; empty when nobody knows. */
  model: Type.String({ maxLength: 128 }),
  /** The same after a reboot, unique among the node's devices of the kind. */
  id: Type.String({ minLength: 1, maxLength: 128 }),
  /** Device files that a container gets; none where the engine's driver gives them. */
  paths: Type.Array(Type.String({ pattern: "^/dev/" }), { maxItems: 16 }),
  /** The engine's driver that gives the device by its id: `nvidia`. Absent: the files are enough. */
  driver: Type.Optional(Type.String()),
});
export type NodeDevice = Of<typeof NodeDevice>;
export const NodeDevices = Type.Array(NodeDevice, { maxItems: DEVICES_MAX });

/** Tasks of one node whose use is told: more than one host runs. */
export const TASKS_MEASURED_MAX = 2_000;

/** A node on the network of the hosts. */
export const Underlay = Type.Object({
  /** IPv4 address. */
  address: Type.String(),
  /** UDP port of VXLAN packets. */
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  /** Largest packet of the interface that has the address, bytes. */
  mtu: Type.Integer({ minimum: 1 }),
});
export type Underlay = Of<typeof Underlay>;

/** What the agent says about its host. One writer: the agent. */
export const NodeStatus = Type.Object({
  name: Type.String(),
  /** Changes with every boot of the host. */
  bootId: Type.String(),
  agentVersion: Type.String(),
  /** Newest formats of the state that it reads (`FORMAT_LEVEL`); absent: the first. */
  format: Type.Optional(Type.Integer()),
  platform: Type.Object({ os: Type.String(), architecture: Type.String() }),
  kernel: Type.String(),
  engine: Type.Object({
    name: Type.String(),
    version: Type.String(),
    apiVersion: Type.String(),
    reachable: Type.Boolean(),
    message: Type.Optional(Type.String()),
  }),
  capacity: Type.Object({
    cpuMillis: Type.Integer({ minimum: 0 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
    diskBytes: Type.Integer({ minimum: 0 }),
    pids: Type.Integer({ minimum: 0 }),
  }),
  /** Kept for system, engine and agent; never given to tasks. */
  reserved: Type.Object({
    cpuMillis: Type.Integer({ minimum: 0 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
    diskBytes: Type.Integer({ minimum: 0 }),
  }),
  diskFreeBytes: Type.Integer({ minimum: 0 }),
  /** The disk is too full for new images or builds. */
  diskPressure: Type.Boolean(),
  /** The address by which other nodes and clients reach this one. */
  address: Type.String(),
  /** Where other nodes send what networks that span hosts carry; absent when the host has no address. */
  underlay: Type.Optional(Underlay),
  /** Floating addresses that the host has now. */
  floating: Type.Optional(Type.Array(Type.String())),
  /** Ranges that the host itself uses (interfaces, routes), ours left out: no network may overlap. */
  hostRanges: Type.Optional(
    Type.Array(Type.Object({ range: Type.String(), interface: Type.String() })),
  ),
  /** Images at the engine, by identifier; absent while the engine could not be asked. */
  images: Type.Optional(Type.Array(LocalImage, { maxItems: IMAGES_TOLD_MAX })),
  /** Devices that tasks can have, in the order in which they are given out. */
  devices: Type.Optional(NodeDevices),
  /**
   * The most that each of its tasks used over a while, rounded up; by the task's identifier. Those that were not
   * measured for long enough are absent.
   */
  use: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({
        cpuMillis: Type.Integer({ minimum: 0 }),
        memoryBytes: Type.Integer({ minimum: 0 }),
      }),
      { maxProperties: TASKS_MEASURED_MAX },
    ),
  ),
  /** Problems that a person should see: code, sentence, what to do. */
  conditions: Type.Array(
    Type.Object({ code: Type.String(), message: Type.String(), advice: Type.String() }),
  ),
  reportedAt: Timestamp,
});
export type NodeStatus = Of<typeof NodeStatus>;

/** A copy on a node, and what becomes of it there. Made by the server at each question. */
export const CopyStanding = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  task: Identifier,
  /** `shop/web-1` */
  copy: Type.String(),
  /** What its agent said last. */
  state: Type.String(),
  /** Why it cannot run on another node while this one may still run it; absent for a free copy. */
  bound: Type.Optional(Type.String()),
  /** Why it does not move when the node is drained: its data lies there. Absent for those that move. */
  stays: Type.Optional(Type.String()),
  /** What it waits for, and what would free it; absent while all is as wanted. */
  waits: Type.Optional(Type.String()),
  /** Where it would go if the node were drained now; only of free copies, and only when asked for. */
  elsewhere: Type.Optional(
    Type.Object({
      /** Absent when there is no place, or when it would not be replaced. */
      node: Type.Optional(Type.String()),
      /** Why there, why nowhere, or why it is not replaced. */
      why: Type.String(),
    }),
  ),
});
export type CopyStanding = Of<typeof CopyStanding>;

/** What a person's word that a node is dead leads to. */
export const FencedNode = Type.Object({
  node: Type.String(),
  /** Copies that waited for this word and may now be started elsewhere: `shop/db-1`. */
  freed: Type.Array(Type.String()),
});
export type FencedNode = Of<typeof FencedNode>;

/** A node with everything that a person asks about one. */
export const NodeStanding = Type.Object({
  node: Node,
  status: Type.Optional(NodeStatus),
  /** Of a host that joined; absent for the machine of the server. */
  member: Type.Optional(
    Type.Object({ joinedAt: Timestamp, address: Type.String(), notAfter: Timestamp }),
  ),
  /** A node without contact is given up after this, milliseconds. */
  leaseMs: Type.Number(),
  /** The server has a fence hook. */
  fenceHook: Type.Boolean(),
  copies: Type.Array(CopyStanding),
});
export type NodeStanding = Of<typeof NodeStanding>;

/** Registry credentials for one pull or look-up; handed over, never stored in clear. */
export const RegistryAuth = Type.Object({
  server: Type.String(),
  username: Type.String(),
  password: Type.String(),
});
export type RegistryAuth = Of<typeof RegistryAuth>;

/** One image to pin: looked up locally, in its registry, or built. */
export const ImageWish = Type.Object({
  reference: Type.String(),
  policy: Type.Union([
    Type.Literal("missing"),
    Type.Literal("always"),
    Type.Literal("never"),
    Type.Literal("build"),
  ]),
  /** With `missing`: the registry is asked when it was asked longer ago than this. */
  pullEveryMs: Type.Optional(Type.Number({ minimum: 0 })),
  build: Type.Optional(BuildSpec),
  /** The services that want it. */
  services: Type.Array(Type.String()),
});
export type ImageWish = Of<typeof ImageWish>;

/** A port of the host that a release is going to need. */
export const HostPortWish = Type.Object({
  protocol: Type.Union([Type.Literal("tcp"), Type.Literal("udp")]),
  /** Address of the host; `0.0.0.0` for all. */
  address: Type.String(),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  /** Place in the stack that asks for it: `services.web.ports[0]`. */
  path: Type.String(),
});
export type HostPortWish = Of<typeof HostPortWish>;

/** What an operation is to do. */
export const OperationInput = Type.Union([
  Type.Object({
    kind: Type.Literal("resolve-images"),
    images: Type.Array(ImageWish),
    /** Refused when a program that is not the platform's holds one of them. */
    ports: Type.Optional(Type.Array(HostPortWish)),
  }),
  Type.Object({ kind: Type.Literal("remove-volume"), engineName: Type.String() }),
  /** Fills a new volume with the content of another node's. */
  Type.Object({
    kind: Type.Literal("receive-volume"),
    /** Name of the new volume; what has it already is thrown away. */
    engineName: Type.String(),
    from: Type.String(),
    /** Name of the volume at the engine of `from`. */
    source: Type.String(),
    driver: Type.Optional(Type.String()),
    driverOptions: Type.Record(Type.String(), Type.String()),
    labels: Type.Record(Type.String(), Type.String()),
  }),
  /** Makes images present before a release needs them there. */
  Type.Object({ kind: Type.Literal("fetch-images"), images: Type.Array(PinnedImage) }),
]);
export type OperationInput = Of<typeof OperationInput>;

/** Work on a node that is no task. Written by the server; its report by the agent. */
export const Operation = Type.Object({
  id: Identifier,
  project: Type.String(),
  environment: Type.String(),
  stack: Type.String(),
  node: Type.String(),
  createdAt: Timestamp,
  input: OperationInput,
  state: Type.Union([
    Type.Literal("pending"),
    Type.Literal("running"),
    Type.Literal("done"),
    Type.Literal("failed"),
  ]),
  /** Last line of progress, for people. */
  progress: Type.Optional(Type.String()),
  /** For `resolve-images`: the pinned image of each reference. */
  images: Type.Optional(Type.Record(Type.String(), PinnedImage)),
  /** For `receive-volume`: what arrived, by the sender's checksum. */
  received: Type.Optional(
    Type.Object({ bytes: Type.Integer({ minimum: 0 }), digest: Type.String() }),
  ),
  error: Type.Optional(
    Type.Object({ code: Type.String(), message: Type.String(), details: Type.Unknown() }),
  ),
  updatedAt: Timestamp,
});
export type Operation = Of<typeof Operation>;

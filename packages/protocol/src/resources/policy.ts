/** What stack files of a project may ask of their hosts. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";
import { type ClassWord, ScoreWeights, StrategyWord } from "./placing-wishes.ts";

/** What may be allowed, by the word that commands use, in order of their power. */
export const GRANTS = {
  privileged:
    "privileged containers and commands, capabilities that reach the host, unconfined profiles, groups outside of ours",
  "engine-socket": "the container engine's socket as a mount: whoever has it is root on the host",
  "host-mounts": "paths and disks of the host as mounts and volumes",
  devices: "devices of the host, rules for devices, devices of the engine's drivers",
  "host-namespaces":
    "the host's network, processes, IPC, users, names, and those of foreign containers",
} as const satisfies Readonly<Record<string, string>>;
export type Grant = keyof typeof GRANTS;

const GrantWord = Type.Enum(Object.keys(GRANTS) as [Grant, ...Grant[]]);

/** Named resources of a quota. */
export const QUOTA_RESOURCES_MAX = 50;

/** Sums of requests that the copies of a project may come to; what is absent has no limit. */
export const Quota = Type.Object(
  {
    /** Thousandths of a processor. */
    cpuMillis: Type.Optional(Type.Integer({ minimum: 0 })),
    memoryBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Copies that run or begin. */
    tasks: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Countable resources and devices, by name: `gpu`. */
    resources: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 128 }), Type.Integer({ minimum: 0 }), {
        maxProperties: QUOTA_RESOURCES_MAX,
      }),
    ),
  },
  { additionalProperties: false },
);
export type Quota = Of<typeof Quota>;

/** Hundredths of what a node can give to which requests may come there. */
const Percent = Type.Optional(Type.Integer({ minimum: 100, maximum: 1_000 }));
const ClassOvercommit = Type.Object(
  {
    cpu: Percent,
    memory: Percent,
  },
  { additionalProperties: false },
);
export type ClassOvercommit = Of<typeof ClassOvercommit>;

/** Classes that may count on what others leave unused. */
export type OvercommitClass = Exclude<ClassWord, "guaranteed">;
/** How far each class of service may count on it; one that is absent may not. */
export const OvercommitPolicy = Type.Object(
  {
    burstable: Type.Optional(ClassOvercommit),
    "best-effort": Type.Optional(ClassOvercommit),
  } satisfies Readonly<Record<OvercommitClass, unknown>>,
  { additionalProperties: false },
);
export type OvercommitPolicy = Of<typeof OvercommitPolicy>;

/** How copies of a project are placed, and how much they may take. Written by administrators. */
const placing = {
  /** Of services whose file states none; `balanced` when absent. */
  strategy: Type.Optional(StrategyWord),
  /** Of services whose file states none. */
  weights: Type.Optional(ScoreWeights),
  overcommit: Type.Optional(OvercommitPolicy),
  quota: Type.Optional(Quota),
};

/** The policy of a project. What the machine allows, it allows all projects; a project's own come on top. */
export const ProjectPolicy = Type.Object({
  project: Type.String(),
  /** Written by administrators; nothing is allowed when there is no row. */
  allow: Type.Array(GrantWord),
  ...placing,
});
export type ProjectPolicy = Of<typeof ProjectPolicy>;

/** A policy with what it comes to. */
export const PolicyView = Type.Object({
  project: Type.String(),
  allow: Type.Array(GrantWord),
  ...placing,
  /** What the project's copies ask for now, as quotas count it. */
  used: Quota,
  /** Allowed to every project by the settings of the platform. */
  everywhere: Type.Array(GrantWord),
});
export type PolicyView = Of<typeof PolicyView>;

/** The whole policy of a project, in place of what it was. */
export const PolicyInput = Type.Object(
  { allow: Type.Array(GrantWord, { uniqueItems: true }), ...placing },
  { additionalProperties: false },
);
export type PolicyInput = Of<typeof PolicyInput>;

/**
 * `x-berth`: what Compose has no word for. Reference: docs/reference/compose.md.
 */

import type { Route } from "./route-model.ts";

/** How a probe asks. */
export type ProbeAction =
  | {
      readonly kind: "http";
      readonly port: number;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      /** Accepted status codes, as ranges; default 200-399. */
      readonly status: readonly StatusRange[];
    }
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "grpc"; readonly port: number; readonly service: string }
  | { readonly kind: "exec"; readonly command: readonly string[] };

/** Inclusive. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** A probe with its rhythm. Absent fields take the platform's defaults. */
export interface Probe {
  readonly action: ProbeAction;
  readonly delayMs?: number;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  /** Successes in a row that turn it good. */
  readonly success?: number;
  /** Failures in a row that turn it bad. */
  readonly failure?: number;
}

export interface Probes {
  /** Until it succeeds once, the others wait. */
  readonly startup?: Probe;
  /** Takes the copy in and out of names and routes. */
  readonly ready?: Probe;
  /** Restarts the container. */
  readonly live?: Probe;
}

/** What a service wishes. */
export interface ServiceWishes {
  readonly probes?: Probes;
  readonly routes?: readonly Route[];
  /** `host`: relative binds are real paths of the node, where the project's policy allows it. */
  readonly bind?: "host";
  /** Longest wait for open connections before the container is stopped. */
  readonly drainMs?: number;
  /** A copy counts as deployed after having been ready for this long. */
  readonly minHealthyMs?: number;
  /** A rollout that makes no progress for this long has failed. */
  readonly progressDeadlineMs?: number;
  /** What the scheduler sets aside for a copy. */
  readonly requests?: { readonly cpuMillis?: number; readonly memoryBytes?: number };
  /** Connections of one source to the service's address go to one copy. */
  readonly affinity?: AffinityWish;
  /** Fixed addresses of the copies by network, in order of the slots. */
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  /** `fence`: a copy that only one may run of stops by itself without contact, and is started elsewhere. */
  readonly failover?: "wait" | "fence";
  /** Taints of nodes that do not keep its copies away. */
  readonly tolerations?: readonly TolerationWish[];
  /** Which of the nodes that will do is taken. */
  readonly strategy?: StrategyWish;
  /** How much the scores of nodes count, by their words. */
  readonly weights?: WeightWishes;
  /** What it may count on: its own requests, or what others leave unused of theirs as well. */
  readonly class?: ClassWish;
  /** Devices of nodes, whole or in part, of any or some models. */
  readonly devices?: readonly DeviceShareWish[];
}

/** Words of `strategy`, of a service or of the whole stack. */
export const STRATEGY_WISHES = ["tightest", "room", "balanced", "cheapest"] as const;
export type StrategyWish = (typeof STRATEGY_WISHES)[number];

/** Words of `weights`. */
export const WEIGHT_WISHES = [
  "fit",
  "spread",
  "affinity",
  "images",
  "stability",
  "taints",
  "failures",
] as const;
export type WeightWishes = Readonly<Partial<Record<(typeof WEIGHT_WISHES)[number], number>>>;

/** Words of `class`. */
export const CLASS_WISHES = ["guaranteed", "burstable", "best-effort"] as const;
export type ClassWish = (typeof CLASS_WISHES)[number];

/** Devices of one kind. */
export interface DeviceShareWish {
  readonly kind: string;
  /** 1 by default. */
  readonly count?: number;
  /** Thousandths of each; whole when absent. */
  readonly shareMillis?: number;
  /** Any when absent. */
  readonly models?: readonly string[];
}

/** A taint by its key; without a value every value is meant. */
export interface TolerationWish {
  readonly key: string;
  readonly value?: string;
}

/** How long a source is remembered after its last connection; the platform's default when absent. */
export interface AffinityWish {
  readonly by: "source";
  readonly timeoutMs?: number;
}

/** What a volume wishes. */
export interface VolumeWishes {
  /** `exclusive` (default): one live user at a time. `shared`: several may write. */
  readonly mode?: "exclusive" | "shared";
  /** One volume for each copy of the service. */
  readonly perCopy?: boolean;
}

/** What kind of text a parameter's value is. */
export type ParameterType = "text" | "integer" | "number" | "boolean";

/** How a value is made up where nobody gave one. */
export type ParameterGeneration = "password" | "hex" | "base64" | "uuid" | "jwt";

/** A value that the file asks for by name: given at deploy, made up once, or its default. Used as `${NAME}`. */
export interface ParameterDeclaration {
  /** `text` by default. */
  readonly type?: ParameterType;
  /** For people, where the value is asked for. */
  readonly description?: string;
  readonly default?: string;
  /** False: an empty text stands for a value that nobody gave. True by default. */
  readonly required?: boolean;
  /** A regular expression that the whole value must match. */
  readonly pattern?: string;
  readonly choices?: readonly string[];
  readonly generate?: ParameterGeneration;
  /** Of `password` and `hex` in characters, of `base64` in bytes. */
  readonly length?: number;
  /** `jwt`: the parameter whose value is the key. */
  readonly signedWith?: string;
  /** `jwt`: what the token says. */
  readonly claims?: Readonly<Record<string, string | number | boolean>>;
  /** `jwt`: until it expires; absent is never. */
  readonly lifetimeMs?: number;
  /** Never shown. True by default where the value is made up. */
  readonly secret?: boolean;
}

/** What the stack as a whole wishes. */
export interface StackWishes {
  /** Of services that state none of their own. */
  readonly strategy?: StrategyWish;
  /** Likewise; those of a service go before, word by word. */
  readonly weights?: WeightWishes;
  /** By name. */
  readonly parameters?: Readonly<Record<string, ParameterDeclaration>>;
  /** Who schedules the stack. */
  readonly engine?: "native" | "swarm" | "kubernetes";
}

/**
 * What asks of one kind have in common, looked up once: the amounts that they take, the nodes that will never do
 * and why, the points that a node always gets, and the neighbours that they want or avoid.
 *
 * Two asks are of one shape when all but identity, service, slot, priority and gang is equal. Whole
 * numbers stand for names throughout: resources, services and levels of `DenseCluster`.
 */

import type { ClusterState } from "../cluster-state.ts";
import { meetsConstraint } from "../constraint.ts";
import type { Check, Subject } from "../filter.ts";
import { constraints } from "../filters/constraints.ts";
import { pinned } from "../filters/pinned.ts";
import { platform } from "../filters/platform.ts";
import { taints } from "../filters/taints.ts";
import type { Ask, NodeModel, ServiceAffinity, Strategy } from "../model.ts";
import type { NodeState } from "../node-state.ts";
import { weightsOf } from "../options.ts";
import type { RuleName } from "../plan.ts";
import { type DeviceNeed, type Needs, needsOf } from "../resources.ts";
import { imagesScore } from "../scores/images.ts";
import { taintsScore } from "../scores/taints.ts";
import type { Interner } from "./interner.ts";
import type { Levels } from "./levels.ts";

/** Towards another service, at a level. */
export interface Towards {
  readonly service: number;
  readonly level: number;
}

export interface Shape {
  readonly id: number;
  /** Equal for shapes that have room on the same nodes and are worth the same by each node itself, whatever runs around. */
  readonly room: number;
  readonly needs: Needs;
  /** Resources that are asked for, and how much of each. */
  readonly dims: Int32Array;
  readonly amounts: Float64Array;
  /** By node: 0, or the number (from 1) of the reason in `reasons` for which it will never do. */
  readonly standing: Uint16Array;
  readonly reasons: readonly { readonly rule: RuleName; readonly about: string }[];
  readonly devices: readonly DeviceNeed[];
  /** Copies of the service on one node. */
  readonly maxPerNode: number;
  readonly near: readonly Towards[];
  readonly apart: readonly (Towards & { readonly max: number })[];
  readonly spreads: readonly { readonly level: number; readonly maxSkew: number }[];
  /** Preferred ones; `weight` points for a domain with a copy of the service, negative to avoid it. */
  readonly attractions: readonly (Towards & { readonly weight: number })[];
  /** Preferred spread: points lost for each copy of the own service in the domain. */
  readonly evenness: readonly { readonly level: number; readonly weight: number }[];
  /** By node, what never changes (images, preferred nodes, soft taints); `undefined` when all are 0. */
  readonly points: Int32Array | undefined;
  readonly strategy: Strategy;
  /** Points lost for each copy of the service on the node, where the strategy is to spread; else 0. */
  readonly copyWeight: number;
  /** Weight of a point of fit. */
  readonly fitWeight: number;
  /** Names a service that is counted where the shape lives. */
  readonly looksAtServices: boolean;
}

/** The names of the cluster. */
export interface ShapeSite {
  readonly nodes: readonly NodeState[];
  readonly resources: Interner;
  readonly services: Interner;
  readonly levels: Levels;
  readonly strategy: Strategy;
  /** A cluster without nodes: the rules that are asked here look at the node alone. */
  readonly nowhere: ClusterState;
  /** What asks with the same words about nodes share. */
  readonly standing: Map<string, Standing>;
  /** Numbers of rooms, by amounts and words about nodes. */
  readonly rooms: Interner;
}

/** What an ask says about nodes themselves, whatever runs on them. */
export interface Standing {
  readonly number: number;
  readonly standing: Uint16Array;
  readonly reasons: Shape["reasons"];
  readonly points: Int32Array | undefined;
}

/** Points of a copy in a domain, as the spread score of the transaction has it. */
const POINTS_PER_COPY = 100;

/** Equal for asks of one shape. */
export function shapeKey(ask: Ask): string {
  const { id, service, slot, priority, gang, previousNode, failedNodes, ...shape } = ask;
  return JSON.stringify(shape);
}

/** Are the two of one shape because they hold the same objects? False may also mean that nobody looked closely. */
export function isSameShape(a: Ask, b: Ask): boolean {
  return SHAPE_FIELDS.every((field) => a[field] === b[field]);
}

/** All fields of an ask but those that `shapeKey` leaves out. The compiler refuses a list with one missing. */
const SHAPE_FIELDS = Object.keys({
  requests: true,
  ports: true,
  volumes: true,
  addresses: true,
  antiAffinities: true,
  pod: true,
  constraints: true,
  affinities: true,
  spread: true,
  maxPerNode: true,
  pinnedNode: true,
  images: true,
  tolerations: true,
  platforms: true,
  strategy: true,
} satisfies Record<Exclude<keyof Ask, Identity | Unread>, true>) as (keyof Ask)[];

/** What this engine does not read (`Engine.canDecide`): a look at each ask for nothing costs a tenth of its speed. */
type Unread = "weights" | "overcommit" | "limits" | "measured";
type Identity = "id" | "service" | "slot" | "priority" | "gang" | "previousNode" | "failedNodes";

/** O(size of the ask), and O(nodes × standing rules) where its words about nodes are new. */
export function shapeOf(ask: Ask, id: number, site: ShapeSite): Shape {
  const needs = needsOf(ask.requests, {});
  const subject: Subject = { ask, needs, cluster: site.nowhere, companions: new Set() };
  const strategy = ask.strategy ?? site.strategy;
  const weights = weightsOf(strategy);
  const towards = ({ service, level }: ServiceAffinity): Towards => ({
    service: site.services.idOf(service),
    level: site.levels.idOf(level),
  });
  const services = (ask.affinities ?? []).filter((each) => each.kind === "service");
  const away = ask.antiAffinities ?? [];
  const near = services.filter((each) => each.required).map(towards);
  const apart = away
    .filter((each) => each.required)
    .map((each) => ({ ...towards(each), max: each.max ?? 0 }));
  const attraction = (each: ServiceAffinity, sign: number) => ({
    ...towards(each),
    weight: sign * (each.weight ?? 50) * weights.affinity,
  });
  const spread = ask.spread ?? [];
  const spreads = spread
    .filter((each) => each.required)
    .map(({ level, maxSkew = 1 }) => ({ level: site.levels.idOf(level), maxSkew }));
  const evenness = spread
    .filter((each) => !each.required)
    .map(({ level, weight = 4 }) => ({
      level: site.levels.idOf(level),
      weight: weight * POINTS_PER_COPY * weights.spread,
    }));
  const { number, ...standing } = sharedStanding(subject, strategy, site);
  return {
    id,
    room: site.rooms.idOf(JSON.stringify([number, needs])),
    needs,
    dims: Int32Array.from(needs.resources, ({ name }) => site.resources.idOf(name)),
    amounts: Float64Array.from(needs.resources, ({ amount }) => amount),
    ...standing,
    devices: needs.devices,
    maxPerNode: ask.maxPerNode ?? Number.POSITIVE_INFINITY,
    near,
    apart,
    spreads,
    attractions: [
      ...services.filter((each) => !each.required).map((each) => attraction(each, 1)),
      ...away.filter((each) => !each.required).map((each) => attraction(each, -1)),
    ],
    evenness,
    strategy,
    // Few hosts are not had by spreading what asks for no spread (docs/adr/0045-two-ways-to-decide.md).
    copyWeight:
      strategy === "room" || strategy === "balanced" ? POINTS_PER_COPY * weights.spread : 0,
    fitWeight: weights.fit,
    looksAtServices:
      near.length + apart.length + spreads.length > 0 || ask.maxPerNode !== undefined,
  };
}

function sharedStanding(subject: Subject, strategy: Strategy, site: ShapeSite): Standing {
  const { pinnedNode, platforms, constraints: held, tolerations, images, affinities } = subject.ask;
  // Neighbours are no words about nodes: services that differ only in them share.
  const preferred = affinities?.filter(({ kind }) => kind === "node");
  const key = JSON.stringify([
    pinnedNode,
    platforms,
    held,
    tolerations,
    images,
    preferred?.length === 0 ? undefined : preferred,
    strategy,
  ]);
  const known = site.standing.get(key);
  if (known !== undefined) return known;
  const points = pointsOf(subject, site.nodes, strategy);
  const found = { number: site.standing.size, ...standingOf(subject, site.nodes), points };
  site.standing.set(key, found);
  return found;
}

function standingOf(subject: Subject, nodes: readonly NodeState[]) {
  const rules = [pinned, platform, constraints, taints];
  const checks = rules.flatMap((filter) =>
    filter.prepare(subject).map((check): [RuleName, Check] => [filter.rule, check]),
  );
  const reasons: { rule: RuleName; about: string }[] = [];
  const numbers = new Map<string, number>();
  const standing = Uint16Array.from(nodes, (node) => {
    for (const [rule, check] of checks) {
      const about = check(node)?.about;
      if (about === undefined) continue;
      const key = `${rule} ${about}`;
      const number = numbers.get(key) ?? reasons.push({ rule, about });
      numbers.set(key, number);
      return number;
    }
    return 0;
  });
  return { standing, reasons };
}

function pointsOf(subject: Subject, nodes: readonly NodeState[], strategy: Strategy) {
  const weights = weightsOf(strategy);
  const images = imagesScore.prepare(subject);
  const soft = taintsScore.prepare(subject);
  const wanted = (subject.ask.affinities ?? []).flatMap((each) =>
    each.kind === "node" ? [{ meets: each.constraint, weight: each.weight ?? 50 }] : [],
  );
  const preferred = (model: NodeModel) => {
    const sum = wanted.reduce(
      (all, { meets, weight }) => all + (meetsConstraint(model, meets) ? weight : 0),
      0,
    );
    return Math.max(-100, Math.min(100, sum));
  };
  const points = Int32Array.from(nodes, (node) => {
    const taintPoints = weights.taints * (soft?.(node) ?? 0);
    return (
      weights.images * (images?.(node) ?? 0) +
      taintPoints +
      weights.affinity * preferred(node.model)
    );
  });
  return points.some((each) => each !== 0) ? points : undefined;
}

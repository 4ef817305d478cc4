/** A hint is a promise: with the change that it names, and no other, the ask has a place. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Ask, ClusterModel, NodeModel, RunningTask } from "./model.ts";
import type { Hint, Refusal, SchedulePlan } from "./plan.ts";
import { makeOptions } from "./testing/fixtures.ts";
import type { Scene } from "./testing/plan-checks.ts";
import { randomScene } from "./testing/random-scene.ts";
import { Transaction } from "./transaction.ts";

const RUN = {
  numRuns: Number(process.env["RUNS"] ?? 1_000),
  seed: Number(process.env["SEED"] ?? 11),
};

/** How the change that a hint names is made. Rules that are not here are tested as "may not be hinted". */
type Remedy = (input: Input, hint: RuleHint) => Input;
type RuleHint = Extract<Hint, { kind: "rule" }>;
interface Input {
  readonly cluster: ClusterModel;
  readonly ask: Ask;
}

const REMEDIES: Readonly<Record<RuleHint["rule"], Remedy>> = {
  ready: (input, { node }) => withNode(input, node, () => ({ ready: true })),
  draining: (input, { node }) => withNode(input, node, () => ({ draining: false })),
  pinned: ({ cluster, ask: { pinnedNode, ...ask } }) => ({ cluster, ask }),
  pod: withoutHolders,
  platform: ({ cluster, ask }) => ({ cluster, ask: { ...ask, platforms: [] } }),
  constraints: ({ cluster, ask }, { about }) => {
    const constraints = (ask.constraints ?? []).filter(({ text }) => text !== about);
    return { cluster, ask: { ...ask, constraints } };
  },
  taints: ({ cluster, ask }) => ({ cluster, ask: { ...ask, tolerations: [{}] } }),
  volumes: (input, hint) =>
    hint.holder === undefined
      ? { ...input, ask: { ...input.ask, volumes: movedHere(input.ask, hint) } }
      : withoutHolders(input, hint),
  addresses: (input, hint) =>
    hint.holder === undefined
      ? withNode(input, hint.node, ({ pools }) => ({ pools: [...(pools ?? []), hint.about] }))
      : withoutHolders(input, hint),
  ports: (input, hint) => {
    if (hint.holder !== undefined) return withoutHolders(input, hint);
    return withNode(input, hint.node, ({ addresses }) => ({
      portsTaken: [],
      addresses: [...addresses, ...(input.ask.ports ?? []).flatMap(({ address }) => address ?? [])],
    }));
  },
  devices: (input, { node }) =>
    // More and better devices of the kind than anyone could have meant.
    withNode(input, node, ({ devices }) => ({
      devices: [
        ...devices,
        { kind: "gpu", model: "old", count: 4 },
        { kind: "gpu", model: "new", count: 4 },
      ],
    })),
  resources: (input, { node, about, missing = 0 }) =>
    withNode(input, node, (model) => larger(model, about, missing)),
  "max-tasks": (input, { node, missing = 0 }) =>
    withNode(input, node, ({ maxTasks = 0 }) => ({ maxTasks: maxTasks + missing })),
  affinity: (input, { about, node }) => {
    const service = about.slice(0, about.lastIndexOf("@"));
    const neighbour: RunningTask = { id: "neighbour", service, requests: NOTHING, node };
    const roomier = withNode(input, node, () => ({ maxTasks: 100 }));
    return withTasks(roomier, (tasks) => [...tasks, neighbour]);
  },
  "anti-affinity": withoutNeighbours,
  "max-per-node": ({ cluster, ask: { maxPerNode, ...ask } }) => ({ cluster, ask }),
  spread: (input) => {
    const spread = (input.ask.spread ?? []).filter(({ required }) => !required);
    return { ...input, ask: { ...input.ask, spread } };
  },
};

const NOTHING = { cpuMillis: 0, memoryBytes: 0 };

test("every hint is true", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(randomScene, fc.integer({ min: 0, max: 3 }), (drawn, draw) => {
      const scene = draw === 0 ? crowded(drawn) : drawn;
      const transaction = new Transaction(scene.cluster, makeOptions(scene));
      const plan = transaction.schedule(scene.asks);
      const cluster = withPlan(transaction.cluster(), plan);
      for (const { refusal, ask } of singles(scene, plan)) {
        for (const hint of refusal.hints) {
          const kind = hint.kind === "rule" ? hint.rule : hint.kind;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          if (kind.endsWith("affinity") && minds(ask, kind)) continue;
          const changed = apply({ cluster, ask }, hint);
          const offers = new Transaction(changed.cluster, makeOptions(scene));
          const node = hint.kind === "rule" ? hint.node : "fresh";
          assert.deepEqual(offers.verify(changed.ask, node), [], JSON.stringify(hint));
        }
      }
    }),
    RUN,
  );
  const missing = Object.keys(REMEDIES).filter((rule) => !seen.has(rule));
  assert.deepEqual(missing, [], "rules that were never hinted at");
});

/** One service, spread over zones: otherwise too few asks are refused for their spread alone. */
function crowded(scene: Scene): Scene {
  const spread = [{ level: "zone", required: true }];
  const asks = scene.asks.map(({ pod, gang, ...ask }) => ({ ...ask, service: "web", spread }));
  return { ...scene, asks };
}

function apply(input: Input, hint: Hint): Input {
  if (hint.kind === "rule") return REMEDIES[hint.rule](input, hint);
  const like = input.cluster.nodes.find(({ id }) => id === hint.node);
  assert.ok(like !== undefined);
  const fresh = { ...like, id: "fresh", ready: true, draining: false, volumes: [], portsTaken: [] };
  const cluster = { ...input.cluster, nodes: [...input.cluster.nodes, fresh] };
  return { ...input, cluster };
}

/** Refused asks that stand alone. */
function singles({ asks }: Scene, plan: SchedulePlan): { refusal: Refusal; ask: Ask }[] {
  return plan.refusals.flatMap((refusal) => {
    const ask = asks.find(({ id }) => id === refusal.ask);
    return ask === undefined || refusal.together !== undefined ? [] : [{ refusal, ask }];
  });
}

/** The placed asks are tasks already; nothing to add, but their order must not matter. */
function withPlan(cluster: ClusterModel, plan: SchedulePlan): ClusterModel {
  assert.ok(plan.placements.every(({ ask }) => cluster.tasks.some(({ id }) => id === ask)));
  return { nodes: [...cluster.nodes].reverse(), tasks: [...cluster.tasks].reverse() };
}

function withNode(
  input: Input,
  id: string,
  change: (node: NodeModel) => Partial<NodeModel>,
): Input {
  const nodes = input.cluster.nodes.map((node) =>
    node.id === id ? { ...node, ...change(node) } : node,
  );
  return { ...input, cluster: { ...input.cluster, nodes } };
}

function withTasks(
  input: Input,
  change: (tasks: readonly RunningTask[]) => readonly RunningTask[],
): Input {
  return { ...input, cluster: { ...input.cluster, tasks: change(input.cluster.tasks) } };
}

/** The one that is named lets go, or everybody where there are more. Nobody moves: others count on them. */
function withoutHolders(input: Input, { holder, holders = 1 }: RuleHint): Input {
  assert.ok(holder !== undefined, "somebody is in the way");
  return withTasks(input, (tasks) =>
    tasks.map((task) => {
      if (holders === 1 && task.id !== holder) return task;
      return { ...task, ports: [], volumes: [], addresses: [], pod: task.id };
    }),
  );
}

/** The one that is named, or all copies of the service, are somewhere else and mind nobody. */
function withoutNeighbours(input: Input, { about, holder, holders = 1 }: RuleHint): Input {
  const service = about.slice(0, about.lastIndexOf("@"));
  return withTasks(input, (tasks) =>
    tasks.map((task) => {
      const moves = holders === 1 ? task.id === holder : task.service === service;
      return moves ? { ...task, service: "elsewhere", antiAffinities: [] } : task;
    }),
  );
}

/** Does the ask mind how others lie? Then whoever moves or comes changes more than the hint is about. */
function minds({ affinities, antiAffinities, spread, maxPerNode }: Ask, kind: string): boolean {
  const isRequired = (each: { readonly kind: string; readonly required?: boolean }) =>
    each.kind === "service" && each.required === true;
  const near = (affinities ?? []).filter(isRequired).length;
  const far = (antiAffinities ?? []).filter(isRequired).length;
  const torn = kind === "affinity" ? near + far > 1 : near > 0;
  return torn || (spread ?? []).some(({ required }) => required) || maxPerNode !== undefined;
}

function movedHere(ask: Ask, { about, node }: RuleHint) {
  return (ask.volumes ?? []).map((use) => (use.key === about ? { ...use, node } : use));
}

function larger(node: NodeModel, resource: string, amount: number): Partial<NodeModel> {
  switch (resource) {
    case "cpu":
      return { cpuMillis: node.cpuMillis + amount };
    case "memory":
      return { memoryBytes: node.memoryBytes + amount };
    case "disk":
      return { diskBytes: node.diskBytes + amount };
    case "pids":
      return { pidsMax: (node.pidsMax ?? 0) + amount };
    default: {
      const { [resource]: had = 0 } = node.resources;
      return { resources: { ...node.resources, [resource]: had + amount } };
    }
  }
}

/**
 * With turns the scheduler answers as it does when it looks at every node for every ask: same nodes, scores,
 * reasons, candidates and refusals, through placements, releases, foreign tasks, cordons and undone trials.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClusterState } from "./cluster-state.ts";
import { heldTask } from "./held.ts";
import { type Ask, STRATEGIES } from "./model.ts";
import { NodeChanges } from "./node-changes.ts";
import type { ScheduleOptions } from "./options.ts";
import type { Site } from "./placing.ts";
import type { SchedulePlan } from "./plan.ts";
import { needsOf } from "./resources.ts";
import { scheduleInto } from "./scheduling.ts";
import { makeAsk, makeNode, makeOptions, makeTask } from "./testing/fixtures.ts";
import type { Scene } from "./testing/plan-checks.ts";
import { randomScene } from "./testing/random-scene.ts";
import { Turns, type TurnsLimits, turnsLimits } from "./turns.ts";

const COPIES = 3;
/** Nodes of a make in the larger clusters. */
const MULTIPLE = 9;
const node = fc.constantFrom("n0", "n1", "n2", "n3");

const change = fc.oneof(
  fc.record({ kind: fc.constant("schedule" as const) }),
  fc.record({ kind: fc.constant("release" as const), at: fc.nat(100) }),
  fc.record({ kind: fc.constant("apply" as const), node, cpuMillis: fc.nat(500) }),
  fc.record({ kind: fc.constant("ready" as const), node, ready: fc.boolean() }),
  fc.record({ kind: fc.constant("drain" as const), node, draining: fc.boolean() }),
  fc.record({ kind: fc.constant("undo" as const), at: fc.nat(100) }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** Counts what the turns decided, so that the comparison is worth something. */
interface Tally {
  decided: number;
}

function fastSite(
  scene: Scene,
  options: ScheduleOptions,
  tally: Tally,
  limits: TurnsLimits = turnsLimits(scene.cluster.nodes.length),
): Site {
  const cluster = new ClusterState(scene.cluster, options);
  const turns = new Turns(options, limits);
  const find: Site["turns"]["find"] = (subject) => {
    const found = turns.find(subject);
    if (found !== undefined) tally.decided++;
    return found;
  };
  return {
    cluster,
    options,
    turns: { find, nodesFor: (subjects) => turns.nodesFor(subjects), looks: 0 },
  };
}

function slowSite(scene: Scene, options: ScheduleOptions): Site {
  const cluster = new ClusterState(scene.cluster, options);
  return {
    cluster,
    options,
    turns: { find: () => undefined, nodesFor: () => cluster.nodes, looks: 0 },
  };
}

/** Applies the changes; every plan on the way is part of the answer. */
function live(site: Site, scene: Scene, changes: readonly Change[]): readonly SchedulePlan[] {
  const { cluster } = site;
  const plans: SchedulePlan[] = [];
  const marks = [cluster.mark()];
  for (const [step, each] of changes.entries()) {
    if (each.kind === "schedule") plans.push(scheduleInto(site, copiesOf(scene.asks, step)));
    else if (each.kind === "release") {
      const ids = [...cluster.tasks().keys()].sort();
      cluster.remove(ids[each.at % Math.max(1, ids.length)] ?? "none");
    } else if (each.kind === "apply") {
      const claims = makeTask(`new${step}`, each.node, { requests: { cpuMillis: each.cpuMillis } });
      const needs = needsOf(claims.requests, scene.defaults);
      cluster.add(heldTask({ claims, needs, node: each.node, devices: [], leaving: false }));
    } else if (each.kind === "ready") cluster.turn(each.node, { ready: each.ready });
    else if (each.kind === "drain") cluster.turn(each.node, { draining: each.draining });
    else {
      marks.length = 1 + (each.at % marks.length);
      cluster.undoTo(marks.at(-1) ?? cluster.mark());
    }
    marks.push(cluster.mark());
  }
  return [...plans, scheduleInto(site, copiesOf(scene.asks, changes.length))];
}

/** Each ask several times, so that asks of one class follow each other. */
function copiesOf(asks: readonly Ask[], step: number): readonly Ask[] {
  return asks.flatMap((ask) =>
    Array.from({ length: COPIES }, (_, copy) => ({ ...ask, id: `${ask.id}.${copy}.${step}` })),
  );
}

test("turns choose as a look at every node does, through any changes", () => {
  const tally: Tally = { decided: 0 };
  const runs = Number(process.env["RUNS"] ?? 500);
  const strategy = fc.constantFrom(...STRATEGIES);
  fc.assert(
    fc.property(randomScene, strategy, fc.array(change, { maxLength: 10 }), (scene, ...rest) => {
      const [strategy, changes] = rest;
      const options = makeOptions({ defaults: scene.defaults, strategy });
      const fast = live(fastSite(scene, options, tally), scene, changes);
      assert.deepEqual(fast, live(slowSite(scene, options), scene, changes));
    }),
    { numRuns: runs, seed: Number(process.env["SEED"] ?? 43) },
  );
  assert.ok(tally.decided > 5 * runs, `${tally.decided} decided by turns`);
});

test("turns choose so among many nodes that are mostly alike, too", () => {
  const tally: Tally = { decided: 0 };
  const runs = Math.ceil(Number(process.env["RUNS"] ?? 500) / 5);
  const strategy = fc.constantFrom(...STRATEGIES);
  const changes = fc.array(change, { maxLength: 4 });
  fc.assert(
    fc.property(randomScene, strategy, changes, (scene, strategy, changes) => {
      const nodes = scene.cluster.nodes.flatMap((node) =>
        Array.from({ length: MULTIPLE }, (_, index) =>
          index === 0 ? node : { ...node, id: `${node.id}-${index}`, volumes: [] },
        ),
      );
      const large: Scene = { ...scene, cluster: { ...scene.cluster, nodes } };
      const options = makeOptions({ defaults: scene.defaults, strategy });
      const fast = live(fastSite(large, options, tally), large, changes);
      assert.deepEqual(fast, live(slowSite(large, options), large, changes));
    }),
    { numRuns: runs, seed: Number(process.env["SEED"] ?? 44) },
  );
  assert.ok(tally.decided > 5 * runs, `${tally.decided} decided by turns`);
});

test("a node change that is not told is caught by the comparison", () => {
  const { note } = NodeChanges.prototype;
  const scene: Scene = {
    cluster: { nodes: ["n0", "n1", "n2"].map((id) => makeNode(id)), tasks: [] },
    asks: [makeAsk("web.1", { requests: { cpuMillis: 1_000 } })],
    defaults: {},
  };
  const options = makeOptions();
  const plans = (site: Site) => live(site, scene, [{ kind: "schedule" }]);
  try {
    NodeChanges.prototype.note = () => {};
    const fast = plans(fastSite(scene, options, { decided: 0 }));
    assert.notDeepEqual(fast, plans(slowSite(scene, options)));
  } finally {
    NodeChanges.prototype.note = note;
  }
});

test("more shapes and classes than are kept decide alike, too", () => {
  const services = Array.from({ length: 12 }, (_, index) => `service-${index}`);
  const round = (copy: number) =>
    services.map((service, index) =>
      makeAsk(`${service}.${copy}`, { requests: { cpuMillis: 10 * (index % 4) } }),
    );
  const scene: Scene = {
    cluster: { nodes: ["n0", "n1", "n2"].map((id) => makeNode(id)), tasks: [] },
    asks: [...round(1), ...round(2)],
    defaults: { cpuMillis: 10 },
  };
  const options = makeOptions({ defaults: scene.defaults });
  const tally: Tally = { decided: 0 };
  const fast = live(fastSite(scene, options, tally, { shapes: 2, classes: 3 }), scene, []);
  assert.deepEqual(fast, live(slowSite(scene, options), scene, []));
  assert.equal(tally.decided, COPIES * scene.asks.length);
});

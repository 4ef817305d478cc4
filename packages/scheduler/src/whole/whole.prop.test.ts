/**
 * Whole-cluster operations are held against the oracle: what they answer obeys every rule, is never worse than what
 * they began with, and no bound lies above what is possible.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Ask, type NodeModel, type RunningTask, STRATEGIES } from "../model.ts";
import { makeAsk, makeNode } from "../testing/fixtures.ts";
import { oracleFits } from "../testing/oracle.ts";
import { useOf } from "../trace/summary.ts";
import { analyseFailures } from "./failures.ts";
import { headroom } from "./headroom.ts";
import { pack } from "./packing.ts";
import { rebalance } from "./rebalancing.ts";
import { scaleInCandidates } from "./scale-in.ts";

const RUNS = Number(process.env["RUNS"] ?? 150);
const STEPS = 200;

interface Scene {
  readonly nodes: readonly NodeModel[];
  readonly asks: readonly Ask[];
}

const scene: fc.Arbitrary<Scene> = fc
  .record({
    nodes: fc.array(
      fc.record({
        cpu: fc.integer({ min: 2, max: 10 }),
        memory: fc.integer({ min: 2, max: 10 }),
        zone: fc.constantFrom("a", "b"),
      }),
      {
        minLength: 2,
        maxLength: 6,
      },
    ),
    asks: fc.array(
      fc.record({
        service: fc.constantFrom("web", "api", "db"),
        cpu: fc.integer({ min: 0, max: 5 }),
        memory: fc.integer({ min: 0, max: 5 }),
      }),
      { minLength: 1, maxLength: 14 },
    ),
    apart: fc.constantFrom(undefined, "web", "api"),
    bears: fc.nat(2),
    most: fc.constantFrom(undefined, 1, 2),
    skew: fc.constantFrom(undefined, 1, 2),
  })
  .map(({ nodes, asks, apart, bears, most, skew }) => ({
    nodes: nodes.map(({ cpu, memory, zone }, index) =>
      makeNode(`n${index}`, { cpuMillis: cpu, memoryBytes: memory, topology: { zone } }),
    ),
    asks: asks.map(({ service, cpu, memory }, index) =>
      makeAsk(`a${index}`, {
        service,
        requests: { cpuMillis: cpu, memoryBytes: memory },
        ...(most === undefined ? {} : { maxPerNode: most }),
        ...(skew === undefined || service !== "web"
          ? {}
          : { spread: [{ level: "zone", required: true, maxSkew: skew }] }),
        ...(apart === undefined || service !== "db"
          ? {}
          : {
              antiAffinities: [
                {
                  kind: "service" as const,
                  service: apart,
                  level: "node",
                  required: true,
                  max: bears,
                },
              ],
            }),
      }),
    ),
  }));

/** Every task could be placed where it is beside all the others; spread, which looks at the order, apart. */
function offences(
  { nodes, asks }: Scene,
  placements: ReadonlyMap<string, string>,
): readonly string[] {
  const tasks = asks.flatMap((ask): RunningTask[] => {
    const node = placements.get(ask.id);
    return node === undefined ? [] : [{ ...ask, node, devices: [] }];
  });
  return asks.flatMap(({ spread, ...ask }) => {
    const node = nodes.find(({ id }) => id === placements.get(ask.id));
    if (node === undefined) return [];
    const others = tasks.filter(({ id }) => id !== ask.id);
    return oracleFits({ nodes, tasks: others, defaults: {} }, ask, node)
      ? []
      : [`${ask.id} on ${node.id}`];
  });
}

function skewOf({ nodes, asks }: Scene, placements: ReadonlyMap<string, string>): number {
  const zoneOf = new Map(nodes.map(({ id, topology }) => [id, topology["zone"] ?? ""]));
  const counts = new Map([...new Set(zoneOf.values())].map((zone) => [zone, 0]));
  for (const { id, service } of asks) {
    const zone = zoneOf.get(placements.get(id) ?? "");
    if (service === "web" && zone !== undefined) counts.set(zone, (counts.get(zone) ?? 0) + 1);
  }
  return Math.max(...counts.values()) - Math.min(...counts.values());
}

function packed({ nodes, asks }: Scene, steps: number) {
  const packing = pack({ nodes, asks, seed: 3, isOver: (done) => done >= steps });
  return {
    packing,
    placements: new Map([...packing.placements].map(([ask, { node }]) => [ask, node])),
  };
}

test("a packing obeys every rule, and more steps never take more hosts", () => {
  fc.assert(
    fc.property(scene, (each) => {
      const first = packed(each, 0);
      const { packing, placements } = packed(each, STEPS);
      assert.deepEqual(offences(each, placements), []);
      assert.equal(placements.size + packing.refusals.length, each.asks.length);
      assert.equal(packing.refusals.length, first.packing.refusals.length);
      assert.ok(packing.hostsUsed <= first.packing.hostsUsed);
      assert.equal(packing.hostsUsed, new Set(placements.values()).size);
    }),
    { numRuns: RUNS },
  );
});

test("when the time is up, the first packing is finished and no other is begun", () => {
  fc.assert(
    fc.property(scene, fc.nat(3), (each, looks) => {
      const { nodes, asks } = each;
      let asked = 0;
      const isLate = () => ++asked > looks;
      const late = pack({ nodes, asks, seed: 3, isOver: () => true, isLate });
      const placements = new Map([...late.placements].map(([ask, { node }]) => [ask, node]));
      assert.deepEqual(offences(each, placements), []);
      assert.equal(placements.size + late.refusals.length, asks.length);
      // One look before each further packing, and one at its beginning, until the first that says so.
      assert.ok(asked <= 4 && (looks > 0 || asked <= 2), `${asked} looks`);
      const others = pack({ nodes, asks, seed: 3, isOver: () => true }).hostsUsed;
      if (looks >= 4) assert.equal(late.hostsUsed, others);
      else assert.ok(late.refusals.length > 0 || late.hostsUsed >= others);
    }),
    { numRuns: RUNS },
  );
});

test("the bound on hosts is never above what some packing needs", () => {
  fc.assert(
    fc.property(scene, (each) => {
      const { placements } = packed(each, STEPS);
      const placed = each.asks.flatMap(({ id, requests }) => {
        const node = placements.get(id);
        return node === undefined ? [] : [{ node, requests }];
      });
      const { hostsUsed, lowerBound } = useOf(each.nodes, placed, []);
      assert.ok(lowerBound <= hostsUsed, `${lowerBound} <= ${hostsUsed}`);
    }),
    { numRuns: RUNS },
  );
});

test("rebalancing is never worse, breaks nothing, and each of its moves is possible when its turn comes", () => {
  fc.assert(
    fc.property(scene, fc.nat(6), (each, moves) => {
      const { placements: initial } = packed(each, 0);
      const soft = each.nodes.map(() => ({}));
      const asks = each.asks.map((ask) => ({
        ask,
        arriveMs: undefined,
        departMs: undefined,
        minDomains: new Map(),
      }));
      const result = rebalance({
        nodes: each.nodes,
        soft,
        asks,
        initial: new Map([...initial].map(([ask, node]) => [ask, { node }])),
        moves,
        transient: [],
        seed: 5,
        isOver: (steps) => steps >= STEPS,
      });
      const { before, after, lowerBound } = result.objective;
      assert.ok(
        after <= before + 1e-9 && after >= lowerBound - 1e-9,
        `${before} ${after} ${lowerBound}`,
      );
      assert.ok(result.moves.length <= moves);
      const now = new Map(initial);
      const skewBefore = skewOf(each, initial);
      for (const { ask, from, to } of result.moves) {
        assert.equal(now.get(ask), from);
        now.set(ask, to);
        assert.deepEqual(offences(each, now), []);
      }
      assert.deepEqual(now, new Map(result.placements));
      const most = Math.max(
        0,
        ...each.asks.flatMap(({ spread }) => spread?.map(({ maxSkew = 1 }) => maxSkew) ?? []),
      );
      if (most > 0) assert.ok(skewOf(each, now) <= Math.max(most, skewBefore));
    }),
    { numRuns: RUNS },
  );
});

test("what a failure answer calls fitting fits, and the state is as before", () => {
  fc.assert(
    fc.property(scene, fc.constantFrom(...STRATEGIES), (each, strategy) => {
      const { placements } = packed(each, 0);
      const running = each.asks.flatMap((ask) => {
        const node = placements.get(ask.id);
        return node === undefined ? [] : [{ ask, node }];
      });
      const input = { nodes: each.nodes, running, seed: 3, strategy };
      const answers = analyseFailures({ ...input, level: "node" });
      assert.equal(answers.length, each.nodes.length);
      // Asked twice, and after other domains, it answers alike: nothing is left behind.
      assert.deepEqual(analyseFailures({ ...input, level: "node" }), answers);
      const sum = (of: readonly { readonly tasks: number }[]) =>
        of.reduce((all, { tasks }) => all + tasks, 0);
      assert.equal(sum(answers), running.length);
      assert.equal(sum(analyseFailures({ ...input, level: "zone" })), running.length);
      for (const { node, tasks } of scaleInCandidates(input)) {
        assert.ok(each.nodes.some(({ id }) => id === node));
        assert.ok(tasks <= running.length);
      }
    }),
    { numRuns: RUNS },
  );
});

test("headroom counts copies until one does not fit", () => {
  const nodes = [makeNode("n0", { cpuMillis: 10 }), makeNode("n1", { cpuMillis: 7 })];
  const running = [{ ask: makeAsk("t", { requests: { cpuMillis: 3 } }), node: "n0" }];
  const asks = [
    makeAsk("small", { requests: { cpuMillis: 2 } }),
    makeAsk("one", { requests: { cpuMillis: 2 }, maxPerNode: 1 }),
  ];
  const counts = headroom({ nodes, running, asks, seed: 1, strategy: "tightest" });
  assert.deepEqual(
    counts.map(({ copies }) => copies),
    [6, 2],
  );
});

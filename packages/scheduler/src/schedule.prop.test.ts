/** What must hold for any cluster and any asks; the oracle in `testing/` decides what is allowed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@berth/base";
import fc from "fast-check";
import { STRATEGIES } from "./model.ts";
import { makeAsk, makeNode, makeOptions } from "./testing/fixtures.ts";
import { planOffences, type Scene } from "./testing/plan-checks.ts";
import { randomScene } from "./testing/random-scene.ts";
import { schedule, Transaction } from "./transaction.ts";

/** Kept small enough for every commit; raise with RUNS=100000 when the engine changes. */
const RUNS = Number(process.env["RUNS"] ?? 1_000);
const SEED = Number(process.env["SEED"] ?? 20_261_120);
const RUN = { numRuns: RUNS, seed: SEED };

const strategy = fc.constantFrom(...STRATEGIES);

test("no plan breaks a rule, and nothing is refused that would fit", () => {
  let placed = 0;
  let refused = 0;
  fc.assert(
    fc.property(randomScene, strategy, (scene, strategy) => {
      const plan = schedule(scene.cluster, scene.asks, makeOptions({ ...scene, strategy }));
      assert.deepEqual(planOffences(scene, plan), []);
      placed += plan.placements.length;
      refused += plan.refusals.length;
    }),
    RUN,
  );
  // The scenes are worth something only while both outcomes are common.
  assert.ok(placed > RUNS && refused > RUNS, `${placed} placed, ${refused} refused`);
});

test("placing and taking back restores the cluster", () => {
  fc.assert(
    fc.property(randomScene, (scene) => {
      const transaction = new Transaction(scene.cluster, makeOptions(scene));
      const before = JSON.stringify(transaction.cluster());
      const first = transaction.whatIf((trial) => JSON.stringify(trial.schedule(scene.asks)));
      assert.equal(JSON.stringify(transaction.cluster()), before);
      assert.equal(JSON.stringify(transaction.schedule(scene.asks)), first);
    }),
    RUN,
  );
});

test("releasing what was placed makes room for it again", () => {
  fc.assert(
    fc.property(randomScene, (scene) => {
      const transaction = new Transaction(scene.cluster, makeOptions(scene));
      const first = transaction.schedule(scene.asks);
      for (const { ask } of first.placements) assert.ok(transaction.release(ask));
      assert.equal(JSON.stringify(transaction.schedule(scene.asks)), JSON.stringify(first));
    }),
    RUN,
  );
});

test("every placement passes verification on the cluster it was made for", () => {
  fc.assert(
    fc.property(randomScene, (scene) => {
      const transaction = new Transaction(scene.cluster, makeOptions(scene));
      const single = scene.asks.filter((ask) => ask.pod === undefined && ask.gang === undefined);
      for (const ask of single) {
        const verdicts = scene.cluster.nodes.map(({ id }) => transaction.verify(ask, id));
        const plan = transaction.schedule([ask]);
        assert.equal(
          plan.placements.length === 1,
          verdicts.some((found) => found.length === 0),
        );
      }
    }),
    RUN,
  );
});

test("nobody waits for room that a lower priority was given in the same batch", () => {
  let tested = 0;
  fc.assert(
    fc.property(randomScene, (scene) => {
      const asks = scene.asks.map(({ pod, gang, ...ask }) => ask);
      const transaction = new Transaction(scene.cluster, makeOptions(scene));
      const plan = transaction.schedule(asks);
      const priorityOf = new Map(asks.map(({ id, priority = 50 }) => [id, priority]));
      for (const ask of asks.filter((each) =>
        plan.refusals.some(({ ask: id }) => id === each.id),
      )) {
        const lower = plan.placements.filter(
          (placed) => (priorityOf.get(placed.ask) ?? 0) < (ask.priority ?? 50),
        );
        // Where a lower one came first it may have been the neighbour that a higher one needed.
        const priorities = plan.placements.map((placed) => priorityOf.get(placed.ask) ?? 0);
        const enabled = priorities.some(
          (priority, at) => priority > (priorities[at - 1] ?? priority),
        );
        const spread = (ask.spread ?? []).some(({ required }) => required);
        if (lower.length === 0 || spread || enabled) continue;
        tested++;
        transaction.whatIf((trial) => {
          for (const placed of lower) trial.release(placed.ask);
          for (const { id } of scene.cluster.nodes) {
            assert.notDeepEqual(trial.verify(ask, id), [], `${ask.id} on ${id}`);
          }
        });
      }
    }),
    RUN,
  );
  assert.ok(tested > 100, `${tested} cases`);
});

test("the order of the input does not show, over 1,000 seeds", () => {
  const scenes = fc.sample(randomScene, { numRuns: 1_000, seed: SEED });
  scenes.forEach((scene, seed) => {
    const plan = JSON.stringify(
      schedule(scene.cluster, scene.asks, makeOptions({ ...scene, seed })),
    );
    const shuffled = shuffle(scene, new Prng(seed));
    const options = makeOptions({ ...scene, seed });
    assert.equal(JSON.stringify(schedule(shuffled.cluster, shuffled.asks, options)), plan);
    assert.equal(JSON.stringify(schedule(scene.cluster, scene.asks, options)), plan);
  });
});

test("the seed decides between nodes that are alike", () => {
  const nodes = ["a", "b", "c", "d"].map((id) => makeNode(id));
  const chosen = Array.from({ length: 100 }, (_, seed) => {
    const plan = schedule({ nodes, tasks: [] }, [makeAsk("web.1")], makeOptions({ seed }));
    return plan.placements.map(({ node }) => node).join();
  });
  const counts = Map.groupBy(chosen, (node) => node);
  for (const { id } of nodes) {
    // 25 expected; 10 or fewer would happen once in 10,000 runs of an even choice.
    assert.ok((counts.get(id)?.length ?? 0) > 10, `${id}: ${counts.get(id)?.length}`);
  }
});

function shuffle({ cluster, asks, defaults }: Scene, prng: Prng): Scene {
  const mix = <T>(items: readonly T[]) =>
    items
      .map((item) => ({ item, key: prng.float() }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item);
  const reversed = <T extends object>(record: T) =>
    Object.fromEntries(Object.entries(record).reverse()) as T;
  return {
    cluster: {
      nodes: mix(cluster.nodes).map((node) => ({ ...node, resources: reversed(node.resources) })),
      tasks: mix(cluster.tasks),
    },
    asks: mix(asks).map((ask) => reversed(ask)),
    defaults,
  };
}

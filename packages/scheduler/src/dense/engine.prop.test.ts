/**
 * The engine of typed arrays is held against the oracle: whatever it places may be there, and whatever it refuses
 * fits nowhere, while tasks come and go and nodes fail; with its cursors, tournaments and counters alive all the time.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Ask, type NodeModel, type RunningTask, STRATEGIES } from "../model.ts";
import { oracleFits } from "../testing/oracle.ts";
import { randomScene } from "../testing/random-scene.ts";
import { Engine } from "./engine.ts";

const RUNS = Number(process.env["RUNS"] ?? 300);

/** Draws that are read one after the other: what happens next, and to whom. */
const draws = fc.array(fc.nat(1_000), { minLength: 10, maxLength: 60 });

/** What the engine does not decide is taken out; copies of a service refuse the same neighbours. */
function traceable(asks: readonly Ask[]): readonly Ask[] {
  const distances = new Map<string, Ask["antiAffinities"]>();
  return asks.map((ask) => {
    const { ports, volumes, addresses, pod, gang, antiAffinities, ...rest } = ask;
    if (!distances.has(ask.service)) distances.set(ask.service, antiAffinities);
    const apart = distances.get(ask.service);
    return apart === undefined ? rest : { ...rest, antiAffinities: apart };
  });
}

class Mirror {
  readonly nodes: NodeModel[];
  tasks: RunningTask[] = [];

  constructor(nodes: readonly NodeModel[]) {
    this.nodes = [...nodes];
  }

  fitting(ask: Ask): readonly string[] {
    const scene = { nodes: this.nodes, tasks: this.tasks, defaults: {} };
    return this.nodes.filter((node) => oracleFits(scene, ask, node)).map(({ id }) => id);
  }
}

for (const strategy of STRATEGIES) {
  test(`${strategy}: nothing is placed against a rule, nothing is refused that fits`, () => {
    fc.assert(
      fc.property(randomScene, draws, (scene, numbers) => {
        const nodes = scene.cluster.nodes.map((node) => ({
          ...node,
          ready: true,
          draining: false,
        }));
        const engine = new Engine(nodes, { seed: 7, strategy });
        const mirror = new Mirror(nodes);
        const asks = traceable(scene.asks).map(({ strategy: _own, ...ask }) => ask);
        numbers.forEach((draw, step) => {
          const task = mirror.tasks[draw % Math.max(1, mirror.tasks.length)];
          if (draw % 4 === 0 && task !== undefined) {
            assert.ok(engine.release(task.id));
            mirror.tasks = mirror.tasks.filter((each) => each !== task);
          } else if (draw % 17 === 1 && nodes.length > 0) {
            const at = draw % nodes.length;
            const ready = !(mirror.nodes[at]?.ready ?? true);
            mirror.nodes[at] = { ...(mirror.nodes[at] as NodeModel), ready };
            engine.turn(mirror.nodes[at].id, { ready });
          } else {
            const ask = { ...(asks[draw % asks.length] as Ask), id: `s${step}` };
            const fitting = mirror.fitting(ask);
            const [decision] = engine.decide([ask]);
            assert.ok(decision !== undefined);
            const { node, devices } = decision;
            if (node === undefined)
              assert.deepEqual(fitting, [], JSON.stringify(decision.refusal?.()));
            else {
              assert.ok(
                fitting.includes(node),
                `${ask.id} may not be on ${node}: ${fitting.join()}`,
              );
              mirror.tasks.push({ ...ask, node, devices });
            }
          }
        });
      }),
      { numRuns: RUNS },
    );
  });
}

test("a refusal counts every node once, by a rule that the node breaks", () => {
  fc.assert(
    fc.property(randomScene, (scene) => {
      const engine = new Engine(scene.cluster.nodes, { seed: 7, strategy: "tightest" });
      for (const ask of traceable(scene.asks)) {
        const [decision] = engine.decide([ask]);
        const refusal = decision?.refusal?.();
        if (refusal === undefined) continue;
        assert.equal(
          refusal.rules.reduce((sum, { count }) => sum + count, 0),
          scene.cluster.nodes.length,
        );
      }
    }),
    { numRuns: RUNS },
  );
});

test("same input, same decisions, whatever the order of the nodes", () => {
  fc.assert(
    fc.property(randomScene, fc.infiniteStream(fc.nat()), (scene, order) => {
      const decide = (nodes: readonly NodeModel[]) => {
        const engine = new Engine(nodes, { seed: 7, strategy: "balanced" });
        return traceable(scene.asks).flatMap((ask) =>
          engine.decide([ask]).map(({ ask: id, node, devices }) => ({ id, node, devices })),
        );
      };
      const shuffled = [...scene.cluster.nodes]
        .map((node) => ({ node, at: order.next().value ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ node }) => node);
      assert.deepEqual(decide(shuffled), decide(scene.cluster.nodes));
    }),
    { numRuns: RUNS },
  );
});

/** What must hold when asks displace tasks; the rules are asked through `Transaction.verify`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClusterState } from "../cluster-state.ts";
import type { Ask, ClusterModel, RunningTask } from "../model.ts";
import { needsOf } from "../resources.ts";
import { makeOptions } from "../testing/fixtures.ts";
import type { Scene } from "../testing/plan-checks.ts";
import { randomScene } from "../testing/random-scene.ts";
import { Transaction } from "../transaction.ts";
import { chooseSlowly, Displacing } from "./displacing.ts";

const RUN = {
  numRuns: Number(process.env["RUNS"] ?? 1_000),
  seed: Number(process.env["SEED"] ?? 5),
};

const priorities = fc.array(fc.constantFrom(10, 20, 50), { minLength: 5, maxLength: 5 });
const limits = fc.constantFrom<Record<string, number>>({}, { web: 0 }, { web: 1, api: 1 });

/** Tasks of several priorities, on nodes that are full of them; asks that stand alone. */
function crowded({ cluster, asks }: Scene, levels: readonly number[]) {
  const tasks = cluster.tasks.map(({ pod, ...task }, index): RunningTask => {
    return { ...task, priority: levels[index % levels.length] ?? 50 };
  });
  const wanting = asks.map(({ pod, gang, ...ask }): Ask => ask);
  return { cluster: { ...cluster, tasks } satisfies ClusterModel, asks: wanting };
}

test("victims have a lower priority and are all needed, limits hold, and nothing waits that could displace", () => {
  let victimsSeen = 0;
  let refusalsSeen = 0;
  fc.assert(
    fc.property(randomScene, priorities, limits, (scene, levels, limits) => {
      const { cluster, asks } = crowded(scene, levels);
      const options = makeOptions({ defaults: scene.defaults, preemption: { limits } });
      const transaction = new Transaction(cluster, options);
      const gone: RunningTask[] = [];
      for (const ask of asks) {
        const before = transaction.cluster();
        const { placements } = transaction.schedule([ask]);
        const [placed] = placements;
        const replay = new Transaction(before, options);
        const left = (service: string) =>
          (limits[service] ?? 100) - gone.filter((task) => task.service === service).length;
        if (placed === undefined) {
          refusalsSeen++;
          for (const { id } of cluster.nodes) {
            replay.whatIf((trial) => {
              for (const task of lowerOn(before, id, ask, left)) trial.release(task.id);
              assert.notDeepEqual(trial.verify(ask, id), [], `${ask.id} would fit on ${id}`);
            });
          }
          continue;
        }
        const victims = (placed.victims ?? []).map((id) => taskOf(before, id));
        if (victims.length > 0) {
          for (const { id } of cluster.nodes) assert.notDeepEqual(replay.verify(ask, id), []);
        }
        for (const victim of victims) {
          victimsSeen++;
          assert.ok((victim.priority ?? 50) < (ask.priority ?? 50));
          assert.equal(victim.node, placed.node);
          replay.release(victim.id);
        }
        assert.deepEqual(replay.verify(ask, placed.node), []);
        for (const victim of victims) {
          replay.whatIf((trial) => {
            trial.apply(victim);
            assert.notDeepEqual(trial.verify(ask, placed.node), [], `${victim.id} need not go`);
          });
        }
        gone.push(...victims);
      }
      for (const [service, limit] of Object.entries(limits)) {
        assert.ok(gone.filter((task) => task.service === service).length <= limit);
      }
    }),
    RUN,
  );
  assert.ok(victimsSeen > RUN.numRuns / 20, `${victimsSeen} victims`);
  assert.ok(refusalsSeen > RUN.numRuns / 10, `${refusalsSeen} refusals`);
});

test("a gang displaces as a whole: all of it has places, or everybody stays", () => {
  let displaced = 0;
  let absent = 0;
  fc.assert(
    fc.property(randomScene, priorities, limits, (scene, levels, limits) => {
      const { cluster, asks } = crowded(scene, levels);
      const gang = asks.slice(0, 3).map(({ id, service, requests, antiAffinities }): Ask => {
        const claims = { id, service, ...(antiAffinities === undefined ? {} : { antiAffinities }) };
        return { ...claims, requests: { ...requests, cpuMillis: 1_500 }, gang: "g", priority: 60 };
      });
      const options = makeOptions({ defaults: scene.defaults, preemption: { limits } });
      const transaction = new Transaction(cluster, options);
      const before = transaction.cluster();
      const { placements } = transaction.schedule(gang);
      const victims = placements.flatMap(({ victims = [] }) => victims);
      if (placements.length === 0) {
        absent++;
        assert.deepEqual(transaction.cluster(), before);
        return;
      }
      assert.equal(placements.length, gang.length);
      if (victims.length > 0) displaced++;
      for (const id of victims) {
        assert.ok((taskOf(before, id).priority ?? 50) < 60);
        assert.equal(transaction.release(id), false, `${id} is gone`);
      }
      for (const [service, limit] of Object.entries(limits)) {
        const gone = victims.filter((id) => taskOf(before, id).service === service);
        assert.ok(gone.length <= limit);
      }
      const replay = new Transaction(before, options);
      for (const { ask, node, victims: own = [], devices } of placements) {
        for (const id of own) replay.release(id);
        const wanted = gang.find(({ id }) => id === ask);
        assert.ok(wanted !== undefined);
        replay.apply({ ...wanted, node, devices });
      }
      assert.deepEqual(replay.cluster(), transaction.cluster());
      const stands = () =>
        placements.every(({ ask, node }) => {
          const wanted = gang.find(({ id }) => id === ask);
          return replay.whatIf((trial) => {
            trial.release(ask);
            return wanted !== undefined && trial.verify(wanted, node).length === 0;
          });
        });
      if (!stands()) return;
      for (const id of victims) {
        const mark = replay.mark();
        replay.apply(taskOf(before, id));
        assert.ok(!stands(), `${id} need not go`);
        replay.undo(mark);
      }
    }),
    RUN,
  );
  assert.ok(displaced > RUN.numRuns / 50, `${displaced} gangs displaced somebody`);
  assert.ok(absent > RUN.numRuns / 10, `${absent} gangs have no place`);
});

function lowerOn(
  { tasks }: ClusterModel,
  node: string,
  ask: Ask,
  left: (service: string) => number,
): readonly RunningTask[] {
  const lower = tasks.filter(
    (task) =>
      task.node === node &&
      task.leaving !== true &&
      task.pod === undefined &&
      (task.priority ?? 50) < (ask.priority ?? 50),
  );
  // Which of a service may go matters where not all may; then this asks for less than could be.
  return lower.filter(
    ({ service }) => lower.filter((t) => t.service === service).length <= left(service),
  );
}

function taskOf({ tasks }: ClusterModel, id: string): RunningTask {
  const task = tasks.find((each) => each.id === id);
  assert.ok(task !== undefined, `${id} ran before`);
  return task;
}

test("the mildest node is that of a look at every node, through any changes", () => {
  let compared = 0;
  fc.assert(
    fc.property(randomScene, priorities, limits, fc.array(fc.nat(9)), (scene, levels, ...rest) => {
      const [limits, choices] = rest;
      const { cluster, asks } = crowded(scene, levels);
      const options = makeOptions({ defaults: scene.defaults, preemption: { limits } });
      const state = new ClusterState(cluster, options);
      const displacing = new Displacing();
      const marks = [state.mark()];
      for (const choice of choices) {
        const ask = { ...asks[choice % asks.length], service: "new", priority: 40 } as Ask;
        const needs = needsOf(ask.requests, options.defaults);
        const subject = { ask, needs, cluster: state, companions: new Set<string>() };
        const found = displacing.choose(subject, 40);
        const slow = chooseSlowly(subject, 40);
        assert.equal(found?.node.model.id, slow?.node.model.id);
        assert.equal(found?.count, slow?.count);
        assert.deepEqual(
          found?.victims.map(({ claims }) => claims.id),
          slow?.victims.map(({ claims }) => claims.id),
        );
        if (found !== undefined) compared++;
        if (choice < 5) for (const { claims } of found?.victims ?? []) state.displace(claims.id);
        else state.undoTo(marks[choice % marks.length] ?? state.mark());
        if (choice >= 5) marks.length = 1 + (choice % marks.length);
        marks.push(state.mark());
      }
    }),
    RUN,
  );
  assert.ok(compared > RUN.numRuns / 10, `${compared} choices compared`);
});

test("what is undone was not displaced", () => {
  fc.assert(
    fc.property(randomScene, priorities, (scene, levels) => {
      const { cluster, asks } = crowded(scene, levels);
      const limits = { web: 1, api: 1, db: 1 };
      const options = makeOptions({ defaults: scene.defaults, preemption: { limits } });
      const transaction = new Transaction(cluster, options);
      const before = JSON.stringify(transaction.cluster());
      const first = transaction.whatIf((trial) => JSON.stringify(trial.schedule(asks)));
      assert.equal(JSON.stringify(transaction.cluster()), before);
      assert.equal(JSON.stringify(transaction.schedule(asks)), first);
    }),
    RUN,
  );
});

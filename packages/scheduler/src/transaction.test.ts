/** What callers of the package rely on beyond the dialogues: limits, names, assertions, what-if. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { explainHints, explainPlacement, explainRefusal, explainRules } from "./explain.ts";
import type { NodeModel, Requests } from "./model.ts";
import { HINTS_MAX, NODES_NAMED_MAX } from "./plan.ts";
import { makeAsk, makeNode, makeOptions, makeTask } from "./testing/fixtures.ts";
import { schedule, Transaction } from "./transaction.ts";

const EMPTY = { nodes: [], tasks: [] };

test("an empty batch and an empty cluster give an empty plan", () => {
  assert.deepEqual(schedule(EMPTY, [], makeOptions()), { placements: [], refusals: [] });
});

test("a refusal names at most so many nodes and hints, and counts all", () => {
  const nodes = Array.from({ length: 30 }, (_, index) =>
    makeNode(`n${index}`, { taints: [{ key: `t${index % 7}`, effect: "no-schedule" }] }),
  );
  const { refusals } = schedule({ nodes, tasks: [] }, [makeAsk("a")], makeOptions());
  const [refusal] = refusals;
  assert.equal(refusal?.hints.length, HINTS_MAX);
  assert.deepEqual(
    refusal?.rules.map(({ count }) => count),
    [5, 5, 4, 4, 4, 4, 4],
  );
  const many = nodes.map((node) => ({ ...node, taints: [], ready: false }));
  const [one] = schedule({ nodes: many, tasks: [] }, [makeAsk("a")], makeOptions()).refusals;
  assert.equal(one?.rules[0]?.count, 30);
  assert.equal(one?.rules[0]?.nodes.length, NODES_NAMED_MAX);
});

test("words use the reader's names for nodes and tasks", () => {
  const nodes = [makeNode("n1", { portsTaken: [] })];
  const tasks = [makeTask("t1", "n1", { ports: [{ protocol: "tcp", port: 80 }] })];
  const ask = makeAsk("a", { ports: [{ protocol: "tcp", port: 80 }] });
  const names: Readonly<Record<string, string>> = { n1: "frankfurt-1", t1: "shop/web.1" };
  const nameOf = (id: string) => names[id] ?? id;
  const plan = schedule({ nodes, tasks }, [ask, makeAsk("b")], makeOptions());
  const [refusal] = plan.refusals;
  const [placement] = plan.placements;
  assert.ok(refusal !== undefined && placement !== undefined);
  const words = "0 of 1 nodes fit: 1 has port 80/tcp taken by shop/web.1";
  assert.equal(explainRefusal(refusal, nameOf), words);
  assert.deepEqual(explainRules(refusal, nameOf), [
    { count: 1, words: "has port 80/tcp taken by shop/web.1" },
  ]);
  assert.deepEqual(explainHints(refusal, nameOf), [
    "shop/web.1 let go of port 80/tcp on frankfurt-1",
    "a node like frankfurt-1 joined",
  ]);
  const best = "frankfurt-1: 1000 points, the only one that fits (fit 100 x 10)";
  assert.equal(explainPlacement(placement, nameOf), best);
});

test("a what-if leaves no trace, also when it throws", () => {
  const nodes = [makeNode("a"), makeNode("b", { draining: true })];
  const transaction = new Transaction({ nodes, tasks: [makeTask("t", "a")] }, makeOptions());
  const before = JSON.stringify(transaction.cluster());
  const node = transaction.whatIf((trial) => {
    assert.ok(trial.release("t"));
    assert.ok(trial.turn("a", { ready: false }));
    assert.ok(trial.turn("b", { draining: false }));
    return trial.schedule([makeAsk("t")]).placements[0]?.node;
  });
  assert.equal(node, "b");
  assert.equal(JSON.stringify(transaction.cluster()), before);
  const fail = () =>
    transaction.whatIf((trial) => {
      trial.release("t");
      throw new RangeError("stop");
    });
  assert.throws(fail, RangeError);
  assert.equal(JSON.stringify(transaction.cluster()), before);
});

test("what does not exist is not released and not turned", () => {
  const transaction = new Transaction(EMPTY, makeOptions());
  assert.equal(transaction.release("t"), false);
  assert.equal(transaction.turn("n", { ready: true }), false);
});

test("the model that a transaction was made from is never changed", () => {
  const cluster = { nodes: [makeNode("a")], tasks: [makeTask("t", "a")] };
  const before = JSON.stringify(cluster);
  const transaction = new Transaction(cluster, makeOptions());
  transaction.turn("a", { draining: true });
  transaction.release("t");
  transaction.schedule([makeAsk("x")]);
  assert.equal(JSON.stringify(cluster), before);
});

test("weights override the strategy's", () => {
  const nodes = [makeNode("full"), makeNode("empty")];
  const tasks = [makeTask("t", "full", { requests: { cpuMillis: 3_000 } })];
  const ask = makeAsk("a", { requests: { cpuMillis: 500 }, previousNode: "full" });
  const nodeWith = (weights: { fit?: number; stability?: number }) =>
    schedule({ nodes, tasks }, [ask], makeOptions({ weights })).placements[0]?.node;
  assert.equal(nodeWith({}), "empty");
  assert.equal(nodeWith({ stability: 50 }), "full");
  assert.equal(nodeWith({ fit: 0 }), "full");
});

/** Wrong input that is the caller's fault, and what is said about it. */
const WRONG: readonly (readonly [RegExp, () => unknown])[] = [
  [
    /two nodes have one id/,
    () => schedule(clusterOf(makeNode("a"), makeNode("a")), [], makeOptions()),
  ],
  [/two asks have one id/, () => schedule(EMPTY, [makeAsk("a"), makeAsk("a")], makeOptions())],
  [/has the id of a task/, () => schedule(taskOn("t"), [makeAsk("t")], makeOptions())],
  [/cpu is not a whole number/, () => requesting({ cpuMillis: 0.5 })],
  [/memory is not a whole number/, () => requesting({ memoryBytes: -1 })],
  [/disk is not a whole number/, () => requesting({ diskBytes: Number.NaN })],
  [/licence is not a whole number/, () => requesting({ resources: { licence: 1.5 } })],
  [/share of gpu/, () => requesting({ devices: [{ kind: "gpu", shareMillis: 1_001 }] })],
  [/count of gpu/, () => requesting({ devices: [{ kind: "gpu", count: 0.5 }] })],
  [
    /name of a built-in/,
    () => schedule(clusterOf(makeNode("a", { resources: { cpu: 1 } })), [], makeOptions()),
  ],
  [
    /cpu of a is not/,
    () => schedule(clusterOf(makeNode("a", { cpuMillis: 0.5 })), [], makeOptions()),
  ],
  [/seed is not an integer/, () => schedule(EMPTY, [], makeOptions({ seed: 0.5 }))],
];

test("programmer errors are asserted", () => {
  for (const [message, call] of WRONG) assert.throws(call, message);
});

function clusterOf(...nodes: readonly NodeModel[]) {
  return { nodes, tasks: [] };
}

function taskOn(id: string) {
  return { nodes: [], tasks: [makeTask(id, "nowhere")] };
}

function requesting(requests: Requests) {
  return schedule(EMPTY, [makeAsk("a", { requests })], makeOptions());
}

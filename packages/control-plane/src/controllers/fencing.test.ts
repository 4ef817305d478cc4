/** The fence hook runs when something waits for it, again until it succeeds, and leaves a trace. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type AuditEntry, keys, type Node } from "@berth/protocol";
import { taskRow } from "../api/api-fixture.ts";
import { ModelCluster } from "../testing/model-cluster.ts";
import { EXCLUSIVE_VOLUME, serviceSpec, stackSpec, stopFirst, writes } from "../testing/specs.ts";
import { TableCluster } from "../testing/table-cluster.ts";
import { fenceBegins, fenceEnds, fencesDue } from "./fence-action.ts";
import type { FenceOutcome, FenceRequest } from "./fence-port.ts";

/** A hook that gives the outcomes in turn, each after a second; `fenced` once there are no more. */
class Hook {
  readonly requests: FenceRequest[] = [];
  readonly #outcomes: FenceOutcome[];
  cluster: ModelCluster | undefined;

  constructor(...outcomes: FenceOutcome[]) {
    this.#outcomes = outcomes;
  }

  fence = (request: FenceRequest): Promise<FenceOutcome> => {
    this.requests.push(request);
    const outcome = this.#outcomes.shift() ?? { fenced: true, message: "power is off" };
    return new Promise((resolve) => this.cluster?.clock.setTimer(1_000, () => resolve(outcome)));
  };
}

/** Two nodes; the database on a file server runs on one of them, which then dies. */
async function databaseOnDeadNode(hook: Hook, driverOptions = { type: "nfs" } as object) {
  const cluster = new ModelCluster(1, {}, { fenceHook: hook });
  hook.cluster = cluster;
  await cluster.start("n1", "n2");
  const db = serviceSpec({ mounts: writes("data"), update: stopFirst() });
  const volumes = { data: { ...EXCLUSIVE_VOLUME, driverOptions: { ...driverOptions } } };
  await cluster.deploy(stackSpec({ db }, { volumes }));
  await cluster.until(() => cluster.rollout() === "complete", "the database runs");
  const node = cluster.live("db")[0]?.task.node ?? "";
  cluster.agents.get(node)?.kill();
  const row = (): Node | undefined => cluster.plane.state.view.nodes.get(keys.node(node))?.value;
  await cluster.until(() => row()?.contact === "down", "the node is down");
  return { cluster, node, row };
}

test("a hook that fails is run again with pauses, and once it succeeds the copy moves", async () => {
  const hook = new Hook(
    { fenced: false, message: "no answer" },
    { fenced: false, message: "no answer" },
  );
  const { cluster, node, row } = await databaseOnDeadNode(hook);
  await cluster.until(() => row()?.fence?.state === "failed", "it failed");
  assert.deepEqual(row()?.fence?.message, "no answer");
  assert.equal(cluster.live("db")[0]?.task.node, node, "nothing moves before");
  await cluster.until(() => row()?.fence?.state === "done", "it is fenced");
  const elsewhere = () =>
    cluster.live("db").some(({ task, status }) => task.node !== node && status?.ready);
  await cluster.until(elsewhere, "the database runs elsewhere");
  assert.deepEqual(
    hook.requests.map(({ attempt }) => attempt),
    [1, 2, 3],
  );
  assert.equal(hook.requests[0]?.node, node);
  const given = cluster.all("db").flatMap(({ task }) => task.verdict?.reason ?? []);
  assert.deepEqual(given, [`no contact with ${node}, which was fenced by its hook`]);
  const { entries } = await cluster.store.list(keys.audit(""));
  const actions = entries.map(({ value }) => (JSON.parse(value) as AuditEntry).action);
  const twice = ["fenceNode running", "fenceNode failed"];
  assert.deepEqual(actions, [...twice, ...twice, "fenceNode running", "fenceNode done"]);
  const reasons = cluster.plane.state.view.events.all().map(({ value }) => value.reason);
  for (const reason of ["node_fencing", "node_fence_failed", "node_fenced"]) {
    assert.ok(reasons.includes(reason), `${reason} in ${reasons}`);
  }
});

test("nobody is fenced for copies that would stay all the same", async () => {
  const hook = new Hook();
  const { cluster } = await databaseOnDeadNode(hook, {});
  await cluster.pass(60_000);
  assert.deepEqual(hook.requests, []);
});

test("a node is fenced while it is down, a copy waits for it, no outage is too large and it is due", () => {
  const cluster = new TableCluster();
  cluster.addNode("n1");
  const down = { contact: "down", contactChangedAt: 5 } as const;
  const dueWith = (changes: Partial<Node>) => {
    cluster.addNode("n1", changes);
    const { due, nextAt } = fencesDue(cluster.view, 1_000, new Set());
    return [due.map(({ value }) => value.name), nextAt];
  };
  assert.deepEqual(dueWith(down), [[], undefined], "nothing waits");
  const task = taskRow("single01", { node: "n1", exclusive: true });
  cluster.put("task", keys.task(task, task.id), task);
  const fence = { by: "hook", at: 10, attempts: 1 } as const;
  const failed = { ...fence, state: "failed" } as const;
  const cases: readonly [Partial<Node>, readonly unknown[]][] = [
    [{}, [[], undefined]],
    [down, [["n1"], undefined]],
    [{ ...down, evictionPausedUntil: 9_000 }, [[], undefined]],
    [{ ...down, fence: { ...fence, state: "done" } }, [[], undefined]],
    [{ ...down, fence: { ...fence, state: "running" } }, [["n1"], undefined]],
    [{ ...down, fence: { ...failed, nextAttemptAt: 2_000 } }, [[], 2_000]],
    [{ ...down, fence: { ...failed, nextAttemptAt: 900 } }, [["n1"], undefined]],
  ];
  for (const [changes, answer] of cases) {
    assert.deepEqual(dueWith(changes), answer, JSON.stringify(changes));
  }
  cluster.addNode("n1", down);
  assert.deepEqual(
    fencesDue(cluster.view, 1_000, new Set(["n1"])).due,
    [],
    "its hook runs already",
  );
});

test("a node that is back before the hook has ended stays as it is", () => {
  const node: Node = {
    name: "n1",
    labels: {},
    availability: "active",
    joinedAt: 0,
    contact: "down",
    contactChangedAt: 5,
  };
  const begun = fenceBegins(node, 10);
  const fenced = { fenced: true, message: "off" };
  assert.equal(fenceEnds(begun, begun, fenced, 20)?.fence?.state, "done");
  assert.equal(fenceEnds({ ...node, contact: "up" }, begun, fenced, 20), undefined);
  // Silent again since: what the hook did was for the silence before.
  assert.equal(fenceEnds({ ...begun, contactChangedAt: 15 }, begun, fenced, 20), undefined);
  assert.equal(fenceEnds(undefined, begun, fenced, 20), undefined);
  const person = { state: "done", by: "person", who: "me", at: 12, attempts: 1 } as const;
  assert.equal(fenceEnds({ ...begun, fence: person }, begun, fenced, 20), undefined);
});

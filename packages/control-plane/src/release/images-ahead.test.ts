/** Images come before a release where old copies end first; a deployment waits for them, and fails without them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Deployment, keys, type Operation, type OperationInput } from "@berth/protocol";
import { nodeStatusRow, releaseRow, stackRow, taskRow } from "../api/api-fixture.ts";
import { packUnits } from "../plan/unit.ts";
import { serviceSpec, stackSpec, stopFirst } from "../testing/specs.ts";
import { TableCluster } from "../testing/table-cluster.ts";
import { deploymentStep } from "./deployment-step.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" } as const;
const OLD = { reference: "app:1", imageId: `sha256:${"1".repeat(64)}` };
const NEW = { reference: "app:2", imageId: `sha256:${"2".repeat(64)}` };

/** A copy of `web` runs on n2; a deployment of its next version has its images resolved on n1. */
function world(update: ReturnType<typeof stopFirst>) {
  const cluster = new TableCluster();
  for (const node of ["n1", "n2"]) cluster.addNode(node);
  const spec = { ...serviceSpec({ image: "app:1", update }) };
  const services = { web: { spec, image: OLD, template: "t1" } };
  cluster.put("stack", keys.stack(SCOPE), stackRow());
  cluster.put("release", keys.release(SCOPE, 1), releaseRow({ services }));
  cluster.put("task", keys.task(SCOPE, "task01"), taskRow("task01", { node: "n2" }));
  const resolving: Operation = {
    ...{ ...SCOPE, id: "op000001", node: "n1", createdAt: 1, updatedAt: 1 },
    input: { kind: "resolve-images", images: [] },
    state: "done",
    images: { "app:2": NEW },
  };
  cluster.put("operation", keys.operation("n1", resolving.id), resolving);
  const deployment: Deployment = {
    ...{ ...SCOPE, id: "deploy01", createdAt: 1, createdBy: "me", state: "pending", secrets: {} },
    spec: stackSpec({ web: serviceSpec({ image: "app:2", update }) }),
    operation: resolving.id,
  };
  cluster.put("deployment", keys.deployment(SCOPE, deployment.id), deployment);
  const step = () => {
    const row = cluster.view.deployments.get(keys.deployment(SCOPE, deployment.id));
    assert.ok(row);
    const { view, now, settings } = cluster;
    const input = { view, deployment: row, now, newId: cluster.ids.identifier, settings };
    const unit = deploymentStep(input);
    for (const { txn } of unit === undefined ? [] : packUnits([unit], [])) {
      assert.ok(cluster.apply(txn));
    }
    const { state, error } = cluster.view.deployments.get(row.key)?.value ?? {};
    return error === undefined ? state : `${state}: ${error.message}`;
  };
  const fetches = () =>
    cluster.view.operations.all().filter(({ value }) => value.input.kind === "fetch-images");
  const finish = (changes: Partial<Operation>) => {
    for (const { key, value } of fetches()) cluster.put("operation", key, { ...value, ...changes });
  };
  return { cluster, step, fetches, finish };
}

test("a release waits until the image is where its copy is stopped first", () => {
  const { step, fetches, finish } = world(stopFirst());
  assert.equal(step(), "pending");
  const inputs = fetches().map(({ value }): [string, OperationInput] => [value.node, value.input]);
  assert.deepEqual(inputs, [["n2", { kind: "fetch-images", images: [NEW] }]]);
  assert.equal(step(), "pending");
  finish({ state: "running", progress: "half" });
  assert.equal(step(), "pending");
  finish({ state: "done" });
  assert.equal(step(), "released");
  assert.equal(fetches().length, 1);
});

test("without the image nothing is changed, and the deployment says why", () => {
  const { step, finish, cluster } = world(stopFirst());
  step();
  const error = { code: "image_unavailable", message: "image app:2 cannot be had", details: {} };
  finish({ state: "failed", error });
  assert.equal(step(), "failed: node n2: image app:2 cannot be had");
  assert.equal(cluster.view.stacks.get(keys.stack(SCOPE))?.value.release, 1);
});

test("nothing is fetched ahead for copies that end after their successors, nor what is there", () => {
  const free = world(serviceSpec().update);
  assert.equal(free.step(), "released");
  const { cluster, step, fetches } = world(stopFirst());
  const images = [{ id: NEW.imageId, sizeBytes: 1, names: [] }];
  cluster.put("node-status", keys.nodeStatus("n2"), nodeStatusRow({ name: "n2", images }));
  assert.equal(step(), "released");
  assert.equal(fetches().length, 0);
});

test("a node that is lost meanwhile is not waited for", () => {
  const { cluster, step } = world(stopFirst());
  step();
  cluster.addNode("n2", { contact: "down" });
  assert.equal(step(), "released");
});

test("images are looked for on the node that has most of them", () => {
  const { cluster } = world(stopFirst());
  const images = [{ id: NEW.imageId, sizeBytes: 1, names: ["docker.io/library/app:2"] }];
  cluster.put("node-status", keys.nodeStatus("n2"), nodeStatusRow({ name: "n2", images }));
  const key = keys.deployment(SCOPE, "deploy01");
  const { operation: _none, ...fresh } = cluster.view.deployments.get(key)?.value ?? assert.fail();
  cluster.put("deployment", key, fresh);
  const row = cluster.view.deployments.get(key) ?? assert.fail();
  const { view, now, settings } = cluster;
  const newId = cluster.ids.identifier;
  const unit = deploymentStep({ view, deployment: row, now, newId, settings });
  for (const { txn } of packUnits(unit === undefined ? [] : [unit], [])) cluster.apply(txn);
  const nodes = view.operations.all().map(({ value }) => value.node);
  assert.deepEqual(nodes.sort(), ["n1", "n2"]);
});

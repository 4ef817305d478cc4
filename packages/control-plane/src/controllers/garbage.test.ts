/** What is forgotten and what never is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys } from "@berth/protocol";
import { ModelCluster, SHOP } from "../testing/model-cluster.ts";
import { serviceSpec, stackSpec } from "../testing/specs.ts";

const PERIOD_MS = 601_000;

async function deployed(versions: number, settings: ConstructorParameters<typeof ModelCluster>[1]) {
  const cluster = new ModelCluster(1, settings);
  await cluster.start("node-1");
  for (let version = 1; version <= versions; version++) {
    await cluster.deploy(stackSpec({ web: serviceSpec({ environment: { V: String(version) } }) }));
    await cluster.until(
      () => cluster.stack()?.goodRelease === version,
      `release ${version} is good`,
    );
  }
  return cluster;
}

test("releases and deployments beyond the kept ones go, the current one never", async () => {
  const cluster = await deployed(6, { releasesKept: 2, deploymentsKept: 3 });
  await cluster.pass(PERIOD_MS);
  const { view } = cluster.plane.state;
  assert.deepEqual(
    view.releases.all().map(({ value }) => value.number),
    [4, 5, 6],
  );
  assert.equal(view.deployments.size, 3);
});

test("ended tasks stay as the history of their slot, up to a number", async () => {
  const cluster = await deployed(6, { endedTasksKept: 2 });
  await cluster.pass(5_000);
  assert.equal(cluster.all("web").length, 3);
  assert.equal(cluster.plane.state.view.statuses.size, 3);
});

test("audit and idempotency records go when they are old enough", async () => {
  const cluster = await deployed(1, { auditAgeMs: 60_000, idempotencyAgeMs: 60_000 });
  const at = cluster.clock.now();
  const put = (key: string, value: unknown) =>
    cluster.store.txn({ compare: [], then: [{ kind: "put", key, value: JSON.stringify(value) }] });
  await put(keys.audit("old"), { at });
  await put(keys.idempotency("old"), { at });
  await cluster.pass(PERIOD_MS);
  await put(keys.audit("new"), { at: cluster.clock.now() + PERIOD_MS });
  await cluster.pass(PERIOD_MS);
  const left = await cluster.store.list("-/-/audit/");
  assert.deepEqual(
    left.entries.map(({ key }) => key),
    [keys.audit("new")],
  );
  assert.equal((await cluster.store.list("-/-/idempotency/")).entries.length, 0);
});

test("events are kept up to a number and told once", async () => {
  const cluster = await deployed(4, { eventsKept: 3 });
  await cluster.pass(PERIOD_MS);
  const messages = cluster.plane.state.view.events
    .by("environment", `${SHOP.project}/${SHOP.environment}`)
    .map(({ value }) => value.message);
  assert.deepEqual(messages, [
    "release 3: rollout is complete",
    "release 4: rollout began",
    "release 4: rollout is complete",
  ]);
});

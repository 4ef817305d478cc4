/** Ports and routes: one holder in the cluster, named to whoever asks for the same. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelCluster, SHOP } from "../testing/model-cluster.ts";
import { serviceSpec, stackSpec } from "../testing/specs.ts";

const OTHER = { ...SHOP, stack: "other" };

function publishing(published: number | undefined, hostAddress?: string, host?: string) {
  return stackSpec({
    web: serviceSpec({
      ports: [
        {
          target: 80,
          protocol: "tcp",
          ...(published === undefined ? {} : { published }),
          ...(hostAddress === undefined ? {} : { hostAddress }),
        },
      ],
      routes: host === undefined ? [] : [{ host, path: "/", port: 80 }],
    }),
  });
}

async function withShop(...args: Parameters<typeof publishing>): Promise<ModelCluster> {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(publishing(...args));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  return cluster;
}

test("a port and a route belong to one stack, and the refusal names it", async () => {
  const cluster = await withShop(8_080, undefined, "x.example.com");
  await assert.rejects(cluster.deploy(publishing(8_080), OTHER), {
    code: "claim_taken",
    message: /^services\.web\.ports\[0\]: 8080\/tcp belongs to default\/main\/shop\/web$/,
  });
  await assert.rejects(
    cluster.deploy(publishing(8_081, undefined, "x.example.com"), OTHER),
    /x\.example\.com\/ belongs to default\/main\/shop\/web/,
  );
});

test("every address and one address exclude each other; two addresses do not", async () => {
  const cluster = await withShop(8_080, "127.0.0.1");
  await assert.rejects(cluster.deploy(publishing(8_080, "0.0.0.0"), OTHER), {
    code: "claim_taken",
  });
  await cluster.deploy(publishing(8_080, "10.0.0.5"), OTHER);
});

test("a port that is no longer needed is free when the rollout is over", async () => {
  const cluster = await withShop(8_080);
  await cluster.deploy(publishing(8_081));
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  await cluster.pass(1_000);
  await cluster.deploy(publishing(8_080), OTHER);
});

test("while a rollout may go back its ports are kept", async () => {
  const cluster = await withShop(8_080);
  await cluster.deploy(publishing(8_081));
  await cluster.until(() => cluster.stack()?.release === 2, "release 2 is there");
  await assert.rejects(cluster.deploy(publishing(8_080), OTHER), { code: "claim_taken" });
});

test("a port without a number gets one and keeps it", async () => {
  const cluster = await withShop(undefined);
  const port = () => {
    const releases = cluster.plane.state.view.releases.by("stack", "default/main/shop");
    return releases.at(-1)?.value.services["web"]?.spec.ports[0]?.published;
  };
  assert.equal(port(), 30_000);
  const next = publishing(undefined);
  const web = serviceSpec({ ...next.services["web"], environment: { V: "2" } });
  await cluster.deploy({ ...next, services: { web } });
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  assert.equal(port(), 30_000);
});

test("two stacks that ask at the same time: one has it", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(publishing(9_000));
  await cluster.deploy(publishing(9_000), OTHER);
  const states = () =>
    cluster.plane.state.view.deployments
      .all()
      .map(({ value }) => value.state)
      .sort();
  await cluster.until(() => !states().includes("pending"), "both are decided");
  assert.deepEqual(states(), ["failed", "released"]);
});

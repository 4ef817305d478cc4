/** Removing a network by hand: who keeps it, what goes with it, and that no copy is put onto one that goes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys, type Network } from "@berth/protocol";
import { ModelCluster, SHOP } from "../testing/model-cluster.ts";
import { NETWORK, serviceSpec, stackSpec } from "../testing/specs.ts";
import { beginNetworkRemoval, endNetworkRemoval } from "./network-removal.ts";

/** After which an address that a copy had is free. */
const QUARANTINE_MS = 30_000;
const DEFAULT = { scope: SHOP, name: "default" };

const viewOf = (cluster: ModelCluster) => cluster.plane.state.view;

function networkOf(cluster: ModelCluster): Network | undefined {
  return viewOf(cluster).networks.get(keys.network(SHOP, "default"))?.value;
}

async function deployed(copies: number, subnet?: string): Promise<ModelCluster> {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await deploy(cluster, copies, subnet);
  return cluster;
}

async function deploy(cluster: ModelCluster, copies: number, subnet?: string): Promise<void> {
  const networks = { default: { ...NETWORK, ...(subnet === undefined ? {} : { subnet }) } };
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies }) }, { networks }));
  await cluster.until(
    () => cluster.ready("web") === copies && cluster.live("web").length === copies,
    `${copies} copies are ready`,
  );
}

/** A network that nobody is on, with an address of a service. */
async function unused(): Promise<ModelCluster> {
  const cluster = await deployed(1);
  await deploy(cluster, 0);
  await cluster.pass(2 * QUARANTINE_MS);
  return cluster;
}

function serviceAddresses(cluster: ModelCluster): number {
  return viewOf(cluster).claims.by("kind", "service-address").length;
}

test("it is refused by name while copies are on it, and while their addresses rest", async () => {
  const cluster = await deployed(2);
  const used = beginNetworkRemoval(viewOf(cluster), DEFAULT);
  assert.ok(used.kind === "refused");
  assert.equal(used.code, "still_in_use");
  assert.equal(used.message, "network shop/default is used by shop/web-1, shop/web-2");
  await deploy(cluster, 0);
  await cluster.pass(1_000);
  const resting = beginNetworkRemoval(viewOf(cluster), DEFAULT);
  assert.ok(resting.kind === "refused");
  assert.match(resting.message, /^addresses of network shop\/default rest until 20/);
  const none = beginNetworkRemoval(viewOf(cluster), { scope: SHOP, name: "back" });
  assert.ok(none.kind === "refused");
  assert.deepEqual([none.code, none.details], ["not_found", { networks: ["default"] }]);
});

test("it goes with its claims, and the next copy makes it anew with the range stated by then", async () => {
  const cluster = await unused();
  const before = networkOf(cluster);
  assert.equal(serviceAddresses(cluster), 1);
  const marked = await cluster.commit(beginNetworkRemoval(viewOf(cluster), DEFAULT));
  assert.equal(await cluster.commit(endNetworkRemoval(viewOf(cluster), marked)), "gone");
  await cluster.settle();
  assert.equal(networkOf(cluster), undefined);
  assert.equal(serviceAddresses(cluster), 0);
  const subnet = { kind: "subnet", subnet: before?.subnet ?? "" } as const;
  assert.equal(viewOf(cluster).claims.get(keys.claim(subnet)), undefined);
  await deploy(cluster, 1, "10.99.0.0/24");
  assert.equal(networkOf(cluster)?.subnet, "10.99.0.0/24");
  assert.equal(serviceAddresses(cluster), 1);
});

test("a removal that was cut off is ended by the stack's tidying, and a copy waits for that", async () => {
  const cluster = await unused();
  const { id } = await cluster.commit(beginNetworkRemoval(viewOf(cluster), DEFAULT));
  await deploy(cluster, 1);
  assert.notEqual(networkOf(cluster)?.id, id);
});

test("a copy that was faster keeps the network, and loses nothing", async () => {
  const cluster = await unused();
  const network = networkOf(cluster);
  assert.ok(network !== undefined);
  // As a plan leaves it that was committed between the look and the mark.
  const claim = keys.claim({ kind: "address", networkId: network.id, address: "10.64.0.9" });
  const holder = JSON.stringify({ stack: "default/main/shop", service: "web", tasks: ["t1"] });
  const decided = beginNetworkRemoval(viewOf(cluster), DEFAULT);
  await cluster.store.txn({ compare: [], then: [{ kind: "put", key: claim, value: holder }] });
  const marked = await cluster.commit(decided);
  assert.equal(await cluster.commit(endNetworkRemoval(viewOf(cluster), marked)), "used");
  await cluster.settle();
  assert.deepEqual(networkOf(cluster), network);
});

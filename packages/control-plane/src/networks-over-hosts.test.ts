/** Which networks span hosts, since when, and what the server claims and tells for it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkPeer } from "@berth/protocol";
import { overlayIdOf } from "./addresses/overlay-ids.ts";
import { Directory } from "./directory/directory.ts";
import { pairsOf, wantedCheck } from "./explain/network-pairs.ts";
import { claimNameOf } from "./release/claims.ts";
import { removeStack } from "./release/stack-commands.ts";
import { ModelCluster, SHOP } from "./testing/model-cluster.ts";
import { NETWORK, serviceSpec, stackSpec, stopFirst } from "./testing/specs.ts";

const NODES = ["node-1", "node-2", "node-3"];

async function deployed(nodes: readonly string[], copies: number): Promise<ModelCluster> {
  const cluster = new ModelCluster();
  await cluster.start(...nodes);
  await deploy(cluster, copies);
  return cluster;
}

async function deploy(cluster: ModelCluster, copies: number): Promise<void> {
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies }) }));
  await cluster.until(() => cluster.ready("web") === copies, `${copies} copies are ready`);
}

function networkOf(cluster: ModelCluster) {
  const [network] = cluster.plane.state.view.networks.all();
  assert.ok(network);
  return network.value;
}

/** `node address` of every node in the network; in quarantine with a `-` before it. */
function nodesIn(cluster: ModelCluster): string[] {
  const { view } = cluster.plane.state;
  return view.claims
    .by("network", networkOf(cluster).id)
    .filter(({ value }) => value.node !== undefined)
    .map(({ key, value }) => {
      const mark = value.freeAt === undefined ? "" : "-";
      return `${mark}${value.node} ${claimNameOf(key)[2]?.split(".").at(-1)}`;
    })
    .sort();
}

function lastBytes(cluster: ModelCluster): number[] {
  return nodesIn(cluster)
    .map((each) => Number(each.split(" ")[1]))
    .sort();
}

function peersOf(cluster: ModelCluster, node: string): NetworkPeer[] {
  const items = new Directory(cluster.plane.state).list("peer", node);
  return items.map(({ value }) => value as NetworkPeer).sort((a, b) => (a.node < b.node ? -1 : 1));
}

test("a cluster of one node claims and tells nothing for it", async () => {
  const cluster = await deployed(["node-1"], 3);
  assert.deepEqual(nodesIn(cluster), []);
  assert.equal(overlayIdOf(cluster.plane.state.view, networkOf(cluster).id), undefined);
  assert.equal(networkOf(cluster).mtu, undefined);
  assert.deepEqual(peersOf(cluster, "node-1"), []);
});

test("a network spans hosts from the task on that a second node has of it", async () => {
  const cluster = await deployed(NODES, 1);
  assert.deepEqual(nodesIn(cluster), []);
  assert.equal(networkOf(cluster).mtu, 1_450);
  await deploy(cluster, 3);
  assert.deepEqual(
    nodesIn(cluster)
      .map((each) => each.split(" ")[0])
      .sort(),
    NODES,
  );
  assert.deepEqual(lastBytes(cluster), [252, 253, 254]);
  const peers = peersOf(cluster, "node-2");
  assert.deepEqual(
    peers.map(({ node }) => node),
    NODES,
  );
  assert.equal(new Set(peers.map(({ overlayId }) => overlayId)).size, 1);
  assert.deepEqual(peers[0]?.underlay, { address: "192.0.2.1", port: 4_789, mtu: 1_500 });
  assert.match(peers[0]?.mac ?? "", /^02:42:0a:/);
});

test("a network of the first node's grows to a node that joins", async () => {
  const cluster = await deployed(["node-1"], 1);
  await cluster.join("node-2");
  await deploy(cluster, 2);
  assert.equal(nodesIn(cluster).length, 2);
  assert.equal(networkOf(cluster).mtu, undefined);
  assert.equal(peersOf(cluster, "node-1").length, 2);
});

test("a node that leaves a network gives its address back after the quarantine", async () => {
  const cluster = await deployed(NODES, 3);
  const before = nodesIn(cluster);
  await deploy(cluster, 1);
  await cluster.until(
    () => nodesIn(cluster).filter((each) => each.startsWith("-")).length === 2,
    "two left",
  );
  const kept = nodesIn(cluster).filter((each) => !each.startsWith("-"));
  assert.equal(peersOf(cluster, kept[0]?.split(" ")[0] ?? "").length, 1);
  await deploy(cluster, 3);
  assert.deepEqual(nodesIn(cluster), before, "who returns in time has its address");
  await deploy(cluster, 1);
  await cluster.pass(60_000);
  assert.equal(nodesIn(cluster).length, 1);
});

test("a node that has an address which a file names takes another", async () => {
  const cluster = new ModelCluster();
  await cluster.start(...NODES);
  const networks = { default: { ...NETWORK, subnet: "10.99.0.0/24" } };
  const web = serviceSpec({ copies: 3 });
  await cluster.deploy(stackSpec({ web }, { networks }));
  await cluster.until(() => cluster.ready("web") === 3, "all are ready");
  const address = "10.99.0.254";
  const uses = { default: { aliases: [], ipv4Address: address } };
  const db = serviceSpec({ networks: uses, update: stopFirst() });
  await cluster.deploy(stackSpec({ web, db }, { networks }));
  await cluster.until(() => cluster.ready("db") === 1, "db is ready");
  assert.equal(cluster.live("db")[0]?.task.attachments[0]?.address, address);
  assert.deepEqual(lastBytes(cluster), [251, 252, 253]);
});

test("addresses that a file names are no node's from the beginning", async () => {
  const cluster = new ModelCluster();
  await cluster.start(...NODES);
  const networks = { default: { ...NETWORK, subnet: "10.99.0.0/24" } };
  const uses = { default: { aliases: [], addresses: ["10.99.0.254", "10.99.0.253"] } };
  const fixed = serviceSpec({ copies: 2, networks: uses, update: stopFirst() });
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 3 }), fixed }, { networks }));
  await cluster.until(() => cluster.ready("fixed") + cluster.ready("web") === 5, "all are ready");
  assert.deepEqual(lastBytes(cluster), [250, 251, 252]);
});

test("two stacks that share a network are on it together", async () => {
  const cluster = await deployed(["node-1", "node-2"], 1);
  const guest = { ...SHOP, stack: "guest" };
  const joined = { internal: false, labels: {}, external: { stack: "shop", name: "default" } };
  const spec = stackSpec({ web: serviceSpec({ copies: 2 }) }, { networks: { default: joined } });
  await cluster.deploy(spec, guest);
  await cluster.until(() => cluster.rollout(guest) === "complete", "the guest is there");
  assert.equal(nodesIn(cluster).length, 2);
  assert.equal(peersOf(cluster, "node-1").length, 2);
});

test("a node that tells no address is no peer until it does", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const silent = await cluster.join("node-2", { isUnreachable: true });
  await deploy(cluster, 2);
  assert.deepEqual(
    peersOf(cluster, "node-2").map(({ node }) => node),
    ["node-1"],
  );
  const directory = new Directory(cluster.plane.state);
  const told: string[] = [];
  cluster.plane.state.onChange((batch) => {
    for (const { key, network } of directory.follow(batch).shared) told.push(`${key} ${network}`);
  });
  await silent.tellUnderlay({ address: "192.0.2.2", port: 4_790, mtu: 9_000 });
  await cluster.settle();
  const { id } = networkOf(cluster);
  assert.deepEqual(told, [`-/-/peer/${id}/node-2 ${id}`]);
});

test("a stack takes what its networks claimed along", async () => {
  const cluster = await deployed(NODES, 3);
  const { view } = cluster.plane.state;
  await cluster.commit(removeStack(view, { scope: SHOP, volumes: [], now: cluster.clock.now() }));
  await cluster.until(() => cluster.stack() === undefined, "the stack is gone");
  assert.equal(view.claims.size, 0);
});

test("the way to a node is tried by a running copy there, on a network that both take part in", async () => {
  const cluster = await deployed(NODES, 2);
  const { view } = cluster.plane.state;
  const [here, there] = cluster.live("web").map(({ task }) => task.node);
  const away = NODES.find((name) => name !== here && name !== there);
  assert.ok(here !== undefined && there !== undefined && away !== undefined);
  const wanted = wantedCheck(view, here, there);
  const copy = cluster.live("web").find(({ task }) => task.node === there);
  assert.equal(wanted.target?.address, copy?.task.attachments[0]?.address);
  assert.equal(wanted.target?.mtu, 1_450);
  assert.equal(wanted.target?.ready, true);
  const none = wantedCheck(view, away, there);
  assert.match(none.target === undefined ? none.message : "", /no network has running copies/);
  cluster.agents.get(there)?.kill();
  await cluster.pass(10_000);
  const down = wantedCheck(view, here, there);
  assert.equal(down.target === undefined && down.message, `node ${there} is down`);
});

test("ways are tried in both directions; a name limits them, two leave one pair", () => {
  assert.equal(pairsOf(NODES, {}).length, 6);
  assert.equal(pairsOf(NODES, { from: "node-1" }).length, 4);
  assert.deepEqual(pairsOf(NODES, { from: "node-1", to: "node-3" }), [
    ["node-1", "node-3"],
    ["node-3", "node-1"],
  ]);
});

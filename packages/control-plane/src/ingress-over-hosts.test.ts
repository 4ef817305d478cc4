/** Which nodes answer routes: what is claimed for them, told to them, and given back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Certificate,
  type DeclaredService,
  keys,
  type NetworkPeer,
  type RouteSpec,
} from "@berth/protocol";
import { needsOfNode } from "./certificates/node-needs.ts";
import { Directory } from "./directory/directory.ts";
import { UNLABELLED_MAX } from "./reconcile/ingress-nodes.ts";
import { encode } from "./state/decode.ts";
import { ModelCluster } from "./testing/model-cluster.ts";
import { serviceSpec, stackSpec } from "./testing/specs.ts";

const NODES = ["node-1", "node-2", "node-3"];
const ROUTE: RouteSpec = { host: "shop.example.com", path: "/", port: 80 };

async function deployed(nodes: readonly string[], routes: RouteSpec[] = [ROUTE]) {
  const cluster = new ModelCluster();
  await cluster.start(...nodes);
  await deploy(cluster, routes);
  return cluster;
}

async function deploy(cluster: ModelCluster, routes: RouteSpec[]): Promise<void> {
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 1, routes }) }));
  await cluster.until(() => cluster.rollout() === "complete" && cluster.ready("web") === 1, "web");
  await cluster.pass(1_000);
}

async function label(cluster: ModelCluster, node: string, value: string): Promise<void> {
  const key = keys.node(node);
  const known = cluster.plane.state.view.nodes.get(key)?.value;
  assert.ok(known);
  const labels = { ...known.labels, "berth.ingress": value };
  await cluster.store.txn({
    compare: [],
    then: [{ kind: "put", key, value: encode({ ...known, labels }) }],
  });
  await cluster.pass(1_000);
}

/** `node` of each peer, with `+` where it answers, `-` where it leaves that to others, `?` undecided. */
function answering(cluster: ModelCluster, seenBy: string): string {
  const peers = new Directory(cluster.plane.state).list("peer", seenBy);
  return peers
    .map(({ value }) => value as NetworkPeer)
    .map(({ node, ingress }) => `${node}${ingress === undefined ? "?" : ingress ? "+" : "-"}`)
    .sort()
    .join(" ");
}

/** A node without a copy, and the one that has it. */
function homes(cluster: ModelCluster): { readonly home: string; readonly away: string } {
  const home = cluster.live("web")[0]?.task.node;
  const away = NODES.find((name) => name !== home);
  assert.ok(home !== undefined && away !== undefined);
  return { home, away };
}

test("one node answers its own routes, and nothing is claimed for it", async () => {
  const cluster = await deployed(["node-1"]);
  assert.equal(answering(cluster, "node-1"), "");
});

test("without labels every node takes part in a network with routes, and is told copies and routes", async () => {
  const cluster = await deployed(NODES);
  const { away } = homes(cluster);
  assert.equal(answering(cluster, away), "node-1+ node-2+ node-3+");
  const directory = new Directory(cluster.plane.state);
  assert.equal(directory.list("attachment", away).length, 1);
  const [service] = directory.list("service", away);
  assert.ok(service && "ingress" in service.value);
  assert.deepEqual((service.value as DeclaredService).ingress?.routes, [ROUTE]);
});

test("a network without routes is nobody's who has no copy, and one whose last route goes is left", async () => {
  const cluster = await deployed(NODES, []);
  const { away } = homes(cluster);
  assert.equal(answering(cluster, away), "");
  await deploy(cluster, [ROUTE]);
  assert.equal(answering(cluster, away), "node-1+ node-2+ node-3+");
  await deploy(cluster, []);
  await cluster.pass(1_000);
  assert.equal(answering(cluster, away), "");
});

test("labelled nodes alone answer; the others leave it to them, also where their copies are", async () => {
  const cluster = await deployed(NODES);
  const { home, away } = homes(cluster);
  await label(cluster, away, "true");
  assert.equal(answering(cluster, away), [`${home}-`, `${away}+`].sort().join(" "));
  await label(cluster, home, "true");
  await label(cluster, away, "false");
  await cluster.pass(1_000);
  assert.equal(answering(cluster, home), `${home}+`);
  assert.equal(answering(cluster, away), "");
});

test("private keys are where routes are answered, and nowhere else", async () => {
  const cluster = await deployed(NODES, [{ ...ROUTE, tls: "required" }]);
  const { away } = homes(cluster);
  const needs = (node: string) => needsOfNode(cluster.plane.state.view, node).length;
  const scope = { project: "default", environment: "main" };
  const name = ROUTE.host;
  const certificate: Certificate = {
    ...{ ...scope, name, hosts: [name], automatic: false, createdAt: 0, failuresInRow: 0 },
    source: "file",
    state: "valid",
  };
  const put = {
    kind: "put",
    key: keys.certificate(scope, name),
    value: encode(certificate),
  } as const;
  await cluster.store.txn({ compare: [], then: [put] });
  await cluster.settle();
  assert.deepEqual(NODES.map(needs), [1, 1, 1]);
  await label(cluster, away, "true");
  await cluster.pass(1_000);
  assert.deepEqual(
    NODES.map((node) => [node, needs(node)]),
    NODES.map((node) => [node, node === away ? 1 : 0]),
  );
});

test("of a large cluster without labels the nodes that joined first answer", async () => {
  const many = Array.from({ length: UNLABELLED_MAX + 3 }, (_, index) => `node-${index + 1}`);
  const cluster = await deployed(many);
  const told = answering(cluster, "node-1").split(" ");
  assert.equal(told.filter((each) => each.endsWith("+")).length, UNLABELLED_MAX);
});

/** The live cluster as a trace, by example; and that the engine for whole clusters reads it as it is meant. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { keys } from "@berth/protocol";
import { readAsk } from "@berth/scheduler/trace/ask-line";
import { readNode } from "@berth/scheduler/trace/node-line";
import {
  AGENT_TOKEN,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
  startFixture,
  statusRow,
  taskRow,
} from "../api/api-fixture.ts";

const IMAGE = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
const data = { volume: "data", engineName: "berth-data", exclusive: true };
const SPECS = {
  web: serviceSpec({
    requests: { cpuMillis: 300, memoryBytes: 1e8 },
    constraints: ["node.labels.zone==a"],
    maxPerNode: 2,
    spreadOver: ["zone"],
  }),
  side: serviceSpec({ podWith: "web" }),
  db: serviceSpec({
    mounts: [{ kind: "volume", volume: "data", target: "/data", readOnly: false }],
  }),
  proxy: serviceSpec({
    networkMode: "host",
    ports: [{ target: 80, protocol: "tcp" }],
  }),
  watch: serviceSpec({
    mode: "global",
    requests: { cpuMillis: 50, memoryBytes: 1e7 },
    networkMode: "host",
    ports: [{ target: 9100, protocol: "tcp" }],
  }),
};

async function setUp() {
  const clock = new ManualClock();
  const fixture = await startFixture({ clock });
  const names = Object.keys(SPECS) as (keyof typeof SPECS)[];
  const services = Object.fromEntries(
    names.map((name) => [name, { spec: SPECS[name], image: IMAGE, template: name }]),
  );
  await fixture.put(keys.node("node-1"), { ...nodeRow("node-1"), labels: { zone: "a" } });
  await fixture.put(keys.nodeStatus("node-1"), nodeStatusRow());
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow({ services }));
  await fixture.put(keys.volume(SCOPE, "data"), {
    ...{ ...SCOPE, name: "data", engineName: "berth-data", mode: "exclusive", node: "node-1" },
    ...{ external: false, createdAt: 1 },
  });
  const task = (id: string, changes: Parameters<typeof taskRow>[1] & { service: string }) =>
    fixture.put(keys.task(SCOPE, id), taskRow(id, { template: changes.service, ...changes }));
  await task("web00001", { service: "web" });
  await task("web00002", { service: "web" });
  await task("web00003", { service: "web", slot: 2, desired: "stopped" });
  await task("web00004", { service: "web", slot: 3 });
  await task("side0001", { service: "side", podTask: "web00001" });
  await task("db000001", { service: "db", volumes: [data] });
  await task("proxy001", { service: "proxy" });
  await task("watch001", { service: "watch" });
  await fixture.put(
    keys.status(SCOPE, "web00004"),
    statusRow("web00004", { state: "ended", outcome: "failed" }),
  );
  const lines = async (token?: string) => {
    const client = fixture.client(token === undefined ? {} : { token });
    const stream = await settled(clock, client.call("readClusterTrace", { params: {} }));
    return settled(clock, Array.fromAsync(stream));
  };
  return { fixture, lines, clock };
}

test("nodes and the copies that stay are lines that the readers of traces take", async () => {
  const { lines } = await setUp();
  const all = await lines();
  const nodes = all.flatMap((line) => (line.kind === "node" ? [readNode(line.row).model] : []));
  const tasks = all.flatMap((line) => (line.kind === "task" ? [readAsk(line.row).ask] : []));
  assert.deepEqual(
    tasks.map(({ id }) => id),
    [
      "default/main/shop/db-1",
      "default/main/shop/proxy-1",
      "default/main/shop/side-1",
      "default/main/shop/web-1",
      "default/main/shop/web-1/web00002",
    ],
  );
  const by = new Map(tasks.map((ask) => [ask.id, ask]));
  const web = by.get("default/main/shop/web-1");
  assert.equal(web?.requests.cpuMillis, 300);
  assert.deepEqual(
    web?.constraints?.map(({ text }) => text),
    ["node.labels.zone==a"],
  );
  assert.equal(web?.maxPerNode, 2);
  assert.deepEqual(web?.spread, [{ level: "zone", required: false }]);
  assert.equal(web?.pod, by.get("default/main/shop/side-1")?.pod, "a pod is one");
  assert.notEqual(web?.pod, undefined);
  assert.equal(by.get("default/main/shop/web-1/web00002")?.pod, undefined);
  assert.equal(by.get("default/main/shop/db-1")?.pinnedNode, "node-1", "its data lies there");
  assert.deepEqual(by.get("default/main/shop/proxy-1")?.ports, [{ protocol: "tcp", port: 80 }]);
  const [node] = nodes;
  assert.equal(node?.topology["zone"], "a");
  // What runs on every node is no ask: it has its part of the node for good.
  assert.deepEqual(node?.reserved, { cpuMillis: 150, memoryBytes: 1.1e8, diskBytes: 1e9 });
  assert.deepEqual(node?.portsTaken, [{ protocol: "tcp", port: 9_100 }]);
});

test("agents may not read it: it has the copies of all projects", async () => {
  const { lines } = await setUp();
  await assert.rejects(lines(AGENT_TOKEN), { code: "forbidden" });
});

test("where copies of a node would go is told without a change", async () => {
  const { fixture, clock } = await setUp();
  await fixture.put(keys.node("node-2"), { ...nodeRow("node-2"), labels: { zone: "a" } });
  await fixture.put(keys.nodeStatus("node-2"), nodeStatusRow({ name: "node-2" }));
  const { revision } = await fixture.store.list("");
  const ask = { params: { node: "node-1" }, query: { elsewhere: "true" } };
  const { copies } = await settled(clock, fixture.client().call("getNodeStanding", ask));
  const found = copies.map(({ copy, bound, elsewhere }) => [
    copy,
    bound === undefined ? elsewhere?.node : "bound",
  ]);
  assert.deepEqual(Object.fromEntries(found), {
    "shop/db-1": "bound",
    "shop/proxy-1": "node-2",
    "shop/side-1": "node-2",
    "shop/watch-1": undefined,
    "shop/web-1": "node-2",
    "shop/web-2": undefined,
  });
  assert.equal((await fixture.store.list("")).revision, revision);
});

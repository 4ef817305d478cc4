import assert from "node:assert/strict";
import { test } from "node:test";
import type { Assignment, DeclaredService, Network } from "@berth/protocol";
import { AgentBox } from "./agent-box.ts";
import { sampleAssignment, sampleWithVolume } from "./task/assignment-sample.ts";

const NETWORK: Network = {
  project: "default",
  environment: "main",
  stack: "shop",
  name: "default",
  id: "0a0b0c0d",
  subnet: "10.64.3.0/24",
  gateway: "10.64.3.1",
  internal: false,
  createdAt: 0,
};

function attached(id: string, last: number): Assignment {
  const address = `10.64.3.${last}`;
  return sampleAssignment(id, {
    task: { attachments: [{ networkId: NETWORK.id, address, mac: "02:42:0a:40:03:02" }] },
    spec: {
      networks: { default: { aliases: ["www"] } },
      ports: [{ target: 80, published: 8_080, protocol: "tcp" }],
      routes: [{ host: "shop.localhost", path: "/", port: 80 }],
    },
  });
}

async function ready(box: AgentBox, task: string): Promise<void> {
  assert.ok(await box.until(() => box.server.statuses.get(task)?.ready === true), `${task} ready`);
}

test("a task is run, reported, named and routed, and taken away in order", async () => {
  const box = new AgentBox(1);
  box.server.addNetwork(NETWORK);
  const assignment = attached("task01", 7);
  box.server.assign(assignment);
  await box.start();
  await ready(box, "task01");
  assert.equal(box.server.node?.name, "n1");
  await box.until(() => box.net.model?.endpoints.length === 1);
  const model = box.net.model;
  assert.deepEqual(model?.endpoints[0]?.address, "10.64.3.7");
  assert.deepEqual(model?.services[0]?.networks[0]?.aliases, ["www"]);
  assert.deepEqual(model?.ingress.tcpPorts[0]?.hostPort, 8_080);
  assert.deepEqual(model?.networks[0]?.bridge, "bc1abc-0a0b0c0d");
  const withAttachment = box.net.models.findIndex(({ attachments }) => attachments.length === 1);
  const withEndpoint = box.net.models.findIndex(({ endpoints }) => endpoints.length === 1);
  assert.ok(withAttachment < withEndpoint, "the attachment is known before the copy is ready");

  box.net.open.set("10.64.3.7", 2);
  box.server.assign({ ...assignment, task: { ...assignment.task, desired: "stopped" } });
  await box.until(() => box.net.model?.endpoints[0]?.state === "draining");
  assert.equal(box.running, 1, "open connections are waited for");
  box.net.open.clear();
  assert.ok(await box.until(() => box.server.statuses.get("task01")?.state === "removed"));
  await box.until(() => box.net.model?.attachments.length === 0);
  assert.deepEqual(box.net.model?.endpoints, []);
  assert.equal(box.host.containers.size, 0);
  await box.until(() => box.host.networks.size === 0);
  assert.equal(box.host.networks.size, 0, "the bridge is gone with its last task");
  box.kill();
});

test("the server's death changes nothing that runs, and crashes are mended without it", async () => {
  const box = new AgentBox(2);
  box.server.addNetwork(NETWORK);
  box.server.assign(attached("task01", 7));
  await box.start();
  await ready(box, "task01");
  box.server.goDown();
  for (const container of box.host.containers.values()) container.signal("SIGKILL");
  const endpoints = () => box.net.model?.endpoints.filter(({ state }) => state === "ready").length;
  await box.until(() => endpoints() === 0);
  assert.ok(await box.until(() => endpoints() === 1 && box.running === 1));
  box.kill();
  await box.start();
  await box.pass(5_000);
  assert.equal(box.running, 1, "a new agent keeps it without the server");
  box.server.isDown = false;
  assert.ok(await box.until(() => box.server.statuses.get("task01")?.attempt === 2));
  box.kill();
});

test("a stream that breaks is taken up; a position that is gone means listing again", async () => {
  const box = new AgentBox(3);
  box.server.assign(sampleAssignment("task01"));
  await box.start();
  await ready(box, "task01");
  box.server.breakStreams();
  await box.pass(3_000);
  box.server.assign(sampleAssignment("task02"));
  await ready(box, "task02");
  box.server.refusesPositions = true;
  box.server.breakStreams();
  await box.pass(5_000);
  box.server.forget("task02");
  assert.ok(await box.until(() => box.running === 1));
  await box.pass(1_000);
  assert.deepEqual([...box.db.read("record").keys()], ["task01"]);
  box.kill();
});

test("declared services of the node's networks are named, also after the server's death", async () => {
  const box = new AgentBox(16);
  const { project, environment, stack } = NETWORK;
  const declared = (service: string): DeclaredService => ({
    project,
    environment,
    stack,
    service,
    release: 1,
    endpointMode: "vip",
    ports: [],
    networks: [{ networkId: NETWORK.id, aliases: [] }],
  });
  const named = () => box.net.model?.services.map(({ service }) => service).join(" ");
  box.server.addNetwork(NETWORK);
  box.server.assign(attached("task01", 7));
  box.server.declare(declared("db"));
  box.server.declare(declared("cache"));
  await box.start();
  await ready(box, "task01");
  assert.ok(await box.until(() => named() === "cache db web"));
  box.server.declare(declared("api"));
  assert.ok(await box.until(() => named() === "api cache db web"));
  box.server.goDown();
  box.server.forgetService(declared("cache"));
  box.kill();
  await box.start();
  assert.ok(await box.until(() => named() === "api cache db web"), "they are on the disk");
  box.server.isDown = false;
  assert.ok(await box.until(() => named() === "api db web"), "the list has one less");
  box.server.breakStreams();
  box.server.forgetService(declared("api"));
  assert.ok(await box.until(() => named() === "db web"), "so has a stream that is taken up");
  box.kill();
});

test("a task that the list no longer has is stopped, removed and forgotten", async () => {
  const box = new AgentBox(4);
  box.server.assign(sampleAssignment("task01"));
  box.server.assign(sampleAssignment("task02"));
  await box.start();
  await ready(box, "task02");
  box.kill();
  box.server.forget("task02");
  await box.start();
  assert.ok(await box.until(() => box.running === 1));
  await box.pass(1_000);
  assert.deepEqual([...box.db.read("assignment").keys()], ["task01"]);
  box.kill();
});

test("an empty store of another epoch empties no node, until a person says so", async () => {
  const box = new AgentBox(5);
  box.server.assign(sampleAssignment("task01"));
  box.server.assign(sampleWithVolume("task02", "vol1", { task: { slot: 2 } }));
  await box.start();
  await ready(box, "task02");
  box.server.replaceStore("e2");
  for (const task of ["task01", "task02"]) box.server.stop.add(task);
  await box.pass(120_000);
  assert.equal(box.running, 2, "both are kept");
  const codes = box.server.node?.conditions.map(({ code }) => code);
  assert.deepEqual(codes, ["store-restored"]);
  box.server.stop.clear();
  // The restored store gives the volume to a task of its own: the old holder makes way.
  box.server.assign(sampleWithVolume("task03", "vol1", { task: { slot: 2 } }));
  box.server.breakStreams();
  box.server.refusesPositions = true;
  await ready(box, "task03");
  assert.deepEqual(box.host.overlappingWriters(), []);
  assert.equal(box.running, 2);
  box.kill();
  box.settings = { confirmedEpoch: "e2" };
  await box.start();
  assert.ok(await box.until(() => box.running === 1), "the stray went");
  box.kill();
});

test("a node that was removed ends what it runs, one that is merely unknown does not", async () => {
  const box = new AgentBox(7);
  box.server.assign(sampleAssignment("task01"));
  box.server.assign(sampleWithVolume("task02", "vol1", { task: { slot: 2 } }));
  await box.start();
  await ready(box, "task02");
  box.server.membership = "unknown";
  box.server.breakStreams();
  await box.pass(60_000);
  assert.equal(box.running, 2, "both are kept");
  box.server.membership = "removed";
  assert.ok(await box.until(() => box.running === 0), "nothing is left");
  box.kill();
  await box.start();
  await box.pass(10_000);
  assert.equal(box.running, 0, "nothing comes back after a restart");
  box.kill();
});

test("a server of another cluster is not believed", async () => {
  const box = new AgentBox(6);
  box.server.assign(sampleAssignment("task01"));
  await box.start();
  await ready(box, "task01");
  box.server.cluster = "other000";
  box.server.breakStreams();
  box.server.forget("task01");
  await box.pass(60_000);
  assert.equal(box.running, 1);
  assert.match(box.agent?.status().contactProblem ?? "", /another cluster/);
  box.kill();
});

test("statuses of a burst travel together, each only once it is new", async () => {
  const box = new AgentBox(7);
  for (let n = 10; n < 40; n++) box.server.assign(sampleAssignment(`task${n}`));
  await box.start();
  for (let n = 10; n < 40; n++) await ready(box, `task${n}`);
  await box.pass(1_000);
  const before = box.server.calls.filter((id) => id === "reportTasks").length;
  assert.ok(before < 150, `${before} calls for 30 tasks`);
  await box.pass(60_000);
  const idle = box.server.calls.filter((id) => id === "reportTasks").length - before;
  assert.equal(idle, 0, "nothing is said when nothing happens");
  assert.ok(box.server.leases >= 25);
  box.kill();
});

test("images are pinned by policy, and a volume in use is not removed", async () => {
  const box = new AgentBox(8);
  box.server.assign(sampleWithVolume("task01", "vol1"));
  await box.start();
  await ready(box, "task01");
  const base = {
    project: "default",
    environment: "main",
    stack: "shop",
    node: "n1",
    createdAt: 0,
    state: "pending" as const,
    updatedAt: 0,
  };
  const wish = { reference: "busybox", services: ["web"] };
  const images = [{ ...wish, policy: "never" as const }];
  box.server.operate({ ...base, id: "op0001", input: { kind: "resolve-images", images } });
  const missing = [{ ...wish, reference: "nowhere", policy: "never" as const }];
  box.server.operate({
    ...base,
    id: "op0002",
    input: { kind: "resolve-images", images: missing },
  });
  const volume = { kind: "remove-volume" as const, engineName: "vol1" };
  box.server.operate({ ...base, id: "op0003", input: volume });
  const states = () =>
    ["op0001", "op0002", "op0003"].map((id) => box.server.reports.get(id)?.state);
  await box.until(() => states().every((state) => state === "done" || state === "failed"));
  assert.deepEqual(states(), ["done", "failed", "failed"]);
  const report = box.server.reports.get("op0001");
  assert.equal(report?.images?.["busybox"]?.imageId, (await image(box)).imageId);
  assert.equal(box.server.reports.get("op0002")?.error?.code, "image_unavailable");
  assert.equal(box.server.reports.get("op0003")?.error?.code, "still_in_use");
  box.server.forget("task01");
  await box.until(() => box.running === 0);
  await box.pass(1_000);
  box.server.operate({ ...base, id: "op0004", input: volume });
  assert.ok(await box.until(() => box.server.reports.get("op0004")?.state === "done"));
  assert.equal(box.host.volumes.size, 0);
  box.kill();
});

test("the lease is renewed from the first moment of a new contact", async () => {
  const box = new AgentBox(9);
  await box.start();
  await box.pass(5_000);
  box.server.goDown();
  await box.pass(10_000);
  box.server.isDown = false;
  await box.until(() => box.agent?.status().contact === true);
  const before = box.server.leases;
  await box.pass(10_000);
  assert.ok(box.server.leases - before >= 4, `${box.server.leases - before} renewals in 10 s`);
  box.kill();
});

test("a report of tasks renews the lease: nothing else is asked for meanwhile", async () => {
  const box = new AgentBox(13);
  await box.start();
  await box.pass(1_000);
  const before = box.server.leases;
  for (let n = 10; n < 40; n++) {
    box.server.assign(sampleAssignment(`task${n}`));
    await box.pass(500);
  }
  const meanwhile = box.server.leases - before;
  assert.ok(meanwhile <= 1, `${meanwhile} renewals in 15 s full of reports`);
  await box.pass(10_000);
  const after = box.server.leases - before - meanwhile;
  assert.ok(after >= 4, `${after} renewals in 10 s without reports`);
  box.kill();
});

test("a result that the server did not take is sent again while the stream stands", async () => {
  const box = new AgentBox(10);
  await box.start();
  await box.pass(1_000);
  box.server.refuses.set("reportOperation", 3);
  box.server.operate({
    id: "op0001",
    project: "default",
    environment: "main",
    stack: "shop",
    node: "n1",
    createdAt: 0,
    state: "pending",
    updatedAt: 0,
    input: { kind: "remove-volume", engineName: "vol1" },
  });
  assert.ok(await box.until(() => box.server.reports.get("op0001")?.state === "done", 30_000));
  box.kill();
});

async function image(box: AgentBox) {
  const [first] = box.host.images.values();
  return first ?? assert.fail("no image");
}

test("a release that only changes ports is followed without a new container", async () => {
  const box = new AgentBox(9);
  box.server.addNetwork(NETWORK);
  const assignment = attached("task01", 7);
  box.server.assign(assignment);
  await box.start();
  await ready(box, "task01");
  const [before] = box.host.containers.keys();
  const asked: unknown[] = [];
  box.check = async ({ check }) => {
    asked.push("port" in check ? check.port : undefined);
    return { isGood: true };
  };
  const spec = {
    ...assignment.spec,
    ports: [{ target: 81, published: 9_090, protocol: "tcp" as const }],
    routes: [],
  };
  box.server.assign({ ...assignment, spec, task: { ...assignment.task, release: 2 } });
  await box.until(() => box.net.model?.ingress.tcpPorts[0]?.hostPort === 9_090);
  assert.deepEqual(box.net.model?.ingress.httpRoutes, []);
  await box.pass(1_000);
  assert.deepEqual(asked, [81]);
  assert.equal(box.net.model?.endpoints[0]?.state, "ready", "it stays ready meanwhile");
  assert.deepEqual([...box.host.containers.keys()], [before]);
  box.kill();
});

test("what was told while the disk was full is done once there is room", async () => {
  const box = new AgentBox(10);
  await box.start();
  const [first, second] = [sampleAssignment("task01"), sampleAssignment("task02")];
  box.server.assign(first);
  await ready(box, "task01");
  box.isDiskFull = true;
  box.server.assign(second);
  box.server.assign({ ...first, task: { ...first.task, desired: "stopped" } });
  await box.pass(2_000);
  assert.equal(box.server.statuses.get("task02"), undefined);
  box.isDiskFull = false;
  await ready(box, "task02");
  assert.ok(await box.until(() => box.server.statuses.get("task01")?.state === "removed"));
  box.kill();
});

test("an agent lives on when it cannot write down an image that may be gone back to", async () => {
  const box = new AgentBox(11);
  box.isDiskFull = "kept";
  box.server.assign(sampleAssignment("task01"));
  await box.start();
  await ready(box, "task01");
  box.kill();
});

test("an agent that cannot write down the word to stop a task lives on and follows it", async () => {
  const box = new AgentBox(12);
  box.server.assign(sampleAssignment("task01"));
  await box.start();
  await ready(box, "task01");
  box.isDiskFull = "assignment";
  box.server.stop.add("task01");
  for (const container of box.host.containers.values()) container.signal("SIGKILL");
  assert.ok(await box.until(() => box.server.statuses.get("task01")?.state === "removed"));
  box.kill();
});

test("servers are asked where they are where that is known, and an older one is not", async () => {
  const box = new AgentBox(9);
  const address = { authority: "pem", version: "0.1.0", protocol: 2, at: 0 };
  await box.start();
  assert.ok(await box.until(() => box.server.watched.length > 0));
  assert.ok(!box.server.watched.includes("server-address"), "the first protocol has none");
  box.server.protocol = 2;
  box.server.breakStreams();
  box.server.tellAddress({ ...address, node: "a", urls: ["https://10.0.0.1:7711"] });
  assert.ok(await box.until(() => box.servers.length === 1));
  box.server.tellAddress({ ...address, node: "b", urls: ["https://10.0.0.2:7711"] });
  assert.ok(await box.until(() => box.servers.length === 2));
  assert.deepEqual(box.servers, ["a", "b"]);
  box.kill();
});

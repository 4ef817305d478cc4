import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { FakeNet } from "../agent-box.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { NetLink } from "./net-link.ts";
import { type ModelContent, nodeNetworkModel } from "./node-network-model.ts";

const EMPTY = nodeNetworkModel({
  cluster: "c1",
  told: [],
  records: new Map(),
  isAlive: () => true,
  networks: new Map(),
  ingress: {
    httpPort: 80,
    bindAddress: "0.0.0.0",
    httpRoutes: [],
    tcpPorts: [],
    drainTimeoutMs: 1,
  },
  domain: "berth",
  forwarders: [],
  hostPolicy: { openPorts: [], metadataAccess: false },
});

const TASK = sampleAssignment("task01", {
  task: {
    attachments: [{ networkId: "0000000a", address: "10.64.1.7", mac: "02:42:0a:40:01:07" }],
  },
  spec: { expose: [80] },
});

function bench() {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const net = new FakeNet();
  let content: ModelContent = EMPTY;
  let isKnown = true;
  const link = new NetLink({ net, clock, driver, model: () => content, isKnown: () => isKnown });
  const pass = async (ms: number) => {
    for (let end = clock.monotonic() + ms; ; ) {
      for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
      const due = clock.nextDue();
      if (due === undefined || due > end)
        return clock.advance(Math.max(0, end - clock.monotonic()));
      clock.fireNext();
    }
  };
  return {
    clock,
    net,
    link,
    pass,
    become: (changed: Partial<ModelContent>) => {
      content = { ...content, ...changed };
    },
    know: (value: boolean) => {
      isKnown = value;
    },
  };
}

const signal = () => new AbortController().signal;

test("a burst of changes is one model, and nothing new is not said again", async () => {
  const { net, link, pass, become } = bench();
  await pass(100);
  assert.equal(net.models.length, 1);
  for (let change = 0; change < 50; change++) {
    become({ forwarders: [`10.0.0.${change}`] });
    link.changed();
  }
  await pass(100);
  assert.equal(net.models.length, 2);
  for (let change = 0; change < 50; change++) link.changed();
  await pass(60_000);
  assert.equal(net.models.length, 2);
  const [first, second] = net.models;
  assert.ok((second?.generation ?? 0) > (first?.generation ?? 0));
});

test("before the node is known nothing is said: the data plane keeps what it has", async () => {
  const { net, link, pass, know } = bench();
  know(false);
  link.changed();
  await pass(60_000);
  assert.equal(net.models.length, 0);
  know(true);
  link.changed();
  await pass(10);
  assert.equal(net.models.length, 1);
});

test("the first container of a network waits until its attachment is followed", async () => {
  const { net, link, pass, become } = bench();
  await pass(100);
  net.isDown = true;
  const { attachments } = TASK.task;
  become({
    attachments: attachments.map((one) => ({
      ...one,
      project: "p",
      environment: "e",
      stack: "s",
      service: "w",
      slot: 1,
      taskId: "task01",
    })),
  });
  let isThere = false;
  const waiting = link.ensureAttached(TASK.task, signal()).then(() => {
    isThere = true;
  });
  await pass(30_000);
  assert.equal(isThere, false);
  assert.match(link.problems()[0] ?? "", /cannot be reached/);
  net.isDown = false;
  await pass(3_000);
  await waiting;
  assert.deepEqual(link.problems(), []);
  const before = net.models.length;
  await link.ensureAttached(TASK.task, signal());
  assert.equal(net.models.length, before, "known: nothing to wait for");
});

test("draining ends with the last connection, or at its time", async () => {
  const { clock, net, link, pass } = bench();
  net.open.set("10.64.1.7", 3);
  let ended = 0;
  const drain = (ms: number) =>
    link.drain(TASK, clock.now() + ms, signal()).then(() => {
      ended++;
    });
  const first = drain(10_000);
  await pass(2_000);
  assert.equal(ended, 0);
  net.open.clear();
  await pass(200);
  await first;
  net.open.set("10.64.1.7", 1);
  const second = drain(1_000);
  await pass(900);
  assert.equal(ended, 1);
  await pass(200);
  await second;
  net.isDown = true;
  const third = drain(1_000);
  await pass(1_100);
  await third;
  assert.equal(ended, 3, "a data plane that is away does not hold a task for ever");
});

test("a data plane with a newer model is overtaken; one that lost its model gets it again", async () => {
  const { clock, net, link, pass } = bench();
  const apply = net.apply.bind(net);
  const newer = clock.now() * 1_000 + 5e9;
  let refusals = 1;
  net.apply = async (model) => {
    if (refusals-- > 0) {
      throw new ProtocolError("precondition_failed", "newer", { generation: newer });
    }
    return await apply(model);
  };
  await pass(1_000);
  assert.ok((net.model?.generation ?? 0) > newer);
  net.models.length = 0;
  link.changed();
  await pass(60_000);
  assert.equal(net.models.length, 1, "sent again after a look at its status");
});

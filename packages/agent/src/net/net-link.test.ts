import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { type Assignment, ProtocolError } from "@berth/protocol";
import { FakeNet } from "../agent-box.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { NetLink } from "./net-link.ts";
import { type ModelContent, nodeNetworkModel } from "./node-network-model.ts";
import type { SocketTable } from "./socket-table.ts";

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

const NETWORK = {
  ...{ id: "0000000a", project: "default", environment: "main", stack: "shop", name: "default" },
  ...{ subnet: "10.64.1.0/24", gateway: "10.64.1.1" },
};

function bench() {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const net = new FakeNet();
  let content: ModelContent = EMPTY;
  let isKnown = true;
  const spanning = new Set<string>();
  let sockets: SocketTable | undefined;
  const link = new NetLink({
    ...{
      net,
      clock,
      driver,
      model: () => content,
      spans: (id) => spanning.has(id),
      isKnown: () => isKnown,
    },
    socketsOf: async () => sockets,
    isHost: (address) => address === "10.64.1.1",
  });
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
    see: (peers: readonly string[], listening = [80]) => {
      sockets = { listening: new Set(listening), peers };
    },
    span: (networkId: string) => spanning.add(networkId),
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

test("a container waits for the ways of its network to other nodes, where it has any", async () => {
  const { net, link, pass, become, span } = bench();
  net.isDown = true;
  await link.ensureWays(TASK.task, signal());
  span("0000000a");
  let isThere = false;
  const waiting = link.ensureWays(TASK.task, signal()).then(() => {
    isThere = true;
  });
  await pass(1_000);
  assert.equal(isThere, false);
  const { id, project, environment, stack, name } = NETWORK;
  const network = { id, project, environment, stack, name, bridge: "bc1abc-0000000a" };
  const overlay = { id: 7, mtu: 1_450, nodeAddress: "10.64.1.254", mac: "02:42:0a:40:01:fe" };
  const { subnet, gateway } = NETWORK;
  const more = { subnet, gateway, internal: false, overlay: { ...overlay, peers: [] } };
  become({ networks: [{ ...network, ...more }] });
  net.isDown = false;
  await pass(3_000);
  await waiting;
  const before = net.models.length;
  await link.ensureWays(TASK.task, signal());
  assert.equal(net.models.length, before, "in place: nothing to wait for");
});

/** Begins to drain `task`; tells what was counted, and whether it is over. */
function draining({ clock, link }: ReturnType<typeof bench>, task: Assignment, ms: number) {
  const told = { counts: [] as (number | undefined)[], isOver: false };
  const options = {
    acknowledgedAt: clock.now(),
    untilMs: clock.now() + ms,
    onCount: (count: number | undefined) => {
      if (told.counts.length === 0 || told.counts.at(-1) !== count) told.counts.push(count);
    },
  };
  void link.drain(task, options, signal()).then(() => {
    told.isOver = true;
  });
  return told;
}

test("draining ends with the last connection, through HAProxy or inside the network", async () => {
  const box = bench();
  const { net, pass, see } = box;
  net.open.set("10.64.1.7", 2);
  // HAProxy's own and our checks come from the host; the copy may call itself.
  see(["10.64.1.9", "10.64.1.1", "10.64.1.7"]);
  const told = draining(box, TASK, 60_000);
  await pass(2_000);
  net.open.clear();
  await pass(2_000);
  assert.deepEqual(told, { counts: [3, 1], isOver: false });
  see([]);
  await pass(200);
  assert.deepEqual(told, { counts: [3, 1, 0], isOver: true });
});

test("without a connection it lasts until clients have forgotten the address", async () => {
  const box = bench();
  const told = draining(box, TASK, 60_000);
  await box.pass(1_000);
  assert.deepEqual(told, { counts: [0], isOver: false });
  await box.pass(500);
  assert.equal(told.isOver, true);
});

test("where no other copy serves, nobody is waited for but who goes through HAProxy", async () => {
  const box = bench();
  box.see(["10.64.1.9"]);
  const only = { ...TASK, task: { ...TASK.task, exclusive: true } };
  const told = draining(box, only, 60_000);
  await box.pass(10);
  assert.equal(told.isOver, true);
});

test("draining ends at its time, also while the data plane is away", async () => {
  const box = bench();
  box.net.open.set("10.64.1.7", 1);
  const first = draining(box, TASK, 1_000);
  await box.pass(900);
  assert.equal(first.isOver, false);
  await box.pass(200);
  assert.equal(first.isOver, true);
  box.net.isDown = true;
  const second = draining(box, TASK, 1_000);
  await box.pass(1_100);
  assert.deepEqual(second, { counts: [undefined], isOver: true });
});

test("leaving waits until every part follows, not until it was told; and no longer than its time", async () => {
  const { clock, net, link, pass, become } = bench();
  await pass(100);
  net.lag = 1;
  become({ forwarders: ["10.0.0.3"] });
  let word: boolean | undefined;
  const leave = (ms: number) => {
    word = undefined;
    void link.leave(clock.now() + ms, signal()).then((is) => {
      word = is;
    });
  };
  link.changed();
  leave(10_000);
  await pass(3_000);
  assert.equal(word, undefined, "HAProxy does not follow yet");
  net.lag = 0;
  await pass(200);
  assert.equal(word, true);
  net.isDown = true;
  leave(1_000);
  await pass(1_100);
  assert.equal(word, false);
});

test("nothing leads to a task without a network, or whose processes listen to nobody", async () => {
  const { link, see } = bench();
  assert.equal(await link.isReachable(TASK), true, "nobody can look: it may be");
  see([], []);
  assert.equal(await link.isReachable(TASK), false);
  see([]);
  assert.equal(await link.isReachable(TASK), true);
  const apart = { ...TASK, task: { ...TASK.task, attachments: [] } };
  assert.equal(await link.isReachable(apart), false);
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

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseModel } from "@berth/network";
import type { Assignment, DeclaredService, Network, NetworkPeer } from "@berth/protocol";
import type { ToldTask } from "../state/agent-state.ts";
import { type SampleOptions, sampleAssignment } from "../task/assignment-sample.ts";
import { newRecord, type TaskRecord } from "../task/record.ts";
import { bridgeName, type ModelInput, nodeNetworkModel } from "./node-network-model.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" };
const INGRESS = {
  httpPort: 80,
  bindAddress: "0.0.0.0",
  httpRoutes: [],
  tcpPorts: [],
  drainTimeoutMs: 30_000,
};

function network(id: string, third: number, more: Partial<Network> = {}): Network {
  return {
    ...SCOPE,
    name: "default",
    id,
    subnet: `10.64.${third}.0/24`,
    gateway: `10.64.${third}.1`,
    internal: false,
    createdAt: 0,
    ...more,
  };
}

const NETWORKS = new Map(
  [
    network("0000000a", 1),
    network("0000000b", 2, { name: "backend", internal: true }),
    network("0000000c", 3, { stack: "other", name: "shared" }),
  ].map((each) => [each.id, each]),
);

function attachment(networkId: string, address: string) {
  const octets = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return { networkId, address, mac: `02:42:${octets.join(":")}` };
}

interface Row {
  readonly assignment: Assignment;
  readonly record?: Partial<TaskRecord>;
}

function row(id: string, options: SampleOptions, record?: Partial<TaskRecord>): Row {
  return { assignment: sampleAssignment(id, options), ...(record === undefined ? {} : { record }) };
}

const READY = {
  attempt: 1,
  state: "running",
  ready: true,
  published: true,
  containerId: "c",
} as const;

function modelOf(rows: readonly Row[], isAlive = true, told: Partial<ModelInput> = {}) {
  const tasks: ToldTask[] = rows.map(({ assignment }) => ({ assignment, intent: "run" }));
  const records = new Map<string, TaskRecord>();
  for (const { assignment, record } of rows) {
    const { id } = assignment.task;
    if (record !== undefined) records.set(id, { ...newRecord(id, "b"), ...record });
  }
  const input: ModelInput = {
    cluster: "c1-ABC-def",
    told: tasks,
    records,
    isAlive: () => isAlive,
    networks: NETWORKS,
    ingress: INGRESS,
    domain: "berth",
    forwarders: ["10.0.0.2"],
    hostPolicy: { openPorts: [], metadataAccess: false },
    ...told,
  };
  const content = nodeNetworkModel(input);
  // What the data plane would refuse is no model.
  parseModel(JSON.parse(JSON.stringify({ ...content, generation: 1 })));
  return content;
}

const WEB: SampleOptions = {
  task: { attachments: [attachment("0000000a", "10.64.1.7"), attachment("0000000b", "10.64.2.7")] },
  spec: {
    networks: { default: { aliases: ["www"] }, backend: { aliases: ["web-in-back"] } },
    ports: [
      { target: 80, published: 8_080, protocol: "tcp" },
      { target: 443, published: 8_443, hostAddress: "127.0.0.1", protocol: "tcp" },
      { target: 53, published: 53, protocol: "udp" },
      { target: 81, protocol: "tcp" },
    ],
    expose: [9_000],
    routes: [{ host: "shop.localhost", path: "/api", port: 9_000 }],
  },
};

test("a task has its address from its first attempt on, and its endpoint while it is ready", () => {
  const states = ["pulling", "creating", "starting", "running", "exited"] as const;
  const seen = states.map((state) => {
    const { attachments, endpoints } = modelOf([row("task01", WEB, { attempt: 1, state })]);
    return [state, attachments.length, endpoints.length];
  });
  assert.deepEqual(
    seen,
    states.map((state) => [state, 2, 0]),
  );
  const { endpoints } = modelOf([row("task01", WEB, READY)]);
  assert.deepEqual(
    endpoints.map(({ networkId, address, state }) => [networkId, address, state]),
    [
      ["0000000a", "10.64.1.7", "ready"],
      ["0000000b", "10.64.2.7", "ready"],
    ],
  );
});

test("what was ready and is no more drains; what is gone is absent", () => {
  const stateOf = (record: Partial<TaskRecord>, isAlive = true) =>
    modelOf([row("task01", WEB, { ...READY, ...record })], isAlive).endpoints[0]?.state;
  assert.equal(stateOf({ ready: false }), "draining");
  assert.equal(stateOf({ ready: false, published: false }), undefined);
  assert.equal(stateOf({ ready: false, state: "draining" }), "draining");
  assert.equal(stateOf({ ready: false, state: "stopping" }), "draining");
  assert.equal(stateOf({ ready: false, state: "exited" }), undefined);
  assert.equal(
    stateOf({}, false),
    undefined,
    "a record that says ready without a living container",
  );
  for (const state of ["assigned", "ended", "removed"] as const) {
    const model = modelOf([row("task01", WEB, { attempt: 1, state })]);
    assert.deepEqual([model.attachments, model.networks, model.services], [[], [], []]);
  }
});

test("ports, routes and aliases are those of the newest release", () => {
  const older = row("task01", WEB, READY);
  const newer = row(
    "task02",
    {
      task: { slot: 2, release: 2, attachments: [attachment("0000000a", "10.64.1.8")] },
      spec: { networks: { default: { aliases: [] } }, expose: [81] },
    },
    { attempt: 1, state: "creating" },
  );
  const before = modelOf([older]);
  assert.deepEqual(
    before.ingress.tcpPorts.map(({ hostAddress, hostPort, target }) => [
      hostAddress,
      hostPort,
      target.port,
    ]),
    [
      ["0.0.0.0", 8_080, 80],
      ["127.0.0.1", 8_443, 443],
    ],
  );
  assert.deepEqual(
    before.ingress.httpRoutes.map(({ hosts, pathPrefix, target }) => [
      hosts,
      pathPrefix,
      target.port,
    ]),
    [[["shop.localhost"], "/api", 9_000]],
  );
  assert.deepEqual(
    before.services[0]?.networks.map(({ aliases }) => aliases),
    [["www"], ["web-in-back"]],
  );
  const after = modelOf([older, newer]);
  assert.deepEqual(after.ingress.tcpPorts, []);
  assert.equal(after.services.length, 1);
  assert.equal(after.endpoints.length, 2, "the older copy answers until it leaves");
});

test("members of a pod answer at the address of its first task", () => {
  const main = row("task01", WEB, READY);
  const member = row(
    "task02",
    { task: { service: "sidecar", podTask: "task01" }, spec: { expose: [7_000] } },
    { ...READY, containerId: "d" },
  );
  const { endpoints, attachments } = modelOf([main, member]);
  const of = (service: string) => endpoints.filter((endpoint) => endpoint.service === service);
  assert.deepEqual(
    of("sidecar").map(({ address }) => address),
    ["10.64.1.7", "10.64.2.7"],
  );
  assert.equal(attachments.length, 2, "an address belongs to one task");
});

const DECLARED: DeclaredService = {
  ...SCOPE,
  service: "db",
  release: 2,
  endpointMode: "vip",
  ports: [{ port: 5_432, protocol: "tcp" }],
  networks: [
    { networkId: "0000000a", aliases: ["database"] },
    { networkId: "0000000d", aliases: [] },
  ],
};

test("a declared service has a name on the networks of this node, without a task here", () => {
  const services = [DECLARED, { ...DECLARED, service: "far", networks: [] }];
  const model = modelOf([row("task01", WEB, READY)], true, { services });
  const { project, environment, stack } = SCOPE;
  assert.deepEqual(
    model.services.map(({ service, networks }) => [service, networks]),
    [
      ["db", [{ networkId: "0000000a", aliases: ["database"] }]],
      ["web", model.services[1]?.networks],
    ],
  );
  assert.deepEqual(model.services[0], {
    project,
    environment,
    stack,
    service: "db",
    endpointMode: "vip",
    ports: [{ port: 5_432, protocol: "tcp" }],
    networks: [{ networkId: "0000000a", aliases: ["database"] }],
  });
  assert.deepEqual(modelOf([], true, { services }).services, [], "no network is carried");
});

test("the newer release says what a service is; a network that it leaves keeps the name", () => {
  const declared = { ...DECLARED, service: "web", ports: [] };
  const namesOf = (release: number) =>
    modelOf([row("task01", WEB, READY)], true, { services: [{ ...declared, release }] })
      .services[0];
  const newer = namesOf(2);
  assert.deepEqual(newer?.ports, []);
  assert.deepEqual(newer?.networks, [
    { networkId: "0000000a", aliases: ["database"] },
    { networkId: "0000000b", aliases: ["web-in-back"] },
  ]);
  assert.deepEqual(namesOf(0)?.networks[0]?.aliases, ["www"]);
});

test("a service keeps its address while copies of a newer release leave, as in a rollback", () => {
  const [first, second] = DECLARED.networks;
  assert.ok(first !== undefined && second !== undefined);
  const networks = [{ ...first, virtualAddress: "10.79.0.1" }, second];
  const declared = { ...DECLARED, service: "web", release: 0, networks };
  const [service] = modelOf([row("task01", WEB, READY)], true, { services: [declared] }).services;
  assert.deepEqual(service?.networks, [
    { networkId: "0000000a", aliases: ["www"], virtualAddress: "10.79.0.1" },
    { networkId: "0000000b", aliases: ["web-in-back"] },
  ]);
});

test("copies of other nodes are attached from the plan on, and endpoints while they are ready", () => {
  const neighbor = {
    ...SCOPE,
    service: "db",
    task: "task09",
    slot: 1,
    node: "n2",
    attachments: [attachment("0000000a", "10.64.1.9"), attachment("0000000d", "10.64.4.9")],
    hostname: "db-host",
  };
  const seen = (["none", "ready", "draining"] as const).map((endpoint) => {
    const neighbors = [{ ...neighbor, endpoint }];
    const { attachments, endpoints } = modelOf([row("task01", WEB, READY)], true, { neighbors });
    const ofDb = (item: { service: string }) => item.service === "db";
    return [
      attachments.filter(ofDb).map(({ address, mac, node }) => [address, mac, node]),
      endpoints.filter(ofDb).map(({ address, state, hostname }) => [address, state, hostname]),
    ];
  });
  const attached = [["10.64.1.9", "02:42:0a:40:01:09", "n2"]];
  assert.deepEqual(seen, [
    [attached, []],
    [attached, [["10.64.1.9", "ready", "db-host"]]],
    [attached, [["10.64.1.9", "draining", "db-host"]]],
  ]);
});

function peer(networkId: string, node: string, last: number, mtu = 1_500): NetworkPeer {
  const nodeAddress = `10.64.1.${last}`;
  const underlay = { address: `192.0.2.${node.slice(1)}`, port: 4_789, mtu };
  return { networkId, node, overlayId: 77, nodeAddress, mac: "02:42:0a:40:01:fe", underlay };
}

const OVERLAY = {
  node: "n1",
  underlay: { address: "192.0.2.1", port: 4_789, mtu: 1_500 },
  hasBridge: () => true,
};

test("a network reaches the nodes that were told, with packets that all of them carry", () => {
  const peers = [peer("0000000a", "n2", 253, 1_400), peer("0000000a", "n1", 254)];
  const told = { overlay: { ...OVERLAY, peers } };
  const model = modelOf([row("task01", WEB, READY)], true, told);
  assert.deepEqual(model.underlay, { address: "192.0.2.1", port: 4_789 });
  const [spanning, other] = model.networks;
  assert.equal(other?.overlay, undefined);
  const mac = "02:42:0a:40:01:fe";
  assert.deepEqual(spanning?.overlay, {
    ...{ id: 77, mtu: 1_350, nodeAddress: "10.64.1.254", mac },
    peers: [{ node: "n2", address: "192.0.2.2", port: 4_789, nodeAddress: "10.64.1.253", mac }],
  });
});

test("a network ends at its node before its bridge is there, and where the node has no address in it", () => {
  const own = peer("0000000a", "n1", 254);
  const noBridge = { overlay: { ...OVERLAY, peers: [own], hasBridge: () => false } };
  const others = { overlay: { ...OVERLAY, peers: [peer("0000000a", "n2", 253)] } };
  for (const told of [noBridge, others]) {
    const model = modelOf([row("task01", WEB, READY)], true, told);
    assert.equal(model.underlay, undefined);
    assert.ok(model.networks.every(({ overlay }) => overlay === undefined));
  }
});

test("a node for requests from outside answers declared routes without a copy; others leave them to it", () => {
  const port = { target: 80, published: 8_088, protocol: "tcp" } as const;
  const route = { host: "db.test", path: "/", port: 80 };
  const declared: DeclaredService = {
    ...{ ...SCOPE, service: "db", release: 1, ports: [] },
    endpointMode: "vip",
    networks: [{ networkId: "0000000c", aliases: [] }],
    ingress: { networkId: "0000000c", routes: [route], ports: [port] },
  };
  const answered = (ingress: boolean | undefined, node = "n1") => {
    const own = peer("0000000c", node, 254);
    const peers = [ingress === undefined ? own : { ...own, ingress }];
    const told = { services: [declared], overlay: { ...OVERLAY, peers } };
    const { networks, ingress: requests } = modelOf([row("task01", WEB, READY)], true, told);
    const hosts = requests.httpRoutes.flatMap((each) => each.hosts);
    const ports = requests.tcpPorts.map(({ hostPort }) => hostPort);
    return [networks.some(({ id }) => id === "0000000c"), hosts.includes("db.test"), ports];
  };
  const own = modelOf([row("task01", WEB, READY)], true, {}).ingress.tcpPorts;
  const others = own.map(({ hostPort }) => hostPort);
  assert.deepEqual(answered(true), [true, true, [...others, 8_088]]);
  assert.deepEqual(answered(false), [false, false, others]);
  assert.deepEqual(answered(undefined), [false, false, others]);
  assert.deepEqual(answered(true, "n2"), [false, false, others], "another node's task");
});

test("a node that is told to leave routes to others does not answer those of its own copies", () => {
  const hostsOf = (ingress: boolean | undefined) => {
    const peers = [...NETWORKS.keys()].map((id) => ({
      ...peer(id, "n1", 254),
      ...answers(ingress),
    }));
    const told = { overlay: { ...OVERLAY, peers } };
    const { httpRoutes, tcpPorts } = modelOf([row("task01", WEB, READY)], true, told).ingress;
    return httpRoutes.length + tcpPorts.length;
  };
  const answers = (ingress: boolean | undefined) => (ingress === undefined ? {} : { ingress });
  assert.ok(hostsOf(undefined) > 0);
  assert.equal(hostsOf(false), 0);
});

test("another stack's network brings its own names, and its alias is found", () => {
  const options: SampleOptions = {
    task: { attachments: [attachment("0000000c", "10.64.3.9")] },
    spec: { networks: { link: { aliases: ["from-shop"] } } },
  };
  const model = modelOf([row("task01", options, READY)]);
  assert.deepEqual(model.networks[0]?.stack, "other");
  assert.deepEqual(model.services[0]?.networks[0]?.aliases, ["from-shop"]);
});

test("names of interfaces fit and tell clusters apart", () => {
  assert.equal(bridgeName("c1-ABC-def", "0000000a"), "bc1abc-0000000a");
  assert.ok(bridgeName("x".repeat(40), "0000000a").length <= 15);
  assert.notEqual(bridgeName("aaaaa1", "0000000a"), bridgeName("bbbbb1", "0000000a"));
});

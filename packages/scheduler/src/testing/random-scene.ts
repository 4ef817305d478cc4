/**
 * Random small clusters and asks, as fast-check arbitraries so that a failure shrinks.
 *
 * Few values for everything: three zones, three services, two ports, so that rules meet each other often.
 * Nodes are of one to three makes, so that equal ones occur. Asks are generous with features and nodes poor in room, so that about a third is refused.
 */

import fc from "fast-check";
import type { Ask, NodeModel, RunningTask, ServiceAffinity } from "../model.ts";
import { constraint, makeAsk, makeNode, makeTask } from "./fixtures.ts";
import type { Scene } from "./plan-checks.ts";

const service = fc.constantFrom("web", "api", "db");
const level = fc.constantFrom("node", "zone");
const zone = fc.constantFrom("a", "b", "c");
/** Absent six times of seven: with every feature in every ask nothing would be placeable. */
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

const port = fc.record(
  {
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
    port: fc.constantFrom(80, 443),
    address: fc.constantFrom("10.0.0.1", "10.0.0.2", "0.0.0.0"),
  },
  { requiredKeys: ["protocol", "port"] },
);

const volume = fc.record(
  {
    key: fc.constantFrom("data", "logs"),
    mode: fc.constantFrom("exclusive" as const, "shared" as const),
    reach: fc.constantFrom("node" as const, "cluster" as const),
  },
  { requiredKeys: ["key", "mode"] },
);

const deviceRequest = fc.record(
  {
    kind: fc.constant("gpu"),
    count: fc.integer({ min: 1, max: 2 }),
    shareMillis: fc.constantFrom(250, 500, 1_000),
    models: fc.constantFrom<string[]>([], ["old"], ["new"]),
  },
  { requiredKeys: ["kind"] },
);

const requests = fc.record(
  {
    cpuMillis: fc.constantFrom(0, 250, 1_000, 1_500, 3_000),
    memoryBytes: fc.integer({ min: 0, max: 250 }),
    pids: fc.integer({ min: 0, max: 20 }),
    resources: fc.constantFrom<Record<string, number>>({}, {}, {}, { licence: 1 }),
    devices: rarely(fc.array(deviceRequest, { minLength: 1, maxLength: 2 })),
  },
  { requiredKeys: [] },
);

const taint = fc.constantFrom(
  { key: "batch", effect: "no-schedule" as const },
  { key: "old", value: "yes", effect: "no-execute" as const },
  { key: "slow", effect: "prefer-no-schedule" as const },
);

const nodeFeatures = fc.record({
  cpuMillis: fc.constantFrom(2_000, 4_000, 8_000),
  memoryBytes: fc.integer({ min: 300, max: 1_500 }),
  diskBytes: fc.constant(1_000),
  reserved: fc.record({
    cpuMillis: fc.constantFrom(0, 500),
    memoryBytes: fc.constantFrom(0, 100),
    diskBytes: fc.constant(0),
  }),
  pidsMax: rarely(fc.integer({ min: 10, max: 60 })),
  resources: fc.constantFrom<Record<string, number>>({}, { licence: 1 }, { licence: 2 }),
  devices: fc.constantFrom<NodeModel["devices"]>(
    [],
    [{ kind: "gpu", model: "old", count: 1 }],
    [
      { kind: "gpu", model: "old", count: 1 },
      { kind: "gpu", model: "new", count: 2 },
    ],
  ),
  topology: fc.oneof(
    { weight: 5, arbitrary: fc.record({ zone }) },
    { weight: 1, arbitrary: fc.constant({}) },
  ),
  labels: fc.record({ tier: fc.constantFrom("gold", "tin") }),
  taints: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(taint, { minLength: 1, maxLength: 2 }) },
  ),
  platform: fc.constantFrom(
    { os: "linux", architecture: "amd64" },
    { os: "linux", architecture: "amd64" },
    { os: "linux", architecture: "aarch64" },
  ),
  ready: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
  draining: fc.integer({ min: 0, max: 9 }).map((draw) => draw === 0),
  maxTasks: rarely(fc.integer({ min: 1, max: 4 })),
  addresses: fc.constantFrom<string[]>([], ["10.0.0.1"]),
  pools: fc.constantFrom<string[]>([], ["lan"]),
  portsTaken: fc.constantFrom<NodeModel["portsTaken"]>([], [{ protocol: "tcp", port: 443 }]),
  images: fc.constantFrom<Record<string, number>>({}, { "sha256:1": 100 }),
});

const serviceAffinity = (required: fc.Arbitrary<boolean>): fc.Arbitrary<ServiceAffinity> =>
  fc.record({ kind: fc.constant("service" as const), service, level, required });

/** Half of them bear a few copies. */
const distance = (required: fc.Arbitrary<boolean>): fc.Arbitrary<ServiceAffinity> =>
  fc
    .record({
      near: serviceAffinity(required),
      max: fc.integer({ min: 0, max: 2 }),
      bears: fc.boolean(),
    })
    .map(({ near, max, bears }) => (bears ? { ...near, max } : near));

const claimFeatures = {
  service,
  requests,
  ports: rarely(fc.array(port, { minLength: 1, maxLength: 2 })),
  volumes: rarely(fc.uniqueArray(volume, { minLength: 1, maxLength: 2, selector: (v) => v.key })),
  addresses: rarely(fc.constant([{ address: "10.9.0.1", pool: "lan" }])),
  antiAffinities: rarely(fc.array(distance(fc.boolean()), { minLength: 1, maxLength: 1 })),
};

const askFeatures = fc.record({
  ...claimFeatures,
  constraints: rarely(
    fc.constantFrom(
      [constraint("node.labels.tier==gold")],
      [constraint("node.topology.zone in (a, b)")],
    ),
  ),
  affinities: rarely(fc.array(serviceAffinity(fc.boolean()), { minLength: 1, maxLength: 1 })),
  spread: rarely(
    fc.array(
      fc.record({ level, required: fc.boolean(), maxSkew: fc.integer({ min: 1, max: 2 }) }),
      {
        minLength: 1,
        maxLength: 1,
      },
    ),
  ),
  maxPerNode: rarely(fc.integer({ min: 1, max: 2 })),
  pinnedNode: rarely(fc.constantFrom("n0", "n1")),
  pod: rarely(fc.constantFrom("p0", "p1")),
  gang: rarely(fc.constantFrom("g0", "g1")),
  priority: rarely(fc.constantFrom(10, 90)),
  tolerations: rarely(fc.constantFrom([{}], [{ key: "batch" }])),
  platforms: rarely(fc.constant([{ os: "linux", architecture: "arm64" }])),
  previousNode: rarely(fc.constantFrom("n0", "n1", "n2")),
  failedNodes: rarely(fc.constantFrom(["n0"], ["n1", "n2"])),
  images: rarely(fc.constant([{ digest: "sha256:1", bytes: 100_000_000 }])),
  overcommit: rarely(fc.constantFrom({ cpu: 150 }, { memory: 120 }, { cpu: 110, memory: 200 })),
  weights: rarely(fc.constantFrom({ spread: 50 }, { fit: 0 }, { fit: 3, stability: 100 })),
});

const taskFeatures = fc.record({
  ...claimFeatures,
  node: fc.constantFrom("n0", "n1", "n2", "gone"),
  pod: rarely(fc.constantFrom("p0", "p1")),
  leaving: fc.integer({ min: 0, max: 4 }).map((draw) => draw === 0),
  limits: rarely(fc.constantFrom({ cpuMillis: 1_000 }, { memoryBytes: 200 })),
  measured: fc.option(
    fc.record(
      {
        cpuMillis: fc.constantFrom(0, 200, 900, 2_500),
        memoryBytes: fc.integer({ min: 0, max: 250 }),
        marginPercent: fc.constantFrom(0, 20, 50),
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  ),
});

/** A cluster of up to five nodes, up to five tasks, up to eight asks. */
export const randomScene: fc.Arbitrary<Scene> = fc
  .record({
    makes: fc.array(nodeFeatures, { minLength: 1, maxLength: 3 }),
    nodes: fc.array(fc.nat(2), { minLength: 0, maxLength: 5 }),
    tasks: fc.array(taskFeatures, { maxLength: 5 }),
    asks: fc.array(askFeatures, { minLength: 1, maxLength: 8 }),
    home: rarely(fc.constantFrom("data", "logs")),
  })
  .map(({ makes, nodes, tasks, asks, home }) => ({
    cluster: {
      nodes: nodes.map((make, index): NodeModel => {
        const volumes = index === 0 && home !== undefined ? [home] : [];
        return makeNode(`n${index}`, stated({ ...makes[make % makes.length], volumes }));
      }),
      tasks: tasks.map((over, index): RunningTask => {
        const { devices, ...rest } = over.requests;
        // A task without devices of its own: what it is given would have to be decided by the scheduler.
        return makeTask(`t${index}`, over.node, stated({ ...over, requests: stated(rest) }));
      }),
    },
    asks: asks.map((over, index): Ask => {
      const requested = stated({ ...over.requests });
      return makeAsk(`a${index}`, stated({ ...over, requests: requested, slot: index % 3 }));
    }),
    defaults: { cpuMillis: 100, memoryBytes: 10 },
  }));

/** Without the keys that have no value: absent and undefined are not the same in the model. */
function stated<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

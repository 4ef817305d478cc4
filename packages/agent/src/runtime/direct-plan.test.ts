import assert from "node:assert/strict";
import { test } from "node:test";
import { madePortName } from "@berth/network/interfaces";
import {
  aliasOf,
  attachmentsOfLabels,
  directObstacle,
  directRequest,
  insideCommands,
  linkOf,
  outsideCommands,
  parseAlias,
  rejoinCommands,
} from "./direct-plan.ts";
import type { ContainerRequest } from "./port.ts";

const ATTACHMENT = { networkId: "0a0b0c0d", address: "10.64.3.9", mac: "02:42:0a:40:03:09" };
const FILE = { kind: "bind", source: "/x", readOnly: true } as const;
const REQUEST: ContainerRequest = {
  name: "berth-c-t-1",
  labels: { "berth.cluster": "c" },
  imageId: "sha256:1",
  environment: {},
  engine: { hostname: "web-1", sysctls: { "kernel.msgmax": "65536" } },
  limits: {},
  mounts: [
    { ...FILE, target: "/etc/hosts" },
    { ...FILE, target: "/etc/resolv.conf" },
  ],
  network: { kind: "networks", attachments: [ATTACHMENT] },
  stopGraceMs: 0,
  repeatable: true,
};

test("a container is left to the engine where only the engine can do what is asked", () => {
  const cases: readonly (readonly [Partial<ContainerRequest>, RegExp | undefined])[] = [
    [{}, undefined],
    [{ network: { kind: "host" } }, /no networks/],
    [{ network: { kind: "container", containerId: "x" } }, /no networks/],
    [{ network: { kind: "networks", attachments: [] } }, /no networks/],
    [{ repeatable: false }, /must not begin twice/],
    [{ mounts: [] }, /writes its \/etc\/hosts/],
    [{ mounts: REQUEST.mounts.slice(0, 1) }, /writes its \/etc\/resolv\.conf/],
    [{ engine: { runtime: "runsc" } }, /another runtime/],
    [{ engine: { cgroupParent: "/mine" } }, /control group/],
    [{ engine: { usernsMode: "host" } }, /namespaces/],
    [{ engine: { sysctls: { "net.ipv4.tcp_syncookies": "0" } } }, /net\.ipv4\.tcp_syncookies/],
    [
      {
        network: {
          kind: "networks",
          attachments: [Object.assign({ address6: "fd00::9" }, ATTACHMENT)],
        },
      },
      /more than an address/,
    ],
  ];
  for (const [changes, expected] of cases) {
    const said = directObstacle({ ...REQUEST, ...changes });
    if (expected === undefined) assert.equal(said, undefined);
    else assert.match(said ?? "", expected);
  }
});

test("a direct container is made without networks and remembers which it will get", () => {
  const made = directRequest(REQUEST);
  assert.deepEqual(made.network, { kind: "none" });
  assert.equal(made.engine.hostname, "web-1");
  assert.deepEqual(attachmentsOfLabels(made.labels), [ATTACHMENT]);
  assert.equal(attachmentsOfLabels(REQUEST.labels), undefined);
  assert.equal(attachmentsOfLabels({ "berth.direct": '[{"address":1}]' }), undefined);
});

test("one end goes into the bridge, the other gets what is planned; the way out is the first that leads out", () => {
  const inner = { name: "b1", subnet: "10.64.3.0/24", gateway: "10.64.3.1", internal: true };
  const outer = { name: "b2", subnet: "10.64.8.0/22", gateway: "10.64.8.1", internal: false };
  const other = { ...ATTACHMENT, address: "10.64.9.2", mac: "02:42:0a:40:09:02" };
  const links = [linkOf(ATTACHMENT, inner, 0), linkOf(other, { ...outer, mtu: 1_400 }, 1)];
  const [first, second] = links.map(({ outside }) => outside);
  assert.equal(first, madePortName("b1", "10.64.3.9"));
  assert.ok(first !== second && (first?.length ?? 99) <= 15);
  assert.equal(
    outsideCommands(links, { pid: 77, containerId: "abc" }),
    [
      `link add ${first} master b1 up type veth peer name eth0 address 02:42:0a:40:03:09 netns 77`,
      `link set ${first} alias "berth abc b1"`,
      `link set ${first} type bridge_slave hairpin on`,
      `link add ${second} master b2 up mtu 1400 type veth peer name eth1 address 02:42:0a:40:09:02 mtu 1400 netns 77`,
      `link set ${second} alias "berth abc b2"`,
      `link set ${second} type bridge_slave hairpin on`,
      "",
    ].join("\n"),
  );
  assert.equal(
    insideCommands(links),
    [
      "link set eth0 addrgenmode none",
      "addr add 10.64.3.9/24 broadcast + dev eth0",
      "link set eth0 up",
      "link set eth1 addrgenmode none",
      "addr add 10.64.9.2/22 broadcast + dev eth1",
      "link set eth1 up",
      "route add default via 10.64.8.1 dev eth1",
      "",
    ].join("\n"),
  );
  assert.doesNotMatch(insideCommands([linkOf(ATTACHMENT, inner, 0)]), /route/);
});

test("an end that comes back into its bridge is as it was made", () => {
  assert.equal(
    rejoinCommands("veth1", "b1"),
    "link set veth1 master b1\nlink set veth1 type bridge_slave hairpin on\n",
  );
});

test("an interface says whose it is, and others' interfaces say nothing", () => {
  assert.deepEqual(parseAlias(aliasOf("abc", "b1")), { containerId: "abc", bridge: "b1" });
  assert.equal(parseAlias("uplink of the office"), undefined);
  assert.equal(parseAlias(""), undefined);
});

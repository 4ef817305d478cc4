/** Ways to other nodes: what is wanted of a model, what a listing says, and the commands in between. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { overlayPortName } from "../interfaces.ts";
import type { Row } from "../link-tool.ts";
import { modelOf } from "../testing/model-text.ts";
import { overlayCommands } from "./changes.ts";
import { overlayMark, PORT_SETTINGS, type SeenOverlays, seenOverlays } from "./seen.ts";
import { type OverlayState, overlayState } from "./wanted.ts";

const TWO_NODES = `network n1 shop 10.1.0.0/24
underlay 192.0.2.1 4789
overlay n1 100 1450 10.1.0.254
peer n1 node2 192.0.2.2 4790 10.1.0.253
attachment shop/web 1 n1 10.1.0.11
attachment shop/web 2 n1 10.1.0.12 node=node2`;
const NAME = overlayPortName("br-n1");
const NOTHING = seenOverlays(
  { links: [], forwards: [], neighbors: [], bridges: [] },
  { clusterId: "c1", bridges: new Set() },
);

function wantedOf(text: string): OverlayState {
  return overlayState(modelOf(text));
}

/** What the programs list once the kernel has `state`, with `change` made by somebody else. */
function listed(state: OverlayState, change: Partial<Record<string, Row>> = {}): SeenOverlays {
  const settings = Object.fromEntries(PORT_SETTINGS);
  const links = [...state.links].map(([ifname, { id, port, local, mtu, bridge }]) => ({
    ...{ ifname, mtu, master: bridge, flags: ["UP"], ifalias: overlayMark("c1") },
    linkinfo: {
      info_data: { id, port, local, learning: false },
      info_slave_data: { ...settings, ...change["port"] },
    },
    ...change["link"],
  }));
  const forwards = [...state.forwards].flatMap(([key, door]): Row[] => {
    const [ifname = "", mac = ""] = key.split(" ");
    const [dst = "", port = ""] = door.split(" ");
    const isOwn = Number(port) === state.links.get(ifname)?.port;
    return [
      { ifname, mac, dst, ...(isOwn ? {} : { port: Number(port) }), state: "static" },
      { ifname, mac, master: "br", state: "static" },
    ];
  });
  const neighbors = [...state.neighbors].map(([key, lladdr]) => {
    const [dev = "", dst = ""] = key.split(" ");
    return { dev, dst, lladdr };
  });
  const bridges = [...state.links.values()].map(({ bridge, mac }) => ({
    ifname: bridge,
    address: mac,
    addr_info: [...state.addresses]
      .filter((each) => each.startsWith(`${bridge} `))
      .map((each) => ({ family: "inet", local: each.split(" ")[1], prefixlen: 32 })),
  }));
  const ours = { clusterId: "c1", bridges: new Set(["br-n1", "br-n2"]) };
  return seenOverlays({ links, forwards, neighbors, bridges }, ours);
}

function commands(seen: SeenOverlays, wanted: OverlayState): readonly string[] {
  const { links, forwarding, last } = overlayCommands("c1", seen, wanted);
  return [...links, ...forwarding, ...last];
}

test("a network that spans hosts: an interface that floods nothing, entries for what is elsewhere", () => {
  assert.deepEqual(commands(NOTHING, wantedOf(TWO_NODES)), [
    `link add name ${NAME} mtu 1450 type vxlan id 100 dstport 4789 local 192.0.2.1 nolearning`,
    `link set dev ${NAME} alias berth-overlay-c1`,
    "link set dev br-n1 address 02:42:0a:01:00:fe",
    `link set dev ${NAME} master br-n1`,
    "addr replace 10.1.0.254/32 dev br-n1",
    `link set dev ${NAME} learning off flood off mcast_flood off bcast_flood off neigh_suppress on hairpin off`,
    `fdb replace 02:42:0a:01:00:fd dev ${NAME} self static dst 192.0.2.2 port 4790`,
    `fdb replace 02:42:0a:01:00:fd dev ${NAME} master static`,
    `fdb replace 02:42:0a:01:00:0c dev ${NAME} self static dst 192.0.2.2 port 4790`,
    `fdb replace 02:42:0a:01:00:0c dev ${NAME} master static`,
    "neigh replace 10.1.0.253 lladdr 02:42:0a:01:00:fd dev br-n1 nud permanent",
    "neigh replace 10.1.0.12 lladdr 02:42:0a:01:00:0c dev br-n1 nud permanent",
    `link set dev ${NAME} up`,
  ]);
});

test("what is as it should be needs nothing, in both families and with other ports", () => {
  const text = TWO_NODES.replace("10.1.0.12 node", "10.1.0.12 ip6=fd00:1::12 node");
  const wanted = wantedOf(text);
  assert.equal(wanted.neighbors.get("br-n1 fd00:1::12"), "02:42:0a:01:00:0c");
  assert.deepEqual(commands(listed(wanted), wanted), []);
});

test("an address that moves to another node costs one entry, one that goes takes its entries along", () => {
  const third = `${TWO_NODES}\npeer n1 node3 192.0.2.3 4789 10.1.0.252`;
  const moved = third.replace("10.1.0.12 node=node2", "10.1.0.12 node=node3");
  assert.deepEqual(commands(listed(wantedOf(third)), wantedOf(moved)), [
    `fdb replace 02:42:0a:01:00:0c dev ${NAME} self static dst 192.0.2.3 port 4789`,
  ]);
  const gone = TWO_NODES.split("\n").slice(0, -1).join("\n");
  assert.deepEqual(commands(listed(wantedOf(TWO_NODES)), wantedOf(gone)), [
    `fdb del 02:42:0a:01:00:0c dev ${NAME} self`,
    `fdb del 02:42:0a:01:00:0c dev ${NAME} master`,
    "neigh del 10.1.0.12 dev br-n1",
  ]);
});

test("an address that has come to this node is no other node's, whoever still says so", () => {
  const both = `${TWO_NODES}\nattachment shop/db 1 n1 10.1.0.11 node=node2`;
  assert.deepEqual(wantedOf(both), wantedOf(TWO_NODES));
});

test("a node that is no peer gets no packets, and the gateway is never elsewhere", () => {
  const stranger = `${TWO_NODES}\nattachment shop/db 1 n1 10.1.0.13 node=node9`;
  assert.deepEqual(wantedOf(stranger), wantedOf(TWO_NODES));
  assert.equal(wantedOf(TWO_NODES).neighbors.has("br-n1 10.1.0.1"), false);
});

test("what somebody changed is set again", () => {
  const wanted = wantedOf(TWO_NODES);
  const flooding = listed(wanted, { port: { flood: true } });
  assert.deepEqual(commands(flooding, wanted), [
    `link set dev ${NAME} learning off flood off mcast_flood off bcast_flood off neigh_suppress on hairpin off`,
    `link set dev ${NAME} up`,
  ]);
  const narrow = listed(wanted, { link: { mtu: 1000 } });
  assert.deepEqual(commands(narrow, wanted), [`link set dev ${NAME} mtu 1450`]);
  const other = wantedOf(TWO_NODES.replace("n1 100 1450", "n1 101 1450"));
  assert.ok(commands(listed(wanted), other).includes(`link del dev ${NAME}`));
});

test("a bridge whose MAC address is set loses its neighbours: they are told again, and only then", () => {
  const wanted = wantedOf(TWO_NODES);
  const seen = listed(wanted);
  const lost = { ...seen, links: new Map(), forwards: new Map(), behind: new Set<string>() };
  assert.ok(!commands(lost, wanted).some((line) => /address|neigh /.test(line)));
  const renamed = { ...seen, macs: new Map([["br-n1", "02:00:00:00:00:01"]]) };
  assert.deepEqual(commands(renamed, wanted), [
    "link set dev br-n1 address 02:42:0a:01:00:fe",
    "neigh replace 10.1.0.253 lladdr 02:42:0a:01:00:fd dev br-n1 nud permanent",
    "neigh replace 10.1.0.12 lladdr 02:42:0a:01:00:0c dev br-n1 nud permanent",
  ]);
});

test("an interface of a network that is gone goes, one of others stays", () => {
  const wanted = wantedOf("network n1 shop 10.1.0.0/24");
  const seen = listed(wantedOf(TWO_NODES));
  assert.ok(commands(seen, wanted).includes(`link del dev ${NAME}`));
  assert.ok(commands(seen, wanted).includes("addr del 10.1.0.254/32 dev br-n1"));
  const foreign = listed(wantedOf(TWO_NODES), { link: { ifalias: "berth-overlay-c2" } });
  assert.equal(commands(foreign, wanted).includes(`link del dev ${NAME}`), false);
});

test("models in which two networks would be one are refused", () => {
  const twice = `${TWO_NODES}\nnetwork n2 shop 10.2.0.0/24\noverlay n2 100 1450 10.2.0.254`;
  assert.throws(() => modelOf(twice), /networks\[1\]\.overlay\.id: expected its own/);
  const outside = TWO_NODES.replace("4790 10.1.0.253", "4790 10.2.0.253");
  assert.throws(() => modelOf(outside), /expected nodes with addresses of 10\.1\.0\.0\/24/);
  assert.throws(() => modelOf(TWO_NODES.replace(/underlay.*\n/, "")), /expected an underlay/);
});

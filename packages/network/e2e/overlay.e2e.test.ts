/**
 * Networks over three hosts with real interfaces: who reaches whom, service addresses, published ports, large
 * packets, forged packets, moves, and what is left of changes by somebody else.
 */

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { overlayPortName } from "../src/interfaces.ts";
import type { Container } from "./containers.ts";
import {
  bridgeOf,
  joinNetwork,
  LabHost,
  type LabNetwork,
  type LabTask,
  macOf,
  modelOfHost,
  nodeAddress,
  run,
  startTask,
  UNDERLAY_PORT,
} from "./hosts.ts";
import { inNamespace, SERVICE, until } from "./lab.ts";

const A: LabNetwork = { id: "a", prefix: "10.77.0", overlayId: 100 };
const B: LabNetwork = { id: "b", prefix: "10.77.1", overlayId: 200 };
const ADDRESS_A = "10.79.0.0";

/** Connects `count` times to port 8080; one line each: what was said, or the error's code. */
const TCP_CLIENT = `
  const [address, count] = process.argv.slice(1);
  const ask = () => new Promise((done) => {
    const socket = require('net').connect(8080, address, () => socket.write('x'));
    socket.setTimeout(1500, () => { done('time-out'); socket.destroy(); });
    socket.on('data', (data) => { done(String(data).trim()); socket.destroy(); });
    socket.on('error', (error) => done(error.code));
  });
  (async () => { for (let i = 0; i < count; i++) console.log(await ask()); process.exit(); })()`;
/** Sends one datagram of hexadecimal `text` to a host's port. */
const UDP_SENDER = `
  const [address, port, text] = process.argv.slice(1);
  const socket = require('dgram').createSocket('udp4');
  socket.send(Buffer.from(text, 'hex'), Number(port), address, () => process.exit());`;

inNamespace(import.meta.url, () => {
  const hosts = [1, 2, 3].map((number) => new LabHost(number));
  const containers = new Map<string, Container>();
  let tasks: LabTask[] = [];
  let generation = 0;

  function host(number: number): LabHost {
    const found = hosts[number - 1];
    assert.ok(found !== undefined);
    return found;
  }

  function container(name: string): Container {
    const found = containers.get(name);
    assert.ok(found !== undefined, name);
    return found;
  }

  async function follow(change = {}): Promise<void> {
    generation++;
    for (const each of hosts) {
      const state = { networks: [A, B], tasks, change };
      const report = await each.net.client.apply(modelOfHost(each, generation, state));
      assert.deepEqual(report.overlay?.problems, [], each.name);
      assert.deepEqual(report.firewall.problems, [], each.name);
      assert.deepEqual(report.addresses?.problems, [], each.name);
    }
  }

  async function ask(name: string, address: string, count = 1): Promise<string[]> {
    const words = ["-e", TCP_CLIENT, address, String(count)];
    return (await container(name).run(process.execPath, words)).trim().split("\n");
  }

  before(async () => {
    for (const each of hosts) await each.start();
    // Two networks on hosts 1 and 2, the second also on host 3: which carries nothing of the first.
    tasks = [
      { host: host(1), networkId: "a", address: "10.77.0.11", slot: 1, ready: true },
      { host: host(2), networkId: "a", address: "10.77.0.12", slot: 2, ready: true },
      { host: host(1), networkId: "b", address: "10.77.1.11", slot: 1, ready: true },
      { host: host(2), networkId: "b", address: "10.77.1.12", slot: 2, ready: true },
      { host: host(3), networkId: "b", address: "10.77.1.13", slot: 3, ready: true },
    ];
    for (const task of tasks) {
      const network = task.networkId === "a" ? A : B;
      const isNew = !run(task.host.pid, "ip", ["-o", "link"]).includes(bridgeOf(network.id));
      if (isNew) joinNetwork(task.host, network);
      const name = `${network.id}${task.host.number}`;
      containers.set(name, await startTask(task, network, name));
    }
    await follow();
  });

  test("copies of a network reach each other on all its hosts, under their own addresses", async () => {
    assert.deepEqual(await ask("a1", "10.77.0.12"), ["a2 10.77.0.11"]);
    assert.deepEqual(await ask("a2", "10.77.0.11"), ["a1 10.77.0.12"]);
    for (const [from, to] of [
      ["b1", 2],
      ["b1", 3],
      ["b2", 3],
      ["b3", 1],
    ] as const) {
      const own = `10.77.1.1${from.slice(1)}`;
      assert.deepEqual(await ask(from, `10.77.1.1${to}`), [`b${to} ${own}`]);
    }
  });

  test("service addresses lead to copies on every host, each sees the client itself", async () => {
    const answers = new Set(await ask("b1", "10.79.0.1", 60));
    assert.deepEqual(answers, new Set(["b1 10.77.1.1", "b2 10.77.1.11", "b3 10.77.1.11"]));
    // The last copy of the first network that is ready is the other host's.
    tasks = tasks.map((task) => (task.address === "10.77.0.11" ? { ...task, ready: false } : task));
    await follow();
    assert.deepEqual(await ask("a1", ADDRESS_A, 3), Array(3).fill("a2 10.77.0.11"));
  });

  test("networks stay apart, over hosts as on one", async () => {
    for (const target of ["10.77.1.12", "10.77.1.11", "10.77.1.13"]) {
      assert.equal(await container("a1").reaches(target, 8080), false, target);
    }
    assert.equal(await container("b3").reaches("10.77.0.11", 8080), false);
    assert.equal(await container("b3").reaches("10.77.0.12", 8080), false);
    // Nor does a container reach another host by the address that the host has in the network.
    for (const port of [53, 22, 7711]) {
      assert.equal(await container("a1").reaches(nodeAddress(A, host(2)), port), false);
    }
  });

  test("the gateway is each host's own", async () => {
    await container("a1").reaches("10.77.0.1", 8080);
    const neighbours = await container("a1").run("ip", ["neigh", "show", "10.77.0.1"]);
    assert.match(neighbours, new RegExp(macOf(nodeAddress(A, host(1)))));
  });

  test("the host itself reaches copies on other hosts, as HAProxy does", () => {
    const said = run(host(1).pid, process.execPath, ["-e", TCP_CLIENT, "10.77.0.12", "1"]);
    assert.equal(said.trim(), `a2 ${nodeAddress(A, host(1))}`);
    const far = run(host(3).pid, process.execPath, ["-e", TCP_CLIENT, "10.77.1.11", "1"]);
    assert.equal(far.trim(), `b1 ${nodeAddress(B, host(3))}`);
  });

  test("a published UDP port answers from a copy on another host", async () => {
    const target = { ...SERVICE, networkId: "a", port: 8081 };
    const udpPorts = [{ id: "u", hostAddress: "0.0.0.0", hostPort: 5300, target }];
    const both = modelOfHost(host(1), ++generation, {
      ...{ networks: [A, B], tasks },
      change: { udpPorts },
    });
    assert.deepEqual((await host(1).net.client.apply(both)).addresses?.problems, []);
    const script = `
      const socket = require('dgram').createSocket('udp4');
      socket.on('message', (data) => { console.log(String(data).trim()); process.exit(); });
      setTimeout(() => { console.log('nothing'); process.exit(); }, 2000);
      socket.send('x', 5300, '192.0.2.1');`;
    // From a host that knows nothing of the network, and from the host itself.
    const said = run(host(3).pid, process.execPath, ["-e", script]);
    assert.equal(said.trim(), `a2 ${nodeAddress(A, host(1))}`);
    const local = run(host(1).pid, process.execPath, [
      "-e",
      script.replace("192.0.2.1", "127.0.0.1"),
    ]);
    assert.match(local.trim(), /^a2 /);
    await follow();
  });

  test("the largest packet passes whole", async () => {
    // 28 bytes are headers; echoes are short.
    const script = `
      const socket = require('dgram').createSocket('udp4');
      socket.on('message', (data) => { console.log(String(data).trim()); process.exit(); });
      setTimeout(() => { console.log('nothing'); process.exit(); }, 2000);
      socket.send(Buffer.alloc(1450 - 28), 8081, '10.77.0.12');`;
    const said = await container("a1").run(process.execPath, ["-e", script]);
    assert.equal(said.trim(), "a2 10.77.0.11");
  });

  test("TCP of containers that believe in larger packets fits all the same", async () => {
    for (const name of ["a1", "a2"]) {
      await container(name).run("ip", ["link", "set", "eth0", "mtu", "1500"]);
    }
    const server = `require('net').createServer((s) => s.pipe(s)).listen(9000, () => console.log('up'))`;
    void container("a2").run("timeout", ["20", process.execPath, "-e", server]);
    const script = `
      const net = require('net');
      const ask = () => {
        const socket = net.connect(9000, '10.77.0.12', () => socket.write(Buffer.alloc(1 << 20)));
        let size = 0;
        socket.on('data', (data) => { size += data.length; if (size === 1 << 20) { console.log('all'); process.exit(); } });
        socket.on('error', () => setTimeout(ask, 50));
      };
      setTimeout(() => { console.log('stuck'); process.exit(); }, 10000);
      ask();`;
    assert.equal((await container("a1").run(process.execPath, ["-e", script])).trim(), "all");
    for (const name of ["a1", "a2"]) {
      await container(name).run("ip", ["link", "set", "eth0", "mtu", "1450"]);
    }
  });

  test("packets of a network count only from a host that takes part in it", async () => {
    const heard = () => Number(/RX:.*\n\s*\d+\s+(\d+)/.exec(portOf(2, "a"))?.[1]);
    const frame = forgedFrame();
    const packet = (id: number) => `08000000${id.toString(16).padStart(6, "0")}00${frame}`;
    const send = (from: number, id: number) =>
      run(host(from).pid, process.execPath, [
        "-e",
        UDP_SENDER,
        "192.0.2.2",
        `${UNDERLAY_PORT}`,
        packet(id),
      ]);
    const before = heard();
    // Host 3 is a member of the other network, which the same hosts share.
    send(3, A.overlayId);
    assert.equal(heard(), before);
    // The check can fail: a member's packet arrives.
    send(1, A.overlayId);
    await until("a member's packet", 1_000, () => (heard() === before + 1 ? true : undefined));
    // Nor can a container speak as its host.
    const words = ["-e", UDP_SENDER, "192.0.2.2", `${UNDERLAY_PORT}`, packet(A.overlayId)];
    run(host(1).pid, "nft", [
      "add table ip engine; add chain ip engine p { type nat hook postrouting priority 100; }; add rule ip engine p ip saddr 10.77.0.0/24 oifname eth0 masquerade",
    ]);
    await container("a1").run(process.execPath, words);
    assert.equal(heard(), before + 1);
  });

  test("an address that moves to another host is reached there as soon as that is told", async () => {
    const moving = { host: host(2), networkId: "b", address: "10.77.1.20", slot: 4, ready: false };
    tasks = [...tasks, moving];
    const first = await startTask(moving, B, "old");
    await follow();
    assert.deepEqual(await ask("b1", "10.77.1.20"), ["old 10.77.1.11"]);
    assert.deepEqual(await ask("b3", "10.77.1.20"), ["old 10.77.1.13"]);
    first.end();
    const moved = { ...moving, host: host(3) };
    tasks = [...tasks.filter((task) => task !== moving), moved];
    await follow();
    const second = await startTask(moved, B, "new");
    for (const [name, address] of [
      ["b1", "10.77.1.11"],
      ["b2", "10.77.1.12"],
      ["b3", "10.77.1.13"],
    ] as const) {
      assert.deepEqual(await ask(name, "10.77.1.20"), [`new ${address}`]);
    }
    second.end();
    tasks = tasks.filter((task) => task !== moved);
    await follow();
  });

  test("what somebody takes away comes back by itself", async () => {
    const name = overlayPortName(bridgeOf("a"));
    run(host(1).pid, "ip", ["link", "del", name]);
    run(host(2).pid, "bridge", ["fdb", "del", macOf("10.77.0.11"), "dev", name, "self"]);
    run(host(2).pid, "ip", ["neigh", "flush", "all", "nud", "permanent"]);
    await until("repair", 15_000, async () => {
      const [said] = await ask("a1", "10.77.0.12");
      return said === "a2 10.77.0.11" ? true : undefined;
    });
  });

  test("net begins anew without a word and without a gap", async () => {
    const asking = ask("a1", "10.77.0.12", 40);
    await host(1).net.kill();
    await host(1).net.start();
    assert.deepEqual(new Set(await asking), new Set(["a2 10.77.0.11"]));
    const status = await host(1).net.client.status();
    await until("the stored model", 5_000, async () => {
      const { overlay } = await host(1).net.client.status();
      return overlay?.generation === status.generation ? true : undefined;
    });
    const metrics = await host(1).net.client.metrics();
    assert.match(metrics, /berth_net_overlay_changes_total 0\n/);
    assert.match(metrics, /berth_net_overlay_networks 2\n/);
  });

  test("a network that ends at its host again leaves nothing", async () => {
    tasks = tasks.filter((task) => task.host !== host(2) || task.networkId !== "a");
    await follow();
    const links = run(host(1).pid, "ip", ["-o", "link"]);
    assert.ok(!links.includes(overlayPortName(bridgeOf("a"))));
    assert.ok(links.includes(overlayPortName(bridgeOf("b"))));
    const addresses = run(host(1).pid, "ip", ["-o", "addr", "show", "dev", bridgeOf("a")]);
    assert.ok(!addresses.includes(nodeAddress(A, host(1))));
    assert.equal(await container("a1").reaches("10.77.0.12", 8080), false);
  });

  function portOf(number: number, networkId: string): string {
    return run(host(number).pid, "ip", [
      "-s",
      "link",
      "show",
      overlayPortName(bridgeOf(networkId)),
    ]);
  }

  /** An Ethernet frame to the copy of host 2, as its neighbour of host 1 would send one. */
  function forgedFrame(): string {
    const hex = (mac: string) => mac.replaceAll(":", "");
    return `${hex(macOf("10.77.0.12"))}${hex(macOf("10.77.0.11"))}88b5${"00".repeat(46)}`;
  }
});

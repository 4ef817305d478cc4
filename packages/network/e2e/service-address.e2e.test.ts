/**
 * Service addresses and UDP ports with real bridges, rules and flows: spread, source, hairpin, affinity,
 * refusal, draining, and what a flush by somebody else leaves.
 */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { before, test } from "node:test";
import type { NodeNetworkModel } from "../src/model.ts";
import { addBridge, type Container, ECHO_SERVER, ip, startContainer } from "./containers.ts";
import { inNamespace, loopbackModel, netUnderTest, SERVICE, until } from "./lab.ts";

const RANGE = "10.79.0.0/24";
const ADDRESS = "10.79.0.7";
const OTHER_ADDRESS = "10.79.0.9";
const NETWORKS = ["a", "b"].map((name, index) => ({
  id: name,
  project: "default",
  environment: "main",
  stack: "shop",
  name,
  bridge: `br-${name}`,
  subnet: `10.77.${index}.0/24`,
  gateway: `10.77.${index}.1`,
  serviceRange: RANGE,
  internal: false,
}));

/** Connects once to each of `count` times, one line each; prints what was said, or the error's code. */
const TCP_CLIENT = `
  const [address, count] = process.argv.slice(1);
  const ask = () => new Promise((done) => {
    const started = performance.now();
    const socket = require('net').connect(8080, address, () => socket.write('x'));
    socket.setTimeout(2000, () => done('time-out'));
    socket.on('data', (data) => { done(String(data).trim()); socket.destroy(); });
    socket.on('error', (error) => done(error.code + ' ' + (performance.now() - started < 500 ? 'soon' : 'late')));
  });
  (async () => { for (let i = 0; i < count; i++) console.log(await ask()); process.exit(); })()`;
/** Listens for one connection, then no more: answers it, or ends it by a reset (`reset`). */
const ONE_ANSWER = `
  const server = require('net').createServer((socket) => {
    server.close();
    socket.once('data', () => process.argv[1] === 'reset' ? socket.resetAndDestroy() : socket.end('answered'));
  }).listen(9090, '0.0.0.0', () => console.log('listens'));`;
/** Always from the same port. */
const SAME_PORT_CLIENT = `
  const socket = require('net').connect({ host: process.argv[1], port: 9090, localPort: 40123 }, () => socket.write('x'));
  socket.on('connectionAttempt', () => console.log('asks'));
  socket.on('data', (data) => { console.log(String(data)); socket.destroy(); });
  socket.on('error', (error) => console.log(error.code));`;
/** One socket: a datagram each time that a line comes, and what was said within 300 ms. */
const UDP_CLIENT = `
  const [address, port] = process.argv.slice(1);
  const socket = require('dgram').createSocket('udp4');
  let said = 'nothing';
  socket.on('message', (data) => { said = String(data).trim(); });
  socket.on('error', (error) => { said = error.code; });
  socket.connect(Number(port), address);
  require('readline').createInterface({ input: process.stdin }).on('line', () => {
    said = 'nothing';
    socket.send('x', (error) => { if (error) said = error.code; });
    setTimeout(() => console.log(said), 300);
  });`;

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  const containers = new Map<string, Container>();
  let outside: Container | undefined;
  let generation = 0;

  before(async () => {
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    // As on a host whose engine does not ask for it: what bridges need comes from us.
    writeFileSync("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
    for (const network of NETWORKS) addBridge(network.bridge, `${network.gateway}/24`);
    for (const [name, index, host] of [
      ["web1", 0, 11],
      ["web2", 0, 12],
      ["web3", 0, 13],
      ["client", 0, 20],
      ["stranger", 1, 11],
    ] as const) {
      const server = { script: ECHO_SERVER, name };
      const address = `10.77.${index}.${host}`;
      const bridge = NETWORKS[index]?.bridge;
      containers.set(name, await startContainer(address, `10.77.${index}.1`, bridge, server));
    }
    // A task on both networks: its way out is that of b.
    const both = container("stranger");
    ip(`link add veth-both type veth peer name peer-both`);
    ip(`link set peer-both netns ${both.pid}`);
    ip("link set veth-both master br-a");
    ip("link set veth-both up");
    for (const words of ["addr add 10.77.0.30/24 dev peer-both", "link set peer-both up"]) {
      await both.run("ip", words.split(" "));
    }
    outside = await startContainer("198.18.0.2", "198.18.0.1");
    await net.start();
  });

  function container(name: string): Container {
    const found = containers.get(name);
    assert.ok(found !== undefined, name);
    return found;
  }

  interface Wish {
    readonly copies?: Readonly<Record<number, "ready" | "draining">>;
    readonly affinity?: number;
    readonly change?: Partial<NodeNetworkModel>;
  }

  async function follow({ copies = {}, affinity, change = {} }: Wish): Promise<void> {
    const report = await net.client.apply(
      loopbackModel(++generation, {
        networks: NETWORKS,
        services: [
          {
            ...SERVICE,
            networks: [{ networkId: "a", aliases: [], virtualAddress: ADDRESS }],
            endpointMode: "vip",
            ports: [],
            ...(affinity === undefined
              ? {}
              : { affinity: { kind: "source", timeoutMs: affinity } as const }),
          },
        ],
        endpoints: Object.entries(copies).map(([slot, state]) => ({
          ...SERVICE,
          slot: Number(slot),
          taskId: `t${slot}`,
          networkId: "a",
          address: `10.77.0.1${slot}`,
          state,
        })),
        ingress: { ...loopbackModel(1, {}).ingress, httpRoutes: [], tcpPorts: [] },
        ...change,
      }),
    );
    assert.deepEqual(report.addresses?.problems, []);
  }

  async function ask(name: string, address: string, count = 1): Promise<string[]> {
    const words = ["-e", TCP_CLIENT, address, String(count)];
    const text = await container(name).run(process.execPath, words);
    return text.trim().split("\n");
  }

  async function udpClient(from: Container | undefined, address: string, port: number) {
    const inside = from === undefined ? [] : ["nsenter", "-t", String(from.pid), "-n"];
    const argv = [...inside, process.execPath, "-e", UDP_CLIENT, address, String(port)];
    const child = spawn(argv[0] ?? "", argv.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    process.on("exit", () => child.kill("SIGKILL"));
    return {
      async say(): Promise<string> {
        child.stdin.write("x\n");
        const [data] = await once(child.stdout, "data");
        return String(data).trim();
      },
      end: () => void child.kill("SIGKILL"),
    };
  }

  /** The kernel's number for the table: another one when it was made anew. */
  function tableHandle(): string | undefined {
    const text = execFileSync("nft", ["-a", "list", "tables"], { encoding: "utf8" });
    return /berth_lab_address # handle (\d+)/.exec(text)?.[1];
  }

  function counts(answers: readonly string[]): ReadonlyMap<string, number> {
    const counted = new Map<string, number>();
    for (const answer of answers) counted.set(answer, (counted.get(answer) ?? 0) + 1);
    return counted;
  }

  test("connections spread over the ready copies, each sees the client's own address", async () => {
    await follow({ copies: { 1: "ready", 2: "ready", 3: "draining" } });
    const counted = counts(await ask("client", ADDRESS, 60));
    assert.deepEqual([...counted.keys()].sort(), ["web1 10.77.0.20", "web2 10.77.0.20"]);
    assert.ok(
      [...counted.values()].every((count) => count >= 12),
      JSON.stringify([...counted]),
    );
  });

  test("a copy reaches its own service, also when it is the only one", async () => {
    const answers = new Set(await ask("web1", ADDRESS, 20));
    assert.deepEqual(answers, new Set(["web1 10.77.0.1", "web2 10.77.0.11"]));
    await follow({ copies: { 1: "ready" } });
    assert.deepEqual(await ask("web1", ADDRESS, 2), ["web1 10.77.0.1", "web1 10.77.0.1"]);
  });

  test("without a ready copy, and at an address of nobody, refusal comes at once", async () => {
    await follow({ copies: { 1: "draining" } });
    assert.deepEqual(await ask("client", ADDRESS), ["ECONNREFUSED soon"]);
    assert.deepEqual(await ask("client", OTHER_ADDRESS), ["ECONNREFUSED soon"]);
    const udp = await udpClient(container("client"), ADDRESS, 8081);
    assert.equal(await udp.say(), "ECONNREFUSED");
    udp.end();
  });

  test("another network's address is refused", async () => {
    await follow({ copies: { 1: "ready" } });
    assert.deepEqual(await ask("stranger", ADDRESS), ["ECONNREFUSED soon"]);
    assert.deepEqual(await ask("client", ADDRESS), ["web1 10.77.0.20"]);
  });

  test("a task on several networks reaches the addresses of all, under its own address there", async () => {
    const copy = (networkId: string, address: string) => ({
      ...SERVICE,
      service: "client",
      networkId,
      address,
      mac: "02:42:00:00:00:01",
      taskId: "both",
      slot: 1,
    });
    const attachments = [copy("a", "10.77.0.30"), copy("b", "10.77.1.11")];
    await follow({ copies: { 1: "ready", 2: "ready" }, change: { attachments } });
    const answers = new Set(await ask("stranger", ADDRESS, 20));
    assert.deepEqual(answers, new Set(["web1 10.77.0.30", "web2 10.77.0.30"]));
    const itself = { ...SERVICE, slot: 1, taskId: "both", networkId: "a", address: "10.77.0.30" };
    const endpoints = [{ ...itself, state: "ready" as const }];
    await follow({ change: { attachments, endpoints } });
    assert.deepEqual(await ask("stranger", ADDRESS, 2), [
      "stranger 10.77.0.1",
      "stranger 10.77.0.1",
    ]);
    await follow({ copies: { 1: "ready" } });
    assert.deepEqual(await ask("stranger", ADDRESS), ["ECONNREFUSED soon"]);
  });

  test("a connection to a copy that drains lives on, new ones go elsewhere", async () => {
    await follow({ copies: { 1: "ready" } });
    const words = ["-t", String(container("client").pid), "-n", "bash", "-c"];
    const script = `exec 3<>/dev/tcp/${ADDRESS}/8080; while read -r line; do echo x >&3; head -n1 <&3; done`;
    const child = spawn("nsenter", [...words, script], { stdio: ["pipe", "pipe", "inherit"] });
    const say = async () => {
      child.stdin.write("x\n");
      const [data] = await once(child.stdout, "data");
      return String(data).trim();
    };
    assert.equal(await say(), "web1 10.77.0.20");
    await follow({ copies: { 1: "draining", 2: "ready" } });
    assert.equal(await say(), "web1 10.77.0.20");
    assert.deepEqual(new Set(await ask("client", ADDRESS, 10)), new Set(["web2 10.77.0.20"]));
    child.kill("SIGKILL");
  });

  test("a port that is used again after a copy's reset leads to a ready copy, not to the one that is gone", async (t) => {
    const program = async (name: string, script: string, argument: string) => {
      const words = ["-t", String(container(name).pid), "-n", process.execPath, "-e", script];
      const child = spawn("nsenter", [...words, argument], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      t.after(() => child.kill("SIGKILL"));
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      await until(`${name} speaks`, 10_000, () => (said === "" ? undefined : true));
      const ended = once(child, "exit");
      return async () => {
        await ended;
        return said.trim().split("\n").at(-1);
      };
    };
    const askFromSamePort = () => program("client", SAME_PORT_CLIENT, ADDRESS);
    await follow({ copies: { 1: "ready" } });
    await program("web1", ONE_ANSWER, "reset");
    assert.equal(await (await askFromSamePort())(), "ECONNRESET");
    await follow({ copies: { 1: "draining", 2: "ready" } });
    await program("web2", ONE_ANSWER, "answer");
    const answer = await askFromSamePort();
    await follow({ copies: { 2: "ready" } });
    assert.equal(await answer(), "answered");
  });

  test("with affinity a source stays with its copy until that leaves or its time is over", async () => {
    const copies = { 1: "ready", 2: "ready", 3: "ready" } as const;
    await follow({ copies, affinity: 60_000 });
    const [first = ""] = await ask("client", ADDRESS);
    assert.deepEqual(new Set(await ask("client", ADDRESS, 15)), new Set([first]));
    const slot = Number(first.slice(3, 4));
    await follow({ copies: { ...copies, [slot]: "draining" }, affinity: 60_000 });
    const later = new Set(await ask("client", ADDRESS, 15));
    assert.equal(later.size, 1);
    assert.ok(!later.has(first));
    await follow({ copies, affinity: 1_000 });
    const seen = new Set<string>();
    await until("a source chooses anew", 20_000, async () => {
      await new Promise((done) => setTimeout(done, 1_300));
      seen.add((await ask("client", ADDRESS))[0] ?? "");
      return seen.size > 1 ? true : undefined;
    });
  });

  test("a UDP flow leaves a copy that is gone, though its client never stops", async () => {
    await follow({ copies: { 1: "ready" } });
    const udp = await udpClient(container("client"), ADDRESS, 8081);
    assert.equal(await udp.say(), "web1 10.77.0.20");
    await follow({ copies: { 1: "draining", 2: "ready" } });
    assert.equal(await udp.say(), "web1 10.77.0.20");
    await follow({ copies: { 2: "ready" } });
    await until("the flow goes to the other copy", 5_000, async () =>
      (await udp.say()) === "web2 10.77.0.20" ? true : undefined,
    );
    udp.end();
  });

  const udpPorts = [
    {
      id: "p1",
      hostAddress: "0.0.0.0",
      hostPort: 5300,
      target: { ...SERVICE, networkId: "a", port: 8081 },
    },
  ];

  test("a published UDP port: from outside with its source, from the host, from containers", async () => {
    await follow({ copies: { 1: "ready" }, change: { udpPorts } });
    const asked = async (from: Container | undefined, address: string) => {
      const udp = await udpClient(from, address, 5300);
      const said = await udp.say();
      udp.end();
      return said;
    };
    assert.deepEqual(
      {
        outside: await asked(outside, "198.18.0.1"),
        loopback: await asked(undefined, "127.0.0.1"),
        own: await asked(undefined, "198.18.0.1"),
        container: await asked(container("stranger"), "10.77.1.1"),
      },
      {
        outside: "web1 198.18.0.2",
        loopback: "web1 10.77.0.1",
        own: "web1 198.18.0.1",
        container: "web1 10.77.1.11",
      },
    );
  });

  test("a UDP port that somebody has is named, and left to him", async () => {
    const { createSocket } = await import("node:dgram");
    const socket = createSocket("udp4").bind(5301, "0.0.0.0");
    await once(socket, "listening");
    const report = await net.client.apply(
      loopbackModel(++generation, {
        networks: NETWORKS,
        udpPorts: udpPorts.map((port) => ({ ...port, hostPort: 5301 })),
      }),
    );
    assert.deepEqual(report.addresses?.problems, [
      { code: "port_taken", id: "p1", address: "0.0.0.0", port: 5301 },
    ]);
    socket.close();
  });

  test("net killed and started again: addresses worked all the time, and nothing is loaded anew", async () => {
    await follow({ copies: { 1: "ready" } });
    const handle = tableHandle();
    await net.kill();
    assert.deepEqual(await ask("client", ADDRESS), ["web1 10.77.0.20"]);
    await net.start();
    await net.client.waitApplied(generation, 5_000);
    assert.deepEqual(await ask("client", ADDRESS), ["web1 10.77.0.20"]);
    const after = await net.client.status();
    assert.deepEqual(after.addresses?.problems, []);
    assert.equal(handle, tableHandle());
  });

  test("a flush by somebody else is mended", async () => {
    execFileSync("nft", ["delete", "table", "inet", "berth_lab_address"]);
    await until("the table is back", 10_000, async () =>
      (await ask("client", ADDRESS))[0] === "web1 10.77.0.20" ? true : undefined,
    );
  });

  test("a new port of the bridge hairpins before its copy is chosen", async () => {
    ip("link set veth1 nomaster");
    ip("link set veth1 master br-a");
    await follow({ copies: { 2: "ready" } });
    await follow({ copies: { 1: "ready" } });
    assert.deepEqual(await ask("web1", ADDRESS), ["web1 10.77.0.1"]);
  });
});

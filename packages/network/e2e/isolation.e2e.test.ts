/** The isolation matrix with real bridges, routes and nftables: who reaches what, before and after a flush. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { before, test } from "node:test";
import { addBridge, type Container, ip, startContainer } from "./containers.ts";
import { inNamespace, loopbackModel, netUnderTest, SERVICE, until } from "./lab.ts";

const NETWORKS = ["a", "b", "internal"].map((name, index) => ({
  id: name,
  project: "default",
  environment: "main",
  stack: "shop",
  name,
  bridge: `br-${name}`,
  subnet: `10.77.${index}.0/24`,
  gateway: `10.77.${index}.1`,
  subnet6: `fd77:${index}::/64`,
  gateway6: `fd77:${index}::1`,
  serviceRange: "10.79.0.0/24",
  internal: name === "internal",
}));
/** Service addresses of a copy on each network. */
const SERVICES = { a: "10.79.0.7", b: "10.79.0.8" } as const;

const METADATA = "169.254.169.254";
const OUTSIDE = "198.18.0.2";

/** What each container may reach; everything else in the matrix must be closed. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  a1: ["a1", "a1-6", "a2", "a2-6", "outside", "published", "published-6", "service-a"],
  a2: ["a1", "a1-6", "a2", "a2-6", "outside", "published", "published-6", "service-a"],
  b1: ["b1", "b1-6", "outside", "published", "published-6", "service-b"],
  internal1: ["internal1", "internal1-6"],
};
const FORBIDDEN = {
  a1: [
    "10.77.1.11 8080",
    "fd77:1::11 8080",
    "10.77.0.1 5432",
    "fd77:0::1 7710",
    `${METADATA} 8080`,
  ],
  internal1: [`${OUTSIDE} 8080`, "10.77.2.1 9000", "10.77.0.12 8080"],
};
/** Connects without a pause for a while to each of several targets; says how often it got through. */
const ATTACKER = `
  const [forMs, ...targets] = process.argv.slice(1);
  const until = Date.now() + Number(forMs);
  let [tries, hits] = [0, 0];
  const attack = (host, port) => {
    if (Date.now() > until) return;
    tries++;
    const socket = require('net').connect({ host, port: Number(port) });
    const next = () => { socket.destroy(); attack(host, port); };
    const timer = setTimeout(next, 30);
    socket.on('connect', () => { hits++; clearTimeout(timer); next(); });
    socket.on('error', () => { clearTimeout(timer); setTimeout(next, 1); });
  };
  for (const target of targets) for (let i = 0; i < 4; i++) attack(...target.split(' '));
  process.on('exit', () => console.log(tries > 100 ? hits : 'idle'));`;

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  const containers = new Map<string, Container>();
  let outside: Container | undefined;
  const target = { ...SERVICE, networkId: "a", port: 8080 };
  const model = loopbackModel(1, {
    networks: NETWORKS,
    services: (["a", "b"] as const).map((networkId) => ({
      ...SERVICE,
      service: `web-${networkId}`,
      networks: [{ networkId, aliases: [], virtualAddress: SERVICES[networkId] }],
      endpointMode: "vip",
      ports: [],
    })),
    ingress: {
      ...loopbackModel(1, {}).ingress,
      httpRoutes: [],
      tcpPorts: [{ id: "p1", hostAddress: "0.0.0.0", hostPort: 9000, target }],
    },
    endpoints: [
      { ...SERVICE, slot: 1, taskId: "t1", networkId: "a", address: "10.77.0.11", state: "ready" },
      ...(["a", "b"] as const).map((networkId, index) => ({
        ...SERVICE,
        service: `web-${networkId}`,
        slot: 1,
        taskId: `t${networkId}`,
        networkId,
        address: `10.77.${index}.11`,
        state: "ready" as const,
      })),
    ],
  });

  before(async () => {
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    for (const network of NETWORKS) {
      addBridge(network.bridge, `${network.gateway}/24`);
      ip(`addr add ${network.gateway6}/64 dev ${network.bridge} nodad`);
    }
    const plan = [
      ["a1", 0, 11],
      ["a2", 0, 12],
      ["b1", 1, 11],
      ["internal1", 2, 11],
    ] as const;
    for (const [name, index, host] of plan) {
      const bridge = NETWORKS[index]?.bridge ?? "";
      const address = `10.77.${index}.${host}`;
      const container = await startContainer(address, `10.77.${index}.1`, bridge);
      containers.set(name, container);
      for (const words of [
        `addr add fd77:${index}::${host}/64 dev eth0 nodad`,
        `route add default via fd77:${index}::1`,
      ]) {
        await container.run("ip", ["-6", ...words.split(" ")]);
      }
    }
    outside = await startContainer(OUTSIDE, "198.18.0.1");
    // A cloud's metadata, on the way out; and the platform's API and a database on the host.
    await outside.run("ip", ["addr", "add", `${METADATA}/32`, "dev", "lo"]);
    ip(`route add ${METADATA} via ${OUTSIDE}`);
    for (const port of [7710, 5432]) {
      const server = createServer((socket) => socket.on("error", () => {}).end()).unref();
      await new Promise<void>((done) => server.listen(port, "::", done));
    }
    await net.start();
  });

  /** The lasting table, not its guard. */
  function hasTable(): boolean {
    const tables = execFileSync("nft", ["list", "tables"], { encoding: "utf8" });
    return /inet berth_lab$/m.test(tables);
  }

  /** How often the container got through to any of the targets while it tried for `forMs`. */
  async function attack(name: string, forMs: number, targets: readonly string[]): Promise<string> {
    const words = ["-e", ATTACKER, String(forMs), ...targets];
    return (await containers.get(name)?.run(process.execPath, words)) ?? "";
  }

  /** `[from, to]` of all pairs that can connect. */
  async function openPairs(): Promise<string[]> {
    const targets: [string, string, number][] = [
      ...[...containers].map(
        ([name, item]) => [name, item.address, 8080] as [string, string, number],
      ),
      ...[...containers].map(
        ([name, item]) => [`${name}-6`, address6(item.address), 8080] as [string, string, number],
      ),
      ["service-a", SERVICES.a, 8080],
      ["service-b", SERVICES.b, 8080],
      ["outside", OUTSIDE, 8080],
      ["metadata", METADATA, 8080],
    ];
    const pairs: string[] = [];
    const from = async ([name, container]: readonly [string, Container]) => {
      const gateway = container.address.replace(/\d+$/, "1");
      const own: [string, string, number][] = [
        ["published", gateway, 9000],
        ["published-outside", "198.18.0.1", 9000],
        ["api", gateway, 7710],
        ["api-outside", "198.18.0.1", 7710],
        ["database", gateway, 5432],
        ["published-6", address6(gateway), 9000],
        ["api-6", address6(gateway), 7710],
        ["database-6", address6(gateway), 5432],
        ["api-other-6", gateway.startsWith("10.77.1.") ? "fd77:0::1" : "fd77:1::1", 7710],
      ];
      for (const [to, address, port] of [...targets, ...own]) {
        if (await container.reaches(address, port)) pairs.push(`${name} → ${to}`);
      }
    };
    await Promise.all([...containers].map(from));
    return pairs.sort();
  }

  function address6(address: string): string {
    const [, , network = "", host = ""] = address.split(".");
    return `fd77:${network}::${host}`;
  }

  const expected = Object.entries(ALLOWED)
    .flatMap(([from, list]) =>
      list.flatMap((to) =>
        to === "published"
          ? [`${from} → published`, `${from} → published-outside`]
          : [`${from} → ${to}`],
      ),
    )
    .sort();

  test("before any rule everything is open: the matrix can see a connection", async () => {
    assert.ok((await openPairs()).length > expected.length * 1.5);
    assert.ok(Number(await attack("a1", 500, FORBIDDEN.a1)) > 100);
  });

  test("networks are closed to each other, to the host, to metadata, and internal ones to all", async () => {
    const report = await net.client.apply(model);
    assert.deepEqual(report.firewall.problems, []);
    assert.deepEqual(await openPairs(), expected);
  });

  test("nobody outside reaches a container by routing through the host, the host itself does", async () => {
    assert.ok(outside !== undefined);
    assert.equal(await outside.reaches("10.77.0.11", 8080), false);
    assert.equal(await outside.reaches("198.18.0.1", 9000), true);
    execFileSync("timeout", ["1", "bash", "-c", "</dev/tcp/10.77.0.11/8080"]);
  });

  test("a container cannot send under a neighbour network's address", async () => {
    const a1 = containers.get("a1");
    assert.ok(a1 !== undefined);
    await a1.run("ip", ["addr", "add", "10.77.1.99/32", "dev", "eth0"]);
    const bind =
      "const s=require('net').connect({host:'198.18.0.2',port:8080,localAddress:'10.77.1.99'});";
    const script = `${bind}s.on('connect',()=>console.log('open'));setTimeout(()=>process.exit(),300)`;
    assert.equal(await a1.run(process.execPath, ["-e", script]), "");
  });

  test("DNS of the own network answers, that of another one is out of reach", async () => {
    const b1 = containers.get("b1");
    assert.ok(b1 !== undefined);
    assert.match(await b1.run("dig", ["+tries=1", "+time=1", "@10.77.1.1", "nosuch"]), /NXDOMAIN/);
    assert.match(
      await b1.run("dig", ["+tries=1", "+time=1", "@10.77.0.1", "nosuch"]),
      /no servers|timed out/,
    );
    const internal = containers.get("internal1");
    const said = await internal?.run("dig", ["+tcp", "+time=1", "@10.77.2.1", "nosuch"]);
    assert.match(said ?? "", /NXDOMAIN/);
  });

  test("a flush by somebody else is mended, and other tables are never touched", async () => {
    execFileSync("nft", ["flush", "ruleset"]);
    execFileSync("nft", ["add", "table", "inet", "foreign"]);
    await until("the table is back", 10_000, () => (hasTable() ? true : undefined));
    assert.deepEqual(await openPairs(), expected);
    assert.match(execFileSync("nft", ["list", "tables"], { encoding: "utf8" }), /inet foreign/);
  });

  test("nobody gets through while others flush all rules again and again", async () => {
    const said = Promise.all([
      attack("a1", 4_000, FORBIDDEN.a1),
      attack("internal1", 4_000, FORBIDDEN.internal1),
    ]);
    for (let flush = 0; flush < 12; flush++) {
      execFileSync("nft", ["flush", "ruleset"]);
      await new Promise((done) => setTimeout(done, 250));
    }
    assert.deepEqual(await said, ["0\n", "0\n"]);
  });

  test("one rule taken out by hand comes back", async () => {
    await until("the table is back", 10_000, () => (hasTable() ? true : undefined));
    const listing = execFileSync("nft", ["-a", "list", "chain", "inet", "berth_lab", "forward"]);
    const handle = /oifname @bridges drop # handle (\d+)/.exec(listing.toString())?.[1];
    assert.ok(handle !== undefined);
    execFileSync("nft", ["delete", "rule", "inet", "berth_lab", "forward", "handle", handle]);
    await until("the rule is back", 10_000, () => {
      const text = execFileSync("nft", ["list", "chain", "inet", "berth_lab", "forward"]);
      return text.includes("oifname @bridges drop") ? true : undefined;
    });
  });

  test("stopping leaves the isolation, uninstalling removes the table", async () => {
    await net.client.stop({ ingress: false });
    assert.match(execFileSync("nft", ["list", "tables"], { encoding: "utf8" }), /berth_lab/);
    await net.start();
    await net.client.waitApplied(1, 5_000);
    await net.client.stop({ ingress: true, firewall: true });
    await until("the table is gone", 5_000, () => (hasTable() ? undefined : true));
  });
});

/**
 * Networks over three hosts, as users meet them: copies talk by name, by service address and through HAProxy
 * wherever they run; another project reaches none of them; a fixed address goes where its task goes; and a
 * network of the cluster's first host alone grows to those that join.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import type { NetworkCheckPair, NodeStanding, Task, TaskStatus } from "@berth/protocol";
import { eventually, TestPlatform } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

let lab: HostLab;
let first: LabHost;
let second: LabHost;
let third: LabHost;

const PORT = 18_080;
const BIG_BYTES = 200_000;
const FIXED = "10.33.0.10";

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  lab = await HostLab.boot("one", "two", "three");
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  [first, second, third] = [one, two, three];
  await first.startServer();
  first.loadImage("berth/busybox");
  await first.deploy("early", stack(server("web", 1), client("replicas: 1")));
  for (const host of [second, third]) {
    const [printed] = await first.json<{ readonly command: string }>("node", "join");
    const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
    assert.equal(code, 0, stdout + stderr);
    host.loadImage("berth/busybox");
  }
});

after(() => lab?.destroy());

function stack(...services: string[]): string {
  return `services:\n${services.join("")}`;
}

function server(name: string, replicas: number, more = ""): string {
  // Of each container its own: copies of one slot have one host name.
  const serve = `mkdir /www; cat /proc/sys/kernel/random/uuid > /www/index.html; head -c ${BIG_BYTES} /dev/zero > /www/big`;
  return `  ${name}:
    image: berth/busybox
    command: ["sh", "-c", "${serve}; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    expose: ["8080"]
    deploy: { replicas: ${replicas} }
    x-berth: { min_healthy: 200ms, drain: 0s }
${more}`;
}

function client(deploy: string, more = ""): string {
  return `  client:
    image: berth/busybox
    command: ["sleep", "1000000"]
    stop_signal: SIGKILL
    deploy: { ${deploy} }
    x-berth: { min_healthy: 200ms, drain: 0s }
${more}`;
}

interface Row {
  readonly task: Task;
  readonly status?: TaskStatus;
}

async function tasksOf(service: string, ...scope: string[]): Promise<Task[]> {
  const rows = await first.json<Row>("ps", service, ...scope);
  return rows.filter(({ status }) => status?.ready === true).map(({ task }) => task);
}

/** Runs `script` in the copy of `service` on `host`. */
async function inside(service: string, host: LabHost, script: string, ...scope: string[]) {
  const task = (await tasksOf(service, ...scope)).find(({ node }) => node === host.name);
  assert.ok(task, `no copy of ${service} on ${host.name}`);
  const copy = `${service}-${task.slot}`;
  const { stdout } = await first.berth("exec", ...scope, copy, "sh", "-c", script);
  return stdout;
}

function fetchLine(address: string, path = "/"): string {
  return `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} 8080 2>/dev/null`;
}

/** Who answers in so many requests. */
async function answering(service: string, host: LabHost, address: string, count = 24) {
  const script = `for i in $(seq ${count}); do ${fetchLine(address)} | tail -n1; done`;
  const text = await inside(service, host, script);
  return new Set(text.split("\n").filter((line) => line !== ""));
}

async function addressesOf(service: string, ...scope: string[]): Promise<string[]> {
  const tasks = await tasksOf(service, ...scope);
  return tasks.flatMap(({ attachments }) => attachments.map(({ address }) => address));
}

test("a network that was one host's spans those that joined, under its running copies", async () => {
  await first.must("scale", "early/web=3");
  await eventually("a copy is ready on each host", async () => {
    const nodes = new Set((await tasksOf("early/web")).map(({ node }) => node));
    return [...nodes].sort().join() === "one,three,two";
  });
  const [task] = await tasksOf("early/client");
  const host = lab.hosts.find(({ name }) => name === task?.node);
  assert.ok(host);
  assert.equal((await answering("early/client", host, "web")).size, 3);
  for (const address of await addressesOf("early/web")) {
    const size = await inside("early/client", host, `${fetchLine(address, "/big")} | wc -c`);
    assert.ok(Number(size) > BIG_BYTES, `${address} answered ${size.trim()} bytes`);
  }
});

test("copies on three hosts reach each other by name, by service address and by their own", async () => {
  await first.deploy(
    "shop",
    stack(server("web", 3, `    ports: ["${PORT}:8080"]\n`), client("mode: global")),
  );
  const addresses = await addressesOf("shop/web");
  assert.equal(addresses.length, 3);
  for (const host of lab.hosts) {
    assert.equal((await answering("shop/client", host, "web")).size, 3, host.name);
    assert.equal((await answering("shop/client", host, "tasks.web")).size, 3, host.name);
    for (const address of addresses) {
      const text = await inside("shop/client", host, `${fetchLine(address, "/big")} | wc -c`);
      assert.ok(Number(text) > BIG_BYTES, `${host.name} to ${address}: ${text.trim()} bytes`);
    }
  }
});

test("the address of any host leads to copies on all of them", async () => {
  for (const host of lab.hosts) {
    const names = new Set<string>();
    for (let request = 0; request < 12; request++) {
      names.add((await host.inside("curl", "-sS", `http://127.0.0.1:${PORT}/`)).trim());
    }
    assert.equal(names.size, 3, `${host.name}: ${[...names].join(" ")}`);
  }
});

test("the ways between all nodes are good, and berth debug network says so", async () => {
  const pairs = await first.json<NetworkCheckPair>("debug", "network");
  assert.equal(pairs.length, 6);
  for (const pair of pairs) {
    const steps = pair.steps.map(({ what, verdict, message }) => `${what} ${verdict}: ${message}`);
    assert.equal(
      pair.verdict,
      "ok",
      `${pair.from} ${pair.to} ${pair.message}\n${steps.join("\n")}`,
    );
    assert.equal(steps.length, 4);
  }
});

test("another project reaches none of it, on any host", async () => {
  const scope = ["--project", "other"];
  await first.deploy("spy", stack(client("mode: global")), ...scope);
  const targets = [...(await addressesOf("shop/web")), "web.shop.main.default.berth"];
  for (const host of lab.hosts) {
    for (const target of targets) {
      const text = await inside("spy/client", host, fetchLine(target), ...scope);
      assert.equal(text, "", `${host.name} to ${target}`);
    }
  }
});

test("a fixed address goes with its task to another host", async (context) => {
  const use = (address: string) => `    networks: { pinned: ${address} }\n`;
  const networks = `networks:
  pinned: { ipam: { config: [{ subnet: 10.33.0.0/24 }] } }
`;
  const db = server("db", 1, use(`{ ipv4_address: ${FIXED} }`));
  await first.deploy("fixed", stack(db, client("mode: global", use("{}"))) + networks);
  const [before] = await tasksOf("fixed/db");
  assert.equal(before?.attachments[0]?.address, FIXED);
  const [from, ...others] = [...lab.hosts].sort((a) => (a.name === before?.node ? -1 : 1));
  assert.ok(from && before);
  const [old = ""] = await answering("fixed/client", from, FIXED, 1);
  for (const host of others) {
    assert.deepEqual([...(await answering("fixed/client", host, FIXED, 1))], [old]);
  }
  const startedAt = performance.now();
  await first.must("node", "drain", from.name);
  await eventually("db runs elsewhere", async () => {
    const [now] = await tasksOf("fixed/db");
    return now !== undefined && now.id !== before.id && now.node !== from.name;
  });
  for (const host of others) {
    await eventually(`${host.name} reaches it`, async () => {
      const [name = old] = await answering("fixed/client", host, FIXED, 1);
      return name !== old;
    });
  }
  context.diagnostic(`moved in ${Math.round(performance.now() - startedAt)} ms`);
  await first.must("node", "uncordon", from.name);
});

test("without the power of a host the others still reach one another, and it returns", async () => {
  await eventually("every host has a client", async () => {
    return new Set((await tasksOf("shop/client")).map(({ node }) => node)).size === 3;
  });
  await third.powerOff();
  await eventually("three copies are ready on two hosts", async () => {
    const nodes = (await tasksOf("shop/web")).map(({ node }) => node);
    return nodes.length === 3 && !nodes.includes("three");
  });
  for (const host of [first, second]) {
    assert.equal((await answering("shop/client", host, "web")).size, 3, host.name);
  }
  const [standing] = await first.json<NodeStanding>("node", "describe", "three");
  assert.equal(standing?.node.contact, "down");
  await third.boot();
  const { code, stdout, stderr } = await third.installed("platform", "start", "--consent");
  assert.equal(code, 0, stdout + stderr);
  await eventually("three has a client that reaches all copies", async () => {
    const nodes = (await tasksOf("shop/client")).map(({ node }) => node);
    return nodes.includes("three") && (await answering("shop/client", third, "web")).size === 3;
  });
});

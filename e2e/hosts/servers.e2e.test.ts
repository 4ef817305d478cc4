/**
 * Three hosts with a server and a member of etcd each: what is asked at one is answered for all, the leader's host
 * loses its power during a rollout, and etcd its majority. No read fails, and no write that was acknowledged is lost.
 */

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { NodeStanding, ServerView } from "@berth/protocol";
import { eventually, TestPlatform } from "../test-platform.ts";
import { ETCD, joinAsServer, reads, startEtcd } from "./host-etcd.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

let lab: HostLab;
const members = new Map<LabHost, ChildProcess>();

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  lab = await HostLab.boot("one", "two", "three");
  for (const host of lab.hosts) beginEtcd(host);
  const [first] = lab.hosts;
  assert.ok(first);
  await first.startServer("--store", ETCD);
  first.loadImage("berth/busybox");
  for (const host of lab.hosts.slice(1)) {
    await joinAsServer(first, host);
    host.loadImage("berth/busybox");
  }
});

after(() => lab?.destroy());

function beginEtcd(host: LabHost): void {
  members.set(host, startEtcd(lab, host));
}

async function killEtcd(host: LabHost): Promise<void> {
  await host.run("pkill", "-9", "-x", "etcd");
  const etcd = members.get(host);
  if (etcd !== undefined && etcd.exitCode === null) await once(etcd, "exit");
}

/** The node of the server that leads, as the server of `host` sees it; "" when none does. */
async function leader(host: LabHost): Promise<string> {
  const token = readFileSync(join(host.folder, "data/admin.token"), "utf8").trim();
  const words = ["-sSf", "-H", `Authorization: Bearer ${token}`];
  const { stdout } = await host.run("curl", ...words, "http://127.0.0.1:7710/v1/servers");
  const { servers } = JSON.parse(stdout) as { readonly servers: readonly ServerView[] };
  return servers.find(({ leads }) => leads)?.server.node ?? "";
}

async function running(asked: LabHost, service: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name } of lab.hosts) {
    const { code, stdout } = await asked.berth("node", "describe", name, "--json");
    if (code !== 0) continue;
    const { copies, node } = JSON.parse(stdout) as NodeStanding;
    if (node.contact !== "up") continue;
    found.push(
      ...copies
        .filter(({ copy, state }) => copy.startsWith(service) && state === "running")
        .map(() => name),
    );
  }
  return found;
}

/** The file is a blob of the stack; `word` makes another release. */
function web(word: string): string {
  return `services:
  web:
    image: berth/busybox
    command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
    stop_signal: SIGKILL
    environment: { WORD: "${word}" }
    configs: [{ source: page, target: /www/index.html }]
    expose: ["8080"]
    deploy: { replicas: 3 }
    x-berth: { min_healthy: 200ms, drain: 0s }
configs:
  page: { file: ./page-${word} }
`;
}

function deploy(host: LabHost, word: string): Promise<string> {
  writeFileSync(join(host.folder, `page-${word}`), `page of ${word}\n`);
  return host.deploy("web", web(word), "--timeout", "2m");
}

/** Sets labels at `host`, one after the other; answers those that were acknowledged. */
function writes(host: LabHost, node: string) {
  const acknowledged: string[] = [];
  const failures: string[] = [];
  let goesOn = true;
  const done = (async () => {
    for (let index = 0; goesOn; index++) {
      const label = `${host.name}-${index}`;
      const { code, stderr } = await host.berth("node", "set", node, "--label", `${label}=yes`);
      if (code === 0) acknowledged.push(label);
      else failures.push(stderr.trim());
    }
  })();
  return {
    async stop() {
      goesOn = false;
      await done;
      return { acknowledged, failures };
    },
  };
}

async function labelsOf(asked: LabHost, node: string): Promise<Record<string, string>> {
  const [found] = await asked.json<NodeStanding>("node", "describe", node);
  return { ...found?.node.labels };
}

test("what is asked at one server is answered for all: files, logs, exec, addresses", async () => {
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  await deploy(two, "first");
  await eventually("another server shows a copy on each host", async () => {
    return (await running(three, "web/")).sort().join(" ") === "one three two";
  });
  for (const asked of lab.hosts) {
    for (const slot of [1, 2, 3]) {
      const page = await asked.must("exec", `web/web-${slot}`, "cat", "/www/index.html");
      assert.equal(page, "page of first\n");
    }
    await eventually(`${asked.name} knows all servers`, async () => {
      const [known] = await asked.json<{ servers: { local: string[] } }>("context", "ls");
      const addresses = lab.hosts.map(({ address }) => `https://${address}:7711`);
      return addresses.every((url) => known?.servers.local.includes(url));
    });
  }
});

test("the leader's host loses its power during a rollout", async (context) => {
  const [any] = lab.hosts;
  assert.ok(any);
  const name = await leader(any);
  const leading = lab.hosts.find((host) => host.name === name);
  assert.ok(leading, `"${name}" leads`);
  const [asked, other] = lab.hosts.filter((host) => host !== leading);
  assert.ok(asked && other);
  const reading = [reads(asked), reads(other)];
  const writing = writes(other, asked.name);
  const rollout = deploy(asked, "second");
  await eventually("the rollout has begun", async () => {
    return (await asked.must("ps", "--json")).includes('"release":2');
  });
  const from = performance.now();
  const ms = () => Math.round(performance.now() - from);
  await leading.cable("down");
  await leading.powerOff();
  await eventually("another server leads", async () => {
    const now = await leader(asked);
    return now !== "" && now !== leading.name;
  });
  context.diagnostic(`another server leads after ${ms()} ms`);
  await rollout;
  context.diagnostic(`the rollout is done after ${ms()} ms`);
  await eventually("three copies run on two hosts", async () => {
    return (await running(asked, "web/")).length === 3;
  });
  context.diagnostic(`three copies run after ${ms()} ms`);
  for (const each of reading) {
    const { count, failures, longestMs } = await each.stop();
    context.diagnostic(`${count} reads, the longest ${longestMs} ms`);
    assert.deepEqual(failures, []);
  }
  const { acknowledged, failures } = await writing.stop();
  context.diagnostic(`${acknowledged.length} writes acknowledged, ${failures.length} not`);
  const labels = await labelsOf(asked, asked.name);
  assert.deepEqual(
    acknowledged.filter((label) => labels[label] !== "yes"),
    [],
  );
  await leading.boot();
  beginEtcd(leading);
  await leading.startServer();
  await eventually("the host is back", async () => {
    const { stdout } = await asked.berth("node", "describe", leading.name, "--json");
    return (JSON.parse(stdout) as NodeStanding).node.contact === "up";
  });
});

test("etcd loses its majority and gets it back", async (context) => {
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  const before = await labelsOf(one, "one");
  await one.must("node", "set", "one", "--label", "before=yes");
  const reading = [reads(one), reads(three)];
  for (const host of [two, three]) await killEtcd(host);
  const refused = await one.berth("node", "set", "one", "--label", "meanwhile=yes");
  context.diagnostic(`a write meanwhile: exit ${refused.code}, ${refused.stderr.trim()}`);
  for (const host of [two, three]) beginEtcd(host);
  const from = performance.now();
  await eventually("a write is taken again", async () => {
    return (await one.berth("node", "set", "one", "--label", "after=yes")).code === 0;
  });
  context.diagnostic(`a write is taken ${Math.round(performance.now() - from)} ms after the start`);
  for (const each of reading) assert.deepEqual((await each.stop()).failures, []);
  const expected = [...Object.keys(before), "before", "after"];
  await eventually("another server shows every write that was acknowledged", async () => {
    const labels = await labelsOf(three, "one");
    return expected.every((label) => labels[label] !== undefined);
  });
  await eventually("another server shows every copy running", async () => {
    return (await running(two, "web/")).length === 3;
  });
});

test("a server that was stopped is forgotten, refuses to start, and joins again", async () => {
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  const running = await one.berth("server", "rm", "three");
  assert.match(running.stderr, /server three runs: end it first, with berth platform stop/);
  await one.must("node", "drain", "three");
  await three.must("platform", "stop");
  await eventually("three is forgotten", async () => {
    return (await one.berth("server", "rm", "three")).code === 0;
  });
  const left = await one.json<ServerView>("server", "ls");
  assert.deepEqual(left.map(({ server }) => server.node).sort(), ["one", "two"]);
  const { stderr } = await three.berth("platform", "start", "--consent");
  assert.match(stderr, /server three was removed from this cluster: it has to join anew/);
  await three.must("platform", "uninstall", "--yes");
  await joinAsServer(two, three);
  await eventually("three is a server again", async () => {
    const servers = await one.json<ServerView>("server", "ls");
    return servers.some(({ server, isPresent }) => server.node === "three" && isPresent);
  });
});

/**
 * Three hosts become one cluster by the printed command: a stack spreads over them, a host loses its power, is
 * drained, is removed and comes back; and hosts that may not join are told why.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import type { NodeStanding } from "@berth/protocol";
import { eventually, TestPlatform } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

let lab: HostLab;
let first: LabHost;
let second: LabHost;
let third: LabHost;

before(async () => {
  await ensureBusybox();
  lab = await HostLab.boot("one", "two", "three");
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  [first, second, third] = [one, two, three];
  await first.startServer();
  first.loadImage("berth/busybox");
});

after(() => lab?.destroy());

/** Made through the machine's own engine: the hosts reach no packages. */
async function ensureBusybox(): Promise<void> {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
}

interface Printed {
  readonly command: string;
  readonly url: string;
  readonly token: string;
  readonly fingerprint: string;
}

async function print(...words: string[]): Promise<Printed> {
  const [printed] = await first.json<Printed>("node", "join", ...words);
  assert.ok(printed);
  return printed;
}

async function standing(node: string): Promise<NodeStanding> {
  const [found] = await first.json<NodeStanding>("node", "describe", node);
  assert.ok(found);
  return found;
}

test("a host that cannot join is told why, and nothing of it is changed", async () => {
  const { command } = await print();
  const wrong = await second.paste(command.replace(/bj_\S+/, `bj_${"x".repeat(43)}`));
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /the token is not known here/);
  const impostor = command.replace(/sha256\/\/[^']+/, `sha256//${"A".repeat(43)}=`);
  const pinned = await second.paste(impostor);
  assert.match(pinned.stderr, /pinned|public key/i);
  const taken = await second.paste(command, "--node", "one");
  assert.match(taken.stderr + taken.stdout, /there is a node one already \(up\)/);
  const clash = await second.run(
    "ip",
    "address",
    "add",
    `${lab.range.replace("0.0/16", "7.1")}/24`,
    "dev",
    "lo",
  );
  assert.equal(clash.code, 0);
  const ranged = await second.paste(command);
  assert.match(ranged.stdout, /inside the cluster's range/);
  assert.match(ranged.stderr, /this host cannot join yet: 1 check failed, nothing was changed/);
  await second.inside("ip", "address", "flush", "dev", "lo", "scope", "global");
  const { items } = { items: await first.json<{ node: { name: string } }>("node", "ls") };
  assert.deepEqual(
    items.map(({ node }) => node.name),
    ["one"],
  );
});

test("the printed command makes a node of a host; it works once", async () => {
  for (const host of [third, second]) {
    const { command } = await print();
    const { code, stdout, stderr } = await host.paste(command);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /✓ way back/);
    host.loadImage("berth/busybox");
    if (host === third) {
      const again = await second.paste(command);
      assert.match(again.stderr, /the token was used by three: each is for one host/);
    }
  }
  const nodes = await first.json<{ node: { name: string; contact: string } }>("node", "ls");
  const names = nodes.map(({ node }) => `${node.name} ${node.contact}`);
  assert.deepEqual(names.sort(), ["one up", "three up", "two up"]);
  const status = await second.installed("platform", "status");
  assert.equal(status.code, 0, status.stdout + status.stderr);
});

const COMPOSE = `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    expose: ["8080"]
    deploy: { replicas: 3 }
    x-berth: { min_healthy: 200ms, drain: 0s }
`;

async function copiesOn(node: string): Promise<number> {
  return (await standing(node)).copies.filter(({ state }) => state === "running").length;
}

async function readyCopies(): Promise<number> {
  interface Row {
    readonly services: readonly { readonly ready: number }[];
  }
  const [row] = await first.json<Row>("ps");
  return row?.services[0]?.ready ?? 0;
}

test("a stack spreads over the hosts", async () => {
  await first.deploy("spread", COMPOSE);
  const counts = await Promise.all(lab.hosts.map(({ name }) => copiesOn(name)));
  assert.deepEqual(counts, [1, 1, 1]);
});

test("the copies of a host that lost its power are replaced within seconds", async (context) => {
  const from = performance.now();
  await third.powerOff();
  await eventually("three copies are ready on two hosts", async () => {
    const counts = await Promise.all([copiesOn("one"), copiesOn("two")]);
    return counts.reduce((sum, count) => sum + count, 0) === 3;
  });
  const tookMs = Math.round(performance.now() - from);
  context.diagnostic(`replaced after ${tookMs} ms`);
  const { node } = await standing("three");
  assert.equal(node.contact, "down");
});

test("a drained host is empty, and the service was never without its copies", async () => {
  const draining = first.must("node", "drain", "two");
  const seen: number[] = [];
  await eventually("two runs nothing", async () => {
    seen.push(await readyCopies());
    return (await copiesOn("two")) === 0;
  });
  const said = await draining;
  assert.match(said, /spread\/web-\d has left two\n/);
  assert.match(said, /two is empty\n$/);
  assert.ok(Math.min(...seen) >= 2, `ready at each look: ${seen.join(" ")}`);
});

test("a node that is removed while it runs copies ends them, and they run elsewhere", async () => {
  await first.must("node", "uncordon", "two");
  await first.must("scale", "spread/web=5");
  await eventually("two runs copies again", async () => (await copiesOn("two")) > 0);
  const refused = await first.berth("node", "rm", "two");
  assert.match(refused.stderr, /node two still runs \d+ copies: spread\/web-\d/);
  const dry = await first.must("node", "rm", "two", "--dry-run");
  assert.match(dry, /spread\/web-\d +running +one /);
  await first.must("node", "rm", "two", "--force", "--yes");
  await eventually("one has all copies, two none", async () => {
    return (await copiesOn("one")) === 5 && second.docker("ps", "-q").trim() === "";
  });
});

test("a removed node that comes back is refused with a clear word", async () => {
  await first.must("node", "rm", "three", "--force", "--yes");
  await third.boot();
  const { code, stdout, stderr } = await third.installed("node", "describe", "three");
  assert.notEqual(code, 0, stdout);
  assert.match(stderr, /node three was removed: its certificate is worth nothing/);
});

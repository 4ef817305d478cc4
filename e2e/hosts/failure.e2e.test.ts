/**
 * Hosts that die, and hosts that are cut off and come back: what is replaced, in what time, and that nothing of which
 * only one may run ever runs twice.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import type { NodeStanding } from "@berth/protocol";
import { eventually, TestPlatform } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

/** Short, so that a copy that has to end by itself does so within the test. */
const ISOLATION_MS = 3_000;

let lab: HostLab;
let first: LabHost;
let second: LabHost;
let third: LabHost;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  lab = await HostLab.boot("one", "two", "three");
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  [first, second, third] = [one, two, three];
  first.prepareSettings({ failover: { isolationMs: ISOLATION_MS } });
  await first.startServer();
  first.loadImage("berth/busybox");
  for (const host of [second, third]) {
    const [printed] = await first.json<{ command: string }>("node", "join");
    const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
    assert.equal(code, 0, stdout + stderr);
    host.loadImage("berth/busybox");
  }
});

after(() => lab?.destroy());

async function standing(node: string): Promise<NodeStanding> {
  const [found] = await first.json<NodeStanding>("node", "describe", node);
  assert.ok(found);
  return found;
}

async function copiesOn(node: string): Promise<string[]> {
  const { copies } = await standing(node);
  return copies.filter(({ state }) => state === "running").map(({ copy }) => copy);
}

const WEB = `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    expose: ["8080"]
    deploy: { replicas: 3 }
    x-berth: { min_healthy: 200ms, drain: 0s, routes: [{ host: web.test, port: 8080 }] }
`;

const SINGLE = `services:
  single:
    image: berth/busybox
    command: ["sleep", "1000000"]
    stop_signal: SIGKILL
    stop_grace_period: 1s
    networks: { default: { ipv4_address: 10.250.7.10 } }
    deploy: { placement: { constraints: ["node.hostname != one"] } }
    x-berth: { min_healthy: 200ms, drain: 0s, failover: fence }
networks:
  default: { ipam: { config: [{ subnet: 10.250.7.0/24 }] } }
`;

/** Asks the first host's door all the time; answers when each request was answered, and which were not. */
function load() {
  const failures: { readonly atMs: number; readonly words: string }[] = [];
  let requests = 0;
  let goesOn = true;
  const start = performance.now();
  const done = (async () => {
    while (goesOn) {
      const { code, stderr } = await first.run(
        ...["curl", "-sSf", "-m", "5", "-o", "/dev/null", "-H", "Host: web.test"],
        "http://127.0.0.1:8080/",
      );
      requests++;
      if (code !== 0) failures.push({ atMs: performance.now() - start, words: stderr.trim() });
    }
  })();
  return {
    async stop() {
      goesOn = false;
      await done;
      return { requests, failures };
    },
  };
}

test("a host that is cut off keeps serving; what was replaced stops when it is back", async (context) => {
  await first.deploy("web", WEB);
  assert.equal((await copiesOn("three")).length, 1);
  await third.cable("down");
  const from = performance.now();
  await eventually("three copies run on two hosts", async () => {
    return (await copiesOn("one")).length + (await copiesOn("two")).length === 3;
  });
  context.diagnostic(`replaced after ${Math.round(performance.now() - from)} ms`);
  const own = ["curl", "-sSf", "-m", "5", "-H", "Host: web.test", "http://127.0.0.1:8080/"];
  const served = await third.run(...own);
  assert.equal(served.stdout, "ok\n", served.stderr);
  await third.cable("up");
  await eventually("the old copy has stopped", () => third.docker("ps", "-q").trim() === "");
  await eventually("it is in contact", async () => (await standing("three")).node.contact === "up");
  assert.equal((await copiesOn("three")).length, 0);
});

test("what only one may run of ends on a host that is cut off, before it starts elsewhere", async (context) => {
  await first.deploy("single", SINGLE);
  const onSecond = (await copiesOn("two")).includes("single/single-1");
  const [cut, other] = onSecond ? [second, third] : [third, second];
  const label = "label=berth.service=default/main/single/single";
  const runs = (host: LabHost) => host.docker("ps", "-q", "--filter", label).trim() !== "";
  assert.ok(runs(cut));
  await cut.cable("down");
  const from = performance.now();
  const ms = () => Math.round(performance.now() - from);
  await eventually("it is known to be down", async () => {
    return (await standing(cut.name)).node.contact === "down";
  });
  const { copies } = await standing(cut.name);
  const waits = copies.find(({ copy }) => copy === "single/single-1")?.waits ?? "";
  assert.match(waits, /its agent has ended it, which is sure in .*berth node fenced/);
  let both = false;
  let endedMs = 0;
  await eventually("it runs on the other host", () => {
    const [old, fresh] = [runs(cut), runs(other)];
    if (!old && endedMs === 0) endedMs = ms();
    both ||= old && fresh;
    return fresh;
  });
  context.diagnostic(`ended after ${endedMs} ms, started elsewhere after ${ms()} ms`);
  assert.equal(both, false, "never two");
  assert.ok(endedMs > 0);
  await cut.cable("up");
  await eventually("the host is back", async () => {
    return (await standing(cut.name)).node.contact === "up";
  });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.deepEqual([runs(cut), runs(other)], [false, true]);
});

test("a host loses its power under load: its copies are replaced within seconds", async (context) => {
  await first.must("restart", "web/web");
  await eventually("copies are spread", async () => (await copiesOn("three")).length > 0);
  const lost = (await copiesOn("three")).length;
  const requests = load();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const from = performance.now();
  await third.powerOff();
  const offMs = performance.now();
  const times: number[] = [];
  const here = async () => (await copiesOn("one")).length + (await copiesOn("two")).length;
  const before = await here();
  await eventually("every copy is replaced", async () => {
    const now = (await here()) - before;
    while (times.length < now) times.push(Math.round(performance.now() - from));
    return now >= lost;
  });
  const { requests: count, failures } = await requests.stop();
  const late = failures.filter(({ atMs }) => atMs > 6_000 + (offMs - from)).length;
  context.diagnostic(`first replaced after ${times[0]} ms, last after ${times.at(-1)} ms`);
  context.diagnostic(`${count} requests, ${failures.length} failed, ${late} of them late`);
  assert.ok(count > 20);
});

test("a person's word moves what waits for a dead host", async (context) => {
  await first.must("stack", "rm", "single", "--yes");
  await third.boot();
  const compose = SINGLE.replace(", failover: fence", "").replaceAll("10.250.7", "10.250.8");
  await first.deploy("word", compose.replace('"node.hostname != one"', '"node.hostname == two"'));
  // Free to go elsewhere from now on, but for the word.
  await second.powerOff();
  await eventually("it is known to be down", async () => {
    return (await standing("two")).node.contact === "down";
  });
  const dry = await first.must("node", "fenced", "two", "--dry-run");
  assert.match(dry, /word\/single-1 +running +is started elsewhere/);
  const said = await first.must("node", "fenced", "two", "--yes");
  assert.match(said, /two is taken for dead; free to move: word\/single-1/);
  const events = await first.must("events", "--cluster");
  assert.match(events, /two is fenced by the word of admin/);
  context.diagnostic(said.trim());
});

/**
 * Requests from outside over three hosts, as users meet them: every host answers a route, with or without a copy;
 * labels choose who does; the loss of one host costs its own clients only; and draining one costs no request.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Task, TaskStatus } from "@berth/protocol";
import { underLoad } from "../constant-load.ts";
import { eventually, TestPlatform } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

const HTTP_PORT = 8_080;
const PUBLISHED = 18_090;
const HOST = "shop.test";

let lab: HostLab;
let first: LabHost;
let home: LabHost;
let away: LabHost;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  lab = await HostLab.boot("one", "two", "three");
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  first = one;
  await first.startServer();
  first.loadImage("berth/busybox");
  for (const host of [two, three]) {
    const [printed] = await first.json<{ readonly command: string }>("node", "join");
    const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
    assert.equal(code, 0, stdout + stderr);
    host.loadImage("berth/busybox");
  }
  [home, away] = [two, three];
});

after(() => lab?.destroy());

function stack(copies: number, node = ""): string {
  const constraint = node === "" ? "" : `, placement: { constraints: ["node.name == ${node}"] }`;
  const serve = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www";
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "${serve}"]
    ports: ["${PUBLISHED}:8080"]
    deploy: { replicas: ${copies}${constraint} }
    x-berth:
      min_healthy: 200ms
      routes: [{ host: ${HOST}, port: 8080 }]
`;
}

/** What a client on `from` gets of the route at `address`. */
async function ask(from: LabHost, address: string) {
  const words = ["-sS", "-m", "3", "-w", "\n%{http_code}", "-H", `Host: ${HOST}`];
  const { code, stdout, stderr } = await from.run(
    "curl",
    ...words,
    `http://${address}:${HTTP_PORT}/`,
  );
  assert.equal(code, 0, stderr);
  const lines = stdout.trimEnd().split("\n");
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join("\n"), headers: {} };
}

async function answers(host: LabHost): Promise<boolean> {
  return await ask(first, host.address).then(
    ({ status }) => status === 200,
    () => false,
  );
}

interface Row {
  readonly task: Task;
  readonly status?: TaskStatus;
}

async function nodesOf(service: string): Promise<string[]> {
  const rows = await first.json<Row>("ps", service);
  return rows.filter(({ status }) => status?.ready === true).map(({ task }) => task.node);
}

test("every host answers a route and a published port, also those without a copy", async () => {
  await first.deploy("shop", stack(1, home.name));
  assert.deepEqual(await nodesOf("shop/web"), [home.name]);
  for (const host of lab.hosts) {
    await eventually(`${host.name} answers`, () => answers(host));
    const url = `http://${host.address}:${PUBLISHED}/`;
    const text = await first.inside("curl", "-sS", "-m", "3", url);
    assert.notEqual(text.trim(), "", host.name);
  }
});

test("a host answers on while the server is away", async () => {
  await first.must("platform", "stop");
  assert.equal((await ask(home, away.address)).status, 200);
  await first.must("platform", "start");
  await eventually("one answers again", () => answers(first));
});

test("labelled hosts alone answer; a label that is taken away leaves it to the others", async () => {
  await first.must("node", "label", away.name, "berth.ingress=true");
  await eventually("only the labelled one answers", async () => {
    const all = await Promise.all(lab.hosts.map(answers));
    return all.join() === lab.hosts.map((host) => host === away).join();
  });
  await first.must("node", "label", first.name, "berth.ingress=true");
  await eventually("one answers as well", () => answers(first));
  await first.must("node", "label", away.name, "berth.ingress-");
  await eventually("the other has left", async () => !(await answers(away)));
  assert.equal(await answers(first), true);
  await first.must("node", "label", first.name, "berth.ingress-");
  for (const host of lab.hosts) await eventually(`${host.name} answers`, () => answers(host));
});

test("draining a host costs no request at any of them", async (context) => {
  await first.deploy("shop", stack(2));
  await eventually("two copies", async () => (await nodesOf("shop/web")).length === 2);
  let turn = 0;
  const anyHost = () => lab.hosts[turn++ % lab.hosts.length] ?? first;
  const load = await underLoad(
    () => ask(first, anyHost().address),
    async () => {
      await first.must("node", "drain", home.name);
      await eventually("its copies are elsewhere", async () => {
        const nodes = await nodesOf("shop/web");
        return nodes.length === 2 && !nodes.includes(home.name);
      });
    },
  );
  context.diagnostic(`${load.good} requests`);
  assert.deepEqual(load.failures, []);
  assert.ok(load.good > 20);
  await first.must("node", "uncordon", home.name);
});

const FLOATING = "198.18.0.200";
/** Two agents hear of it, two programs start anew, and who comes back waits a while before it takes over. */
const MOVES_MS = 90_000;

async function holders(): Promise<string[]> {
  const found = [];
  for (const host of lab.hosts) {
    const { stdout } = await host.run("ip", "-o", "-4", "address", "show", "dev", "eth0");
    if (stdout.includes(`${FLOATING}/`)) found.push(host.name);
  }
  return found;
}

/** Gaps between good answers under constant requests, milliseconds. */
async function longestGap(work: () => Promise<void>) {
  let last = performance.now();
  let gap = 0;
  const load = await underLoad(async () => {
    const words = ["-sS", "-m", "2", "--connect-timeout", "0.2", "-H", `Host: ${HOST}`];
    const { code } = await first.run("curl", ...words, `http://${FLOATING}:${HTTP_PORT}/`);
    const now = performance.now();
    if (code === 0) {
      gap = Math.max(gap, now - last);
      last = now;
    }
    return { status: code === 0 ? 200 : 0, body: `curl ${code}`, headers: {} };
  }, work);
  return { gap, load };
}

test("a floating address moves when its host loses power, is drained, or loses its label", async (context) => {
  // The client is on the first host: the address is to be on others.
  for (const host of [home, away]) {
    await first.must("node", "label", host.name, "berth.ingress=true");
  }
  await first.must("ingress", "address", "set", `${FLOATING}/24`);
  const rows = await first.json<{ readonly address: string; readonly nodes?: string[] }>(
    "ingress",
    "ls",
  );
  const owner = rows.find(({ address }) => address === `${FLOATING}/24`)?.nodes?.[0];
  await eventually(
    "the first in its order has it",
    async () => (await holders()).join() === owner,
    MOVES_MS,
  );
  const [from, to] = owner === home.name ? [home, away] : [away, home];
  await eventually("it answers", async () => (await ask(first, FLOATING)).status === 200);

  const drained = await longestGap(async () => {
    await first.must("node", "drain", from.name);
    await eventually(
      "the other has it",
      async () => (await holders()).join() === to.name,
      MOVES_MS,
    );
  });
  context.diagnostic(
    `drain: ${Math.round(drained.gap)} ms, ${drained.load.failures.length} failed`,
  );
  await first.must("node", "uncordon", from.name);
  await eventually("it is back", async () => (await holders()).join() === from.name, MOVES_MS);

  await first.must("node", "label", from.name, "berth.ingress-");
  await eventually(
    "no label, no address",
    async () => (await holders()).join() === to.name,
    MOVES_MS,
  );
  await first.must("node", "label", from.name, "berth.ingress=true");
  await eventually("back once more", async () => (await holders()).join() === from.name, MOVES_MS);

  const lost = await longestGap(async () => {
    await from.cable("down");
    await from.powerOff();
    await eventually("the other has it", async () => (await ask(first, FLOATING)).status === 200);
  });
  context.diagnostic(`power: ${Math.round(lost.gap)} ms, ${lost.load.failures.length} failed`);
  await from.boot();
  const { code, stdout, stderr } = await from.installed("platform", "start", "--consent");
  assert.equal(code, 0, stdout + stderr);
  await eventually("it returns", async () => (await holders()).join() === from.name, MOVES_MS);
  await first.must("ingress", "address", "rm", FLOATING);
  await eventually("nobody has it", async () => (await holders()).length === 0, MOVES_MS);
  for (const host of [home, away]) await first.must("node", "label", host.name, "berth.ingress-");
});

test("without the power of one host the others answer on", async (context) => {
  await first.deploy("shop", stack(3));
  await eventually("it has a copy", async () => (await nodesOf("shop/web")).includes(home.name));
  const others = lab.hosts.filter((host) => host !== home);
  let turn = 0;
  const load = await underLoad(
    () => ask(first, (others[turn++ % others.length] ?? first).address),
    async () => {
      await home.powerOff();
      await eventually("its copies are replaced", async () => {
        const nodes = await nodesOf("shop/web");
        return nodes.length === 3 && !nodes.includes(home.name);
      });
    },
  );
  context.diagnostic(`${load.good} good, ${load.failures.length} failed`);
  assert.ok(load.failures.length <= load.good / 10, load.failures.join("\n"));
});

/** A stack with a database, with real parts: what was ordered survives everything that happens to it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker, LifeRecorder, mostAtOnce, runningContainers } from "./engine.ts";
import { killAll, pidsOf } from "./platform-processes.ts";
import type { StackRow, TaskRow } from "./stack-rows.ts";
import { eventually, get, ROOT, TestPlatform } from "./test-platform.ts";

const shop = join(ROOT, "examples/shop");
const compose = join(shop, "compose.yaml");
const DATABASE = "default/main/shop/db";

let platform: TestPlatform;
let recorder: LifeRecorder;

before(async () => {
  platform = await TestPlatform.start();
  recorder = new LifeRecorder(platform.cluster);
  execFileSync(join(shop, "make-images"), { env: platform.environment, stdio: "pipe" });
});

after(async () => {
  recorder.stop();
  await platform.uninstall();
});

function page() {
  return platform.ingress("shop.localhost");
}

async function order(item: string): Promise<void> {
  const body = new URLSearchParams({ item }).toString();
  const headers = {
    host: "shop.localhost",
    "content-type": "application/x-www-form-urlencoded",
    "content-length": String(body.length),
  };
  const answer = await get({
    port: platform.httpPort,
    path: "/orders",
    method: "POST",
    headers,
    body,
  });
  assert.equal(answer.status, 303, answer.body);
}

/** The page lists every one of `items`, and says `greeting`. */
async function assertPage(greeting: string, ...items: string[]): Promise<void> {
  const { status, body } = await page();
  assert.equal(status, 200, body);
  for (const item of items) assert.match(body, new RegExp(`: ${item}</li>`));
  assert.match(body, new RegExp(`<h1>${greeting}</h1>`));
}

/** The last old copy leaves when the new ones are healthy: it may answer for a moment more. */
function everyCopyGreets(greeting: string): Promise<void> {
  return eventually(`every copy says ${greeting}`, async () => {
    const bodies = await Promise.all(Array.from({ length: 8 }, page));
    return bodies.every(({ body }) => body.includes(`<h1>${greeting}</h1>`));
  });
}

async function containerOf(service: string): Promise<string> {
  const rows = await platform.json<TaskRow>("ps", `shop/${service}`);
  return rows.find(({ task }) => task.desired === "running")?.status?.containerId ?? "";
}

test("the shop is deployed in the order of its dependencies", async () => {
  const output = await platform.must("deploy", "-f", compose);
  assert.match(output, /release 1 is healthy/);
  const [stack] = await platform.json<StackRow>("ps");
  const ready = Object.fromEntries(
    (stack?.services ?? []).map((service) => [service.service, service.ready]),
  );
  assert.deepEqual([ready["web"], ready["api"], ready["db"], ready["redis"]], [2, 2, 1, 1]);
  const events = await recorder.events();
  const first = (action: string, service: string) =>
    events.findIndex(
      (one) => one.action === action && one.service === `default/main/shop/${service}`,
    );
  assert.ok(first("start", "db") >= 0);
  assert.ok(first("start", "db") < first("start", "migrate"), "migrate waits for the database");
  assert.ok(first("die", "migrate") < first("start", "api"), "the API waits for the migration");
  assert.ok(first("start", "api") < first("start", "web"), "the page waits for the API");
});

test("an order goes through page, API, database and queue", async () => {
  await order("a book");
  await assertPage("Welcome to the shop", "a book");
  await eventually("the worker packs it", async () =>
    /packed order 1/.test(await platform.must("logs", "shop/worker")),
  );
});

test("a new greeting replaces the page's copies only, and orders stay", async () => {
  const database = await containerOf("db");
  const api = await containerOf("api");
  const environment = { GREETING: "Grüß Gott" };
  const deployed = await platform.berthWith({ environment }, "deploy", "-f", compose);
  assert.equal(deployed.code, 0, deployed.stdout + deployed.stderr);
  await everyCopyGreets("Grüß Gott");
  await assertPage("Grüß Gott", "a book");
  assert.equal(await containerOf("db"), database);
  assert.equal(await containerOf("api"), api);
});

test("a rollback brings the old greeting back, and orders stay", async () => {
  await order("a lamp");
  await platform.must("rollback", "shop");
  await everyCopyGreets("Welcome to the shop");
  await assertPage("Welcome to the shop", "a book", "a lamp");
});

test("a new version of the database never runs beside the old one", async () => {
  const later = await recorder.mark();
  const before = runningContainers(platform.cluster, DATABASE);
  const folder = platform.project("shop-change", {
    "change.yaml": "services: { db: { environment: { CHANGED: yes } } }\n",
  });
  await platform.must("deploy", "-f", compose, "-f", join(folder, "change.yaml"));
  const events = await later();
  assert.equal(
    mostAtOnce(events, before, ({ service }) => service === DATABASE),
    1,
  );
  assert.notDeepEqual(runningContainers(platform.cluster, DATABASE), before);
  await eventually("the page answers", async () => (await page()).status === 200);
  await assertPage("Welcome to the shop", "a book", "a lamp");
});

test("a killed database comes back with its data", async () => {
  const killed = await containerOf("db");
  docker("kill", "--signal", "KILL", killed);
  await eventually("another container serves", async () => {
    const id = await containerOf("db");
    return id !== "" && id !== killed && (await page()).status === 200;
  });
  await assertPage("Welcome to the shop", "a book", "a lamp");
});

test("killed processes of the platform come back and touch no container", async () => {
  const before = docker(
    "ps",
    "-q",
    "--no-trunc",
    "--filter",
    `label=berth.cluster=${platform.cluster}`,
  );
  await killAll(platform.dataDir, "supervise", "server", "agent", "net", "haproxy");
  assert.deepEqual(pidsOf(platform.dataDir, "haproxy"), []);
  await platform.startPlatform();
  await eventually("the page answers", async () => (await page()).status === 200);
  await order("a chair");
  await assertPage("Welcome to the shop", "a book", "a lamp", "a chair");
  const later = docker(
    "ps",
    "-q",
    "--no-trunc",
    "--filter",
    `label=berth.cluster=${platform.cluster}`,
  );
  assert.deepEqual(later.split("\n").sort(), before.split("\n").sort());
});

test("the volume survives the stack and is found again by a new deploy", async () => {
  const listed = await platform.must("stack", "rm", "shop", "--dry-run");
  assert.match(listed, /keeps {3}the volume shop\/db-data/);
  await platform.must("stack", "rm", "shop", "--yes");
  assert.deepEqual(runningContainers(platform.cluster, DATABASE), []);
  assert.match(await platform.must("volume", "ls"), /shop\/db-data/);
  await platform.must("deploy", "-f", compose);
  await assertPage("Welcome to the shop", "a book", "a lamp", "a chair");
});

test("stack rm with its volumes takes the data", async () => {
  const volumes = await platform.json<{ readonly volume: { readonly engineName: string } }>(
    "volume",
    "ls",
    "shop",
  );
  const names = volumes.map(({ volume }) => volume.engineName);
  assert.equal(names.length, 1);
  await platform.must("stack", "rm", "shop", "--yes", "--volumes", "db-data");
  const left = docker("volume", "ls", "-q").split("\n");
  assert.deepEqual(
    names.filter((name) => left.includes(name)),
    [],
  );
});

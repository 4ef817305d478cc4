/** A host of its own that loses its engine, or its power: everything comes back, with its data. */

import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { signal } from "./platform-processes.ts";
import { PrivateHost } from "./private-host.ts";
import type { StackRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

/** A cold start of engine, platform and containers on a busy machine. */
const BOOT_MS = 120_000;

let host: PrivateHost;

before(async () => {
  await ensureBusybox();
  host = new PrivateHost();
  await host.boot();
  await host.startPlatform();
  host.loadImage("berth/busybox");
  await host.deploy("life", COMPOSE);
});

after(() => host.destroy());

/** Made through the machine's own engine: the private host reaches no packages. */
async function ensureBusybox(): Promise<void> {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
}

/** A free service, and one that adds a line to its volume at every start. */
const COMPOSE = `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; echo alive > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    deploy: { replicas: 2 }
    x-berth: { min_healthy: 200ms, routes: [{ host: life.localhost, port: 8080 }] }
  store:
    image: berth/busybox
    command: ["sh", "-c", "echo start >> /data/starts; sync; exec sleep 10000"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    x-berth: { min_healthy: 200ms }
volumes: { data: {} }
`;

async function isComplete(): Promise<boolean> {
  const rows = (await host.must("ps", "--json")).split("\n").filter((line) => line !== "");
  const [row] = rows.map((line): StackRow => JSON.parse(line));
  return row?.services.every(({ ready, wanted }) => ready === wanted && wanted > 0) === true;
}

async function starts(): Promise<number> {
  const text = await host.must("exec", "life/store", "cat", "/data/starts");
  return text.trim().split("\n").length;
}

function running(): string[] {
  return host.docker("ps", "-q", "--no-trunc").trim().split("\n").sort();
}

async function answers(): Promise<boolean> {
  return (await host.ingress("life.localhost")) === "alive\n";
}

test("a killed engine comes back under its supervisor; containers never stop", async () => {
  const before = running();
  assert.equal(before.length, 3);
  const [engine] = host.pidsOf("dockerd");
  assert.ok(engine);
  signal(engine, "SIGKILL");
  assert.ok(await answers(), "requests are answered without an engine");
  await eventually("another engine answers", () => running().length === 3, BOOT_MS);
  assert.deepEqual(running(), before);
  await eventually("the platform sees them all", isComplete, BOOT_MS);
  assert.ok(await answers());
  assert.equal(await starts(), 1);
});

test("an engine that is killed in the middle of a deploy: it ends well, nothing twice", async () => {
  const next = COMPOSE.replaceAll("alive", "alive next");
  await host.deploy("life", next, "--detach");
  await delay(400);
  const [engine] = host.pidsOf("dockerd");
  assert.ok(engine !== undefined, "the host has an engine");
  signal(engine, "SIGKILL");
  await eventually(
    "the new version answers",
    async () => (await host.ingress("life.localhost")) === "alive next\n" && (await isComplete()),
    BOOT_MS,
  );
  await eventually("three containers run", () => running().length === 3);
  await host.deploy("life", COMPOSE);
  // An old copy may answer until it has left.
  await eventually("the first version answers again", answers);
});

test("after a power failure everything runs again, with its data", async () => {
  const startsBefore = await starts();
  await host.powerOff();
  await host.boot();
  await host.startPlatform();
  await eventually("requests are answered", answers, BOOT_MS);
  const more = async () => (await starts()) === startsBefore + 1;
  await eventually("the store has begun once more, on the same volume", more, BOOT_MS);
  await eventually("all is ready again", isComplete, BOOT_MS);
  assert.equal(running().length, 3);
  assert.equal(await starts(), startsBefore + 1);
});

test("without its server a rebooted host starts free tasks, and no exclusive one", async () => {
  await eventually("old copies have gone", () => running().length === 3);
  const startsBefore = await starts();
  await host.powerOff();
  // The server finds no store that it can open, and ends again and again.
  const store = join(host.dataDir, "state.db");
  renameSync(store, `${store}.away`);
  mkdirSync(store);
  await host.boot();
  const starting = host.startPlatform().catch(() => {});
  const free = () => running().length >= 2;
  await eventually("free tasks run and answer", async () => free() && (await answers()), BOOT_MS);
  const services = host.docker("ps", "--format", '{{.Label "berth.service"}}');
  assert.doesNotMatch(services, /store/);
  rmdirSync(store);
  renameSync(`${store}.away`, store);
  await starting;
  const more = async () => (await starts()) === startsBefore + 1;
  await eventually("with the server the exclusive task runs, too, once more", more, BOOT_MS);
  await eventually("the platform is complete", isComplete, BOOT_MS);
});

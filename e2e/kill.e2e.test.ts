/**
 * `kill -9` of the platform's processes, with real parts: at rest, and at chosen moments of a deploy.
 *
 * The moments are drawn from a seed, spread over a rollout; each boundary of the agent's operations by name
 * is the matter of packages/agent/e2e. What must hold: what was acknowledged comes to be, no task ever has
 * two containers, an exclusive volume never two users, services answer while the server is dead.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Prng } from "@berth/base";
import { underLoad } from "./constant-load.ts";
import { docker, LifeRecorder, mostAtOnce, runningContainers } from "./engine.ts";
import { killAll, type ProcessName, pidsOf } from "./platform-processes.ts";
import type { StackRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

const SEED = 2;
/** Kills during deploys. */
const ROUNDS = 8;
/** A deploy of this stack takes about as long: kills fall anywhere into it. */
const DEPLOY_MS = 4_000;
const VICTIMS: readonly ProcessName[] = ["server", "agent", "net", "haproxy"];
/** Back-off of what was killed several times in a row, and a busy machine. */
const RECOVERY_MS = 90_000;

let platform: TestPlatform;
let recorder: LifeRecorder;

before(async () => {
  platform = await TestPlatform.start();
  recorder = new LifeRecorder(platform.cluster);
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  const { code, stdout, stderr } = await platform.deploy("kill", compose("v0"));
  assert.equal(code, 0, stdout + stderr);
});

after(async () => {
  recorder.stop();
  await platform.uninstall();
});

/** A free service behind a route, and one that writes into a volume of its own. */
function compose(version: string): string {
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; echo ${version} > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    deploy: { replicas: 2 }
    x-berth:
      min_healthy: 200ms
      drain: 1s
      routes: [{ host: kill.localhost, port: 8080 }]
  store:
    image: berth/busybox
    command: ["sh", "-c", "echo ${version} >> /data/versions; exec sleep 1000"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    x-berth: { min_healthy: 200ms }
volumes: { data: {} }
`;
}

function ask() {
  return platform.ingress("kill.localhost");
}

async function isComplete(): Promise<boolean> {
  const [row] = await platform.json<StackRow>("ps");
  return (
    row?.stack.rollout?.state === "complete" &&
    row.services.every(({ ready, wanted }) => ready === wanted)
  );
}

/** Both copies answer `version`, and nothing else does. */
async function answersOnly(version: string): Promise<boolean> {
  const answers = await Promise.all(Array.from({ length: 6 }, ask));
  return answers.every(({ status, body }) => status === 200 && body === `${version}\n`);
}

async function assertNothingTwice(): Promise<void> {
  const events = await recorder.events();
  for (const task of new Set(events.map((event) => event.task))) {
    const most = mostAtOnce(events, [], (event) => event.task === task);
    assert.ok(most <= 1, `task ${task} had ${most} containers at once`);
  }
  const stores = mostAtOnce(events, [], ({ service }) => service.endsWith("/store"));
  assert.equal(stores, 1, "users of the volume at once");
  const webs = mostAtOnce(events, [], ({ service }) => service.endsWith("/web"));
  assert.ok(webs <= 3 + 1, `${webs} copies of web at once; one more than two, and one draining`);
}

for (const victim of VICTIMS) {
  test(`${victim} is killed at rest: it comes back, and no container is touched`, async () => {
    const containers = () =>
      docker("ps", "-q", "--filter", `label=berth.cluster=${platform.cluster}`);
    await eventually("old copies have gone", () => containers().trim().split("\n").length === 3);
    const before = containers();
    const killed = await killAll(platform.dataDir, victim);
    assert.notEqual(killed.length, 0);
    await eventually(
      `another ${victim} runs and everything answers`,
      async () => pidsOf(platform.dataDir, victim).length > 0 && (await answersOnly("v0")),
      RECOVERY_MS,
    );
    await eventually("the platform is complete", isComplete, RECOVERY_MS);
    assert.equal(containers(), before);
  });
}

test("while the server is dead requests are answered, and a killed copy comes back", async () => {
  // The supervisor first: it would start another server.
  await killAll(platform.dataDir, "supervise");
  await killAll(platform.dataDir, "server");
  const { good, failures } = await underLoad(ask, async () => {
    const service = "default/main/kill/web";
    const [first = ""] = runningContainers(platform.cluster, service);
    const { code } = await platform.berth("ps");
    assert.equal(code, 3, "nobody answers at the server's address");
    await delay(300);
    docker("kill", first);
    await eventually("two copies run, without the one that was killed", () => {
      const now = runningContainers(platform.cluster, service);
      return now.length === 2 && !now.includes(first);
    });
  });
  assert.ok(good > 10);
  // A request that was on its way into the killed container may fail; nothing after it.
  assert.ok(failures.length <= 4, failures.join("\n"));
  await platform.startPlatform();
  await eventually("the server adopts what runs", isComplete, RECOVERY_MS);
  await assertNothingTwice();
});

test("killed at any moment of a deploy: what was acknowledged comes to be, nothing twice", async () => {
  const prng = new Prng(SEED);
  for (let round = 1; round <= ROUNDS; round++) {
    const victim = VICTIMS[(round - 1) % VICTIMS.length] ?? "server";
    const pauseMs = prng.int(0, DEPLOY_MS);
    const what = `round ${round}, seed ${SEED}: ${victim} killed after ${pauseMs} ms`;
    const version = `v${round}`;
    const accepted = await platform.deploy("kill", compose(version), "--detach");
    assert.equal(accepted.code, 0, `${what}: ${accepted.stderr}`);
    await delay(pauseMs);
    await killAll(platform.dataDir, victim);
    await eventually(`${what}: ${version} answers`, () => answersOnly(version), RECOVERY_MS);
    await eventually(`${what}: the rollout is complete`, isComplete, RECOVERY_MS);
    await assertNothingTwice();
  }
  const written = await platform.must("exec", "kill/store", "cat", "/data/versions");
  const versions = new Set(written.trim().split("\n"));
  for (let round = 0; round <= ROUNDS; round++) assert.ok(versions.has(`v${round}`), written);
});

test("everything is killed at once in the middle of a deploy", async () => {
  const { code } = await platform.deploy("kill", compose("last"), "--detach");
  assert.equal(code, 0);
  await delay(500);
  await killAll(platform.dataDir, "supervise", "server", "agent", "net", "haproxy");
  await platform.startPlatform();
  await eventually("the last version answers", () => answersOnly("last"), RECOVERY_MS);
  await eventually("the rollout is complete", isComplete, RECOVERY_MS);
  await assertNothingTwice();
});

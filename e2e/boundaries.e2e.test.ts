/**
 * `kill -9` of every process of the platform at every boundary of the agent's operations, with real parts.
 *
 * The agent stops itself right before or right after an operation (platform/halt.ts); then the victim is
 * killed and the agent, where it is not the victim, goes on. What must hold: what was acknowledged comes to be,
 * requests are answered by it, no volume ever has two users, nothing is left behind.
 *
 * The agent dies at every boundary, the others take turns; `BERTH_KILLS=all` kills each at each.
 */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OPERATIONS, type Operation } from "@berth/agent";
import {
  isAlive,
  isStopped,
  killAll,
  type ProcessName,
  pidsOf,
  signal,
} from "./platform-processes.ts";
import { PrivateHost } from "./private-host.ts";
import type { StackRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

type Victim = Extract<ProcessName, "agent" | "server" | "net" | "haproxy"> | "engine";

/** Back-off of what was killed often, a cold engine, a busy machine. */
const RECOVERY_MS = 60_000;
const OTHERS: readonly Victim[] = ["server", "net", "haproxy", "engine"];
const SIDES = ["before", "after"] as const;
/** Copies of the stack below. */
const COPIES = 2;

const folder = mkdtempSync(join(tmpdir(), "be-"));
const haltFile = join(folder, "halt");
const takenFile = `${haltFile}.taken`;
let host: PrivateHost;
let version = 0;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  host = new PrivateHost({ BERTH_HALT_FILE: haltFile });
  await host.boot();
  await host.startPlatform();
  host.loadImage("berth/busybox");
  await host.deploy("kill", compose());
});

after(async () => {
  await host.destroy();
  rmSync(folder, { recursive: true });
});

/** A free service behind a route with a hook, and one that writes into a volume of its own, whose users say when they are two. */
function compose(): string {
  const now = `v${version}`;
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; echo ${now} > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    post_start: [{ command: ["true"] }]
    x-berth:
      min_healthy: 100ms
      drain: 1s
      routes: [{ host: kill.localhost, port: 8080 }]
  store:
    image: berth/busybox
    command: ["sh", "-c", ${JSON.stringify(storeProgram(now))}]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    x-berth: { min_healthy: 100ms }
volumes: { data: {} }
`;
}

/** Says whom it is; whoever finds another name there has not been alone. */
function storeProgram(now: string): string {
  return `me=${now}-$$(hostname); echo ${now} >> /data/versions; echo $$me > /data/user; sync
while sleep 0.1; do read user < /data/user; [ "$$user" = "$$me" ] || echo "$$me $$user" >> /data/twice; done`;
}

/** What makes each operation happen; deploying a new version does, unless said. */
const CAUSES: Partial<Record<Operation, () => Promise<void>>> = {
  // Another agent takes over what runs.
  adopt: async () => {
    await killAll(host.dataDir, "agent");
  },
  // A container that has died is gathered, and leaves its remains to the next attempt.
  exit: killContainer,
  sweep: killContainer,
};

async function killContainer(): Promise<void> {
  const [container = ""] = containersOf("web");
  host.docker("kill", container);
}

async function deployNext(): Promise<void> {
  version++;
  await host.deploy("kill", compose(), "--detach");
}

function containersOf(service: string): string[] {
  const filter = `label=berth.service=default/main/kill/${service}`;
  return host.docker("ps", "-q", "--filter", filter).split("\n").filter(Boolean);
}

async function isWell(): Promise<boolean> {
  if (!(await host.must("node", "ls", "--json")).includes('"contact":"up"')) return false;
  const lines = (await host.must("ps", "--json")).split("\n").filter(Boolean);
  const [row] = lines.map((line): StackRow => JSON.parse(line));
  return (
    row?.stack.rollout?.state === "complete" &&
    row.services.every(({ ready, wanted }) => ready === wanted) &&
    (await host.ingress("kill.localhost")) === `v${version}\n` &&
    host.docker("ps", "-q").split("\n").filter(Boolean).length === COPIES
  );
}

async function kill(victim: Victim): Promise<void> {
  if (victim !== "engine") {
    assert.notEqual((await killAll(host.dataDir, victim)).length, 0, `${victim} runs`);
    return;
  }
  const pids = host.pidsOf("dockerd");
  assert.notEqual(pids.length, 0, "the engine runs");
  for (const pid of pids) signal(pid, "SIGKILL");
  await eventually("the engine is dead", () => !pids.some(isAlive));
}

/** What the users of the volume wrote; asked again while the agent is on its way back. */
async function volumeText(name: string): Promise<string> {
  const words = ["exec", "kill/store", "sh", "-c", `cat /data/${name} 2>/dev/null || true`];
  let text = "";
  await eventually(`${name} can be read`, async () => {
    text = await host.must(...words);
    return true;
  });
  return text;
}

function boundaryTest(operation: Operation, side: "before" | "after", victim: Victim): void {
  test(`${victim} is killed ${side} ${operation}`, async () => {
    rmSync(takenFile, { force: true });
    // Whole or not at all: the agent reads at any time.
    writeFileSync(`${haltFile}.new`, `${operation} ${side}\n`);
    renameSync(`${haltFile}.new`, haltFile);
    const what = `${victim} killed ${side} ${operation} (v${version})`;
    await (CAUSES[operation] ?? deployNext)();
    const isThere = () => existsSync(takenFile) && pidsOf(host.dataDir, "agent").some(isStopped);
    await eventually(`${what}: the agent is there`, isThere, RECOVERY_MS);
    await kill(victim);
    for (const pid of pidsOf(host.dataDir, "agent")) signal(pid, "SIGCONT");
    await eventually(`${what}: all is well`, isWell, RECOVERY_MS);
    assert.equal(await volumeText("twice"), "", `${what}: a volume never has two users`);
    assert.match(await volumeText("versions"), new RegExp(`^v${version}$`, "m"));
  });
}

const boundaries = (Object.keys(OPERATIONS) as Operation[]).flatMap((operation) =>
  SIDES.map((side) => [operation, side] as const),
);
boundaries.forEach(([operation, side], index) => {
  const turn = OTHERS[index % OTHERS.length] ?? "server";
  const others = process.env["BERTH_KILLS"] === "all" ? OTHERS : [turn];
  for (const victim of ["agent", ...others] as const) boundaryTest(operation, side, victim);
});

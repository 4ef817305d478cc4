/** What is done to the service and to the platform while clients ask: each ends when all is well again. */

import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { killAll, type ProcessName } from "../platform-processes.ts";
import type { StackRow, TaskRow } from "../stack-rows.ts";
import { eventually, type TestPlatform } from "../test-platform.ts";
import { SERVICE, SERVICE_PORT, STACK } from "./load-stack.ts";
import { askMaster } from "./watcher.ts";

/** Copies at rest. */
export const COPIES = 3;
/** A killed agent that is killed again is started after a pause that grows. */
const RECOVERY_MS = 120_000;
const UNREADY_MS = 1_500;

export interface Stage {
  readonly platform: TestPlatform;
  /** Deploys the next version of the service. */
  readonly deployNext: () => Promise<void>;
}

/** A way to disturb; it answers once the service is as it should be again. */
export type Disturbance = (stage: Stage) => Promise<void>;

export const DISTURBANCES = {
  rollout: ({ deployNext }) => deployNext(),
  "scale out": ({ platform }) => scale(platform, COPIES + 2),
  "scale in": ({ platform }) => scale(platform, COPIES),
  rollback: async ({ platform, deployNext }) => {
    await deployNext();
    await platform.must("rollback", STACK);
    await allReady(platform);
  },
  restart: async ({ platform }) => {
    const before = new Set((await copies(platform)).map(({ task }) => task.id));
    await platform.must("restart", `${STACK}/${SERVICE}`);
    await eventually(
      "every copy is another one",
      async () => {
        const now = await copies(platform);
        return (
          now.filter(isReady).length >= COPIES && now.every(({ task }) => !before.has(task.id))
        );
      },
      RECOVERY_MS,
    );
  },
  "ready probe fails": async ({ platform }) => {
    await become(await someCopy(platform), "unready");
    await delay(UNREADY_MS);
    await allReady(platform);
  },
  "live probe fails": async ({ platform }) => {
    const victim = await someCopy(platform);
    await become(victim, "dead");
    await eventually(
      "the copy was started again",
      async () => {
        const now = (await copies(platform)).find(({ task }) => task.id === victim.task.id);
        return (now?.status?.attempt ?? 0) > (victim.status?.attempt ?? 0) && isReady(now);
      },
      RECOVERY_MS,
    );
  },
  "pause and resume": async ({ platform }) => {
    const { task } = await someCopy(platform);
    const name = `${STACK}/${SERVICE}-${task.slot}`;
    await platform.must("pause", name);
    await eventually("the copy is out of service", async () => {
      const now = (await copies(platform)).find((row) => row.task.id === task.id);
      return now?.status?.ready === false;
    });
    await delay(500);
    await platform.must("resume", name);
    await allReady(platform);
  },
  "agent killed": (stage) => killed(stage, "agent"),
  "net killed": (stage) => killed(stage, "net"),
  "server killed": (stage) => killed(stage, "server"),
  "agent killed in a rollout": (stage) => killedInRollout(stage, "agent"),
  "net killed in a rollout": (stage) => killedInRollout(stage, "net"),
  "server killed in a rollout": (stage) => killedInRollout(stage, "server"),
  "HAProxy reloaded": async ({ platform }) => {
    await eventually("HAProxy takes the word", async () => {
      await askMaster(masterSocketOf(platform), "reload");
      return true;
    });
    await delay(300);
  },
} as const satisfies Readonly<Record<string, Disturbance>>;
export type DisturbanceName = keyof typeof DISTURBANCES;

export function masterSocketOf({ dataDir }: TestPlatform): string {
  return join(dataDir, "net/haproxy/master.sock");
}

/** Copies that are not over. */
export async function copies(platform: TestPlatform): Promise<TaskRow[]> {
  const path = `/v1/projects/default/environments/main/tasks?stack=${STACK}&service=${SERVICE}`;
  const { status, body } = await platform.api("GET", path);
  assert.equal(status, 200, body);
  const { items }: { readonly items: readonly TaskRow[] } = JSON.parse(body);
  return items.filter(({ task }) => task.service === SERVICE);
}

export function isReady(row: TaskRow | undefined): boolean {
  return row?.status?.ready === true && row.task.desired === "running";
}

/** Every copy that is wanted is ready, and no rollout is under way. */
export async function allReady(platform: TestPlatform): Promise<void> {
  await eventually(
    "every copy is ready",
    async () => {
      const path = `/v1/projects/default/environments/main/stacks/${STACK}`;
      const { stack, services }: StackRow = JSON.parse((await platform.api("GET", path)).body);
      const state = stack.rollout?.state;
      const isOver = state === "complete" || state === "rolled-back";
      return isOver && services.every(({ wanted, ready }) => wanted === ready);
    },
    RECOVERY_MS,
  );
}

async function scale(platform: TestPlatform, count: number): Promise<void> {
  await platform.must("scale", `${STACK}/${SERVICE}=${count}`);
  await eventually(
    `${count} copies are ready`,
    async () => {
      const wanted = (await copies(platform)).filter(({ task }) => task.desired === "running");
      return wanted.length === count && wanted.every(isReady);
    },
    RECOVERY_MS,
  );
}

async function someCopy(platform: TestPlatform): Promise<TaskRow> {
  const ready = (await copies(platform)).filter(isReady);
  const chosen = ready[Math.floor(Math.random() * ready.length)];
  assert.ok(chosen, "a copy is ready");
  return chosen;
}

function become(row: TaskRow, state: "unready" | "dead"): Promise<void> {
  const host = row.task.attachments[0]?.address ?? "";
  // A copy whose live probe fails stays so until it is started again.
  const ms = state === "dead" ? RECOVERY_MS : UNREADY_MS;
  const path = `/become?state=${state}&ms=${ms}`;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port: SERVICE_PORT, path, agent: false }, (incoming) => {
      incoming.resume();
      incoming.on("end", resolve);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

async function killed({ platform }: Stage, name: ProcessName): Promise<void> {
  const [pid] = await killAll(platform.dataDir, name);
  assert.ok(pid !== undefined, `${name} runs`);
  await recovered(platform);
}

async function killedInRollout(stage: Stage, name: ProcessName): Promise<void> {
  const { platform, deployNext } = stage;
  const killing = delay(500 + Math.random() * 2_500).then(() => killAll(platform.dataDir, name));
  // The command line may lose its server, and says so; the rollout goes on.
  await Promise.all([killing, deployNext().catch(() => {})]);
  await recovered(platform);
}

/** The server answers, the agent reports, and the service is as it should be. */
async function recovered(platform: TestPlatform): Promise<void> {
  await eventually(
    "the node is in contact",
    async () => {
      const { body } = await platform.api("GET", "/v1/nodes");
      return body.includes('"contact":"up"');
    },
    RECOVERY_MS,
  );
  await allReady(platform);
}

/** Copies that may be started elsewhere end in time when no server is reached, and begin again only by its list. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { AgentBox } from "./agent-box.ts";
import { sampleAssignment } from "./task/assignment-sample.ts";

const ISOLATION = { deadlineMs: 30_000, waitMs: 60_000 };
/** An exclusive copy that may be started elsewhere, and a free one. */
const SINGLE = sampleAssignment("single1", { task: { exclusive: true, isolation: ISOLATION } });
const FREE = sampleAssignment("free001");

async function bothReady(seed: number): Promise<AgentBox> {
  const box = new AgentBox(seed);
  box.server.assign(SINGLE);
  box.server.assign(FREE);
  await box.start();
  const isReady = (task: string) => box.server.statuses.get(task)?.ready === true;
  assert.ok(await box.until(() => isReady("single1") && isReady("free001")), "both are ready");
  return box;
}

/** Whose process runs. */
function runs(box: AgentBox): string[] {
  const tasks = [...box.host.containers.values()].filter(({ running }) => running);
  return tasks.map(({ request }) => request.labels["berth.task"] ?? "").sort();
}

test("without a server the copy ends at its deadline, others run on; a list brings it back", async () => {
  const box = await bothReady(1);
  await box.pass(10_000);
  box.server.goDown();
  await box.pass(28_000);
  assert.deepEqual(runs(box), ["free001", "single1"]);
  assert.ok(await box.until(() => !runs(box).includes("single1"), 10_000), "it ends");
  await box.pass(60_000);
  assert.deepEqual(runs(box), ["free001"]);
  box.server.isDown = false;
  assert.ok(await box.until(() => runs(box).includes("single1")), "it runs again");
  box.kill();
});

test("what was given to another node meanwhile never begins again", async () => {
  const box = await bothReady(2);
  box.server.goDown();
  await box.pass(60_000);
  const verdict = { kind: "lost", reason: "no contact with n1", at: 1 } as const;
  box.server.assign({ ...SINGLE, task: { ...SINGLE.task, desired: "stopped", verdict } });
  const started: string[] = [];
  box.host.subscribe((event, container) => {
    if (event.kind === "started") started.push(container.request.labels["berth.task"] ?? "");
  });
  box.server.isDown = false;
  await box.pass(60_000);
  assert.deepEqual([runs(box), started], [["free001"], []]);
  box.kill();
});

test("an agent that is started again in between does not begin to count anew", async () => {
  const box = await bothReady(3);
  await box.pass(20_000);
  box.server.goDown();
  for (let life = 0; life < 4; life++) {
    await box.pass(8_000);
    box.kill();
    await box.start();
  }
  assert.ok(await box.until(() => !runs(box).includes("single1"), 10_000), "it ends");
  assert.deepEqual(runs(box), ["free001"]);
  box.kill();
});

test("short outages and restarts of a server end nothing", async () => {
  const box = await bothReady(4);
  for (let outage = 0; outage < 5; outage++) {
    box.server.goDown();
    await box.pass(20_000);
    box.server.isDown = false;
    await box.pass(10_000);
    assert.deepEqual(runs(box), ["free001", "single1"]);
  }
  assert.equal(box.server.statuses.get("single1")?.attempt, 1);
  box.kill();
});

test("also with a full disk, where nothing can be written down first", async () => {
  const box = await bothReady(5);
  box.server.goDown();
  box.db.commit = async () => {
    throw new ProtocolError("storage_full", "the disk is full");
  };
  const from = box.clock.monotonic();
  assert.ok(await box.until(() => !runs(box).includes("single1"), 90_000), "it ends");
  const tookMs = box.clock.monotonic() - from;
  assert.ok(tookMs < ISOLATION.waitMs - 5_000, `after ${tookMs} ms`);
  await box.pass(30_000);
  assert.deepEqual(runs(box), ["free001"]);
  box.kill();
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys } from "@berth/protocol";
import { SCOPE, statusRow, taskRow } from "../api/api-fixture.ts";
import type { Change } from "../state/cluster-state.ts";
import { touchedStacks } from "./touched-stacks.ts";

const change = (partial: object): Change => partial as Change;

test("whoever waits is looked at again when a quota, room or an address may have become free", () => {
  const policy = { kind: "policy", key: keys.policy("default"), entity: { value: {} } };
  assert.equal(touchedStacks(change(policy)).waiting, true);
  const status = { kind: "status", key: keys.status(SCOPE, "a") };
  const ended = { value: statusRow("a", { state: "ended" }) };
  assert.equal(touchedStacks(change({ ...status, entity: ended })).waiting, true);
  const running = { value: statusRow("a", { state: "running" }) };
  assert.equal(touchedStacks(change({ ...status, entity: running })).waiting, false);
});

test("a change of a task concerns its own stack alone", () => {
  const task = { kind: "task", key: keys.task(SCOPE, "a"), entity: { value: taskRow("a") } };
  const touched = { own: "default/main/shop", waiting: false, all: false };
  assert.deepEqual(touchedStacks(change(task)), touched);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleAssignment } from "./assignment-sample.ts";
import { HostStop, type HostStopTask, isNeeded } from "./host-stop.ts";

const WEB = sampleAssignment("web01", {
  task: { service: "web" },
  spec: { dependsOn: { db: { condition: "healthy", required: true } } },
});
const DB = sampleAssignment("db01", { task: { service: "db" } });
const SIDECAR = sampleAssignment("side01", { task: { service: "side", podTask: "web01" } });

function lives(...assignments: readonly HostStopTask["assignment"][]): HostStopTask[] {
  return assignments.map((assignment) => ({ assignment, isAlive: true }));
}

test("a task is needed while one lives that names its service or joined its pod", () => {
  assert.equal(isNeeded(DB, lives(WEB, DB)), true);
  assert.equal(isNeeded(DB, [{ assignment: WEB, isAlive: false }]), false);
  assert.equal(isNeeded(WEB, lives(WEB, DB, SIDECAR)), true);
  assert.equal(isNeeded(SIDECAR, lives(WEB, DB, SIDECAR)), false);
  const other = { ...WEB, task: { ...WEB.task, stack: "other" } };
  assert.equal(isNeeded(DB, lives(other)), false, "services of another stack have other names");
});

test("until it is asked for nothing stops; near the end nobody waits", () => {
  const stop = new HostStop();
  const fact = (now: number) => stop.factOf(DB, () => lives(WEB, DB), now);
  assert.equal(fact(1_000), "no");
  stop.begin(1_000, 5_000);
  assert.deepEqual([fact(1_000), fact(3_999), fact(4_000)], ["later", "later", "hurry"]);
  assert.equal(
    stop.factOf(WEB, () => lives(WEB, DB), 2_000),
    "now",
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { sampleAssignment, sampleWithVolume } from "./assignment-sample.ts";
import { OPERATIONS, type Operation } from "./operation.ts";
import { restartDelayMs } from "./restart.ts";
import { NodeBox } from "./task-bench.ts";

const run = (assignment: ReturnType<typeof sampleAssignment>) => ({
  assignment,
  intent: "run" as const,
});
const stop = (assignment: ReturnType<typeof sampleAssignment>) => ({
  assignment,
  intent: "stop" as const,
});

test("a task goes from told to ready, and from unwanted to removed", async () => {
  const box = new NodeBox(1);
  const life = box.start();
  const assignment = sampleAssignment("task01");
  await life.tell(run(assignment));
  assert.ok(await box.until(() => box.status("task01")?.ready === true));
  assert.equal(box.host.containers.size, 1);
  await life.tell(stop(assignment));
  assert.ok(await box.until(() => box.status("task01")?.state === "removed"));
  assert.equal(box.host.containers.size, 0);
  assert.deepEqual(
    box.boundaries.filter((line) => line.endsWith("before")).map((line) => line.split(" ")[1]),
    ["pull", "prepare", "create", "start", "probe", "ready", "leave", "drain", "stop", "remove"],
  );
  box.kill();
});

test("a killed container runs again at once, and slower each further time", async () => {
  const box = new NodeBox(2, { latencyMs: () => 1 });
  const life = box.start();
  await life.tell(run(sampleAssignment("task01")));
  await box.until(() => box.status("task01")?.ready === true);
  const pauses: number[] = [];
  for (let crash = 1; crash <= 4; crash++) {
    await box.pass(1_000);
    for (const container of box.host.containers.values()) {
      if (container.running) container.signal("SIGKILL");
    }
    const at = box.clock.monotonic();
    const attempt = crash + 1;
    assert.ok(
      await box.until(() => {
        const status = box.status("task01");
        return status?.attempt === attempt && status.ready;
      }),
    );
    pauses.push(box.clock.monotonic() - at);
  }
  const [first = 0, second = 0, third = 0, fourth = 0] = pauses;
  assert.ok(first < 500, `running again after ${first} ms`);
  const planned = (delayMs?: number) =>
    [1, 2, 3, 4, 5, 30].map((failures) =>
      restartDelayMs(failures, { policy: "always", ...(delayMs === undefined ? {} : { delayMs }) }),
    );
  assert.deepEqual(planned(), [0, 100, 200, 400, 800, 300_000]);
  assert.deepEqual(planned(400), [400, 400, 400, 400, 800, 300_000]);
  assert.deepEqual(planned(600_000), Array(6).fill(600_000));
  assert.ok(second > 100 && third > 200 && fourth > 400, `${pauses}`);
  const status = box.status("task01");
  assert.equal(status?.recentFailures, 4);
  assert.equal(status?.exitCode, 137);
  assert.deepEqual(status?.logTail, ["last words"]);
  box.kill();
});

const LIFE: readonly Operation[] = [
  "pull",
  "prepare",
  "create",
  "start",
  "probe",
  "ready",
  "leave",
  "drain",
  "stop",
  "remove",
];

for (const operation of LIFE) {
  for (const when of ["before", "after"] as const) {
    test(`an agent killed ${when} ${operation} leaves nothing that its successor does not finish`, async () => {
      const box = new NodeBox(3);
      const assignment = sampleWithVolume("task01", "vol1");
      let killed = false;
      box.onBoundary = (_task, at, side) => {
        if (killed || at !== operation || side !== when) return;
        killed = true;
        box.kill();
      };
      await box.start().contact();
      await box.life.tell(run(assignment));
      await box.until(() => killed || box.status("task01")?.ready === true);
      if (!box.alive) box.start();
      assert.ok(await box.until(() => box.status("task01")?.ready === true), "ready");
      assert.equal([...box.host.containers.values()].filter((one) => one.running).length, 1);
      assert.equal(box.status("task01")?.attempt, 1, "adopted, not started anew");
      await box.life.tell(stop(assignment));
      await box.until(() => killed && (!box.alive || box.status("task01")?.state === "removed"));
      if (!box.alive) box.start();
      assert.ok(await box.until(() => box.status("task01")?.state === "removed"), "removed");
      assert.equal(box.host.containers.size, 0);
      assert.equal(box.life.state.locks.all().size, 0);
      assert.deepEqual(box.host.overlappingWriters(), []);
      assert.ok(killed);
      box.kill();
    });
  }
}

test("a start that left nothing behind is made once more in the same attempt", async () => {
  const box = new NodeBox(8);
  const assignment = sampleWithVolume("task01", "vol1");
  let first: string | undefined;
  box.onBoundary = (_task, at, side) => {
    if (at !== "start" || side !== "before") return;
    const [container] = box.host.containers.values();
    first = container?.state().id;
    if (container !== undefined) box.host.undoneStarts.add(container.request.name);
  };
  await box.start().contact();
  await box.life.tell(run(assignment));
  assert.ok(await box.until(() => box.status("task01")?.ready === true));
  const [container, ...others] = box.host.containers.values();
  const status = box.status("task01");
  assert.deepEqual(
    [status?.attempt, status?.recentFailures, others.length, container?.running],
    [1, 0, 0, true],
  );
  assert.notEqual(container?.state().id, first);
  assert.equal(status?.containerId, container?.state().id);
  assert.deepEqual(box.host.overlappingWriters(), []);
  box.kill();
});

test("every operation but those of failures is in the life that kill tests walk", () => {
  const others = Object.keys(OPERATIONS).filter((name) => !LIFE.includes(name as Operation));
  assert.deepEqual(others, ["adopt", "sweep", "hook", "exit", "forget"]);
});

test("after a reboot free tasks start at once, exclusive ones after contact", async () => {
  const box = new NodeBox(4);
  await box.start().contact();
  await box.life.tell(run(sampleAssignment("free01")), run(sampleWithVolume("excl01", "vol1")));
  await box.until(
    () => box.status("free01")?.ready === true && box.status("excl01")?.ready === true,
  );
  box.kill();
  box.host.powerOff();
  box.host.boot();
  box.statuses.clear();
  const life = box.start();
  assert.ok(await box.until(() => box.status("free01")?.ready === true));
  await box.pass(60_000);
  assert.equal(box.status("excl01")?.state, "creating");
  assert.deepEqual([...life.roster.waits()], [["excl01", "contact"]]);
  await life.contact();
  assert.ok(await box.until(() => box.status("excl01")?.ready === true));
  assert.deepEqual([box.status("excl01")?.recentFailures, box.status("excl01")?.attempt], [0, 2]);
  box.kill();
});

test("a second task of one volume waits until nothing is left of the first", async () => {
  const box = new NodeBox(5);
  const life = box.start();
  await life.contact();
  const first = sampleWithVolume("task01", "vol1");
  const second = sampleWithVolume("task02", "vol1");
  await life.tell(run(first));
  await box.until(() => box.status("task01")?.ready === true);
  await life.tell(run(second));
  await box.pass(5_000);
  assert.equal(box.status("task02")?.state, "creating");
  assert.deepEqual([...life.roster.waits()], [["task02", "lock"]]);
  await life.tell(stop(first));
  assert.ok(await box.until(() => box.status("task02")?.ready === true));
  assert.deepEqual(box.host.overlappingWriters(), []);
  box.kill();
});

test("a one-shot task is complete or failed by its exit code, and is not run again", async () => {
  for (const [exitCode, outcome] of [
    [0, "complete"],
    [3, "failed"],
  ] as const) {
    const box = new NodeBox(6, { programOf: () => ({ exitAfterMs: 100, exitCode }) });
    const life = box.start();
    await life.tell(run(sampleAssignment("task01", { spec: { restart: { policy: "no" } } })));
    assert.ok(await box.until(() => box.status("task01")?.state === "removed"));
    const status = box.status("task01");
    assert.deepEqual([status?.outcome, status?.exitCode, status?.attempt], [outcome, exitCode, 1]);
    box.kill();
  }
});

test("a disk that fails at the removal keeps the lock until the removal is written", async () => {
  const box = new NodeBox(8);
  const life = box.start();
  await life.contact();
  const first = sampleWithVolume("task01", "vol1");
  await life.tell(run(first));
  await box.until(() => box.status("task01")?.ready === true);
  let failures = 3;
  const commit = box.db.commit.bind(box.db);
  box.db.commit = async (changes) => {
    if (changes.some(({ table }) => table === "lock") && failures-- > 0) {
      throw new ProtocolError("storage_full", "the disk is full");
    }
    await commit(changes);
  };
  await life.tell(stop(first));
  await box.until(() => failures < 3);
  assert.deepEqual([...life.state.locks.all()], [["vol1", "task01"]]);
  assert.equal(life.state.records.get("task01")?.state, "ended");
  assert.ok(await box.until(() => box.status("task01")?.state === "removed"));
  assert.equal(life.state.locks.all().size, 0);
  box.kill();
});

test("members of a pod join its first task's container, and follow it to the next", async () => {
  const box = new NodeBox(9);
  const life = box.start();
  const main = sampleAssignment("main01");
  const side = sampleAssignment("side01", {
    task: { podTask: "main01", service: "side" },
    spec: { podShares: ["network"] },
  });
  await life.tell(run(side), run(main));
  assert.ok(await box.until(() => box.status("side01")?.ready === true));
  const joined = () => life.state.records.get("side01")?.podContainerId;
  assert.equal(joined(), life.state.records.get("main01")?.containerId);
  box.host.containers.get(joined() ?? "")?.signal("SIGKILL");
  assert.ok(
    await box.until(
      () => box.status("side01")?.attempt === 2 && box.status("side01")?.ready === true,
    ),
  );
  assert.equal(joined(), life.state.records.get("main01")?.containerId);
  assert.equal(box.status("side01")?.recentFailures, 0, "it is not to blame");
  await box.pass(60_000);
  assert.deepEqual([box.status("main01")?.attempt, box.status("side01")?.attempt], [2, 2]);
  box.kill();
});

test("containers outlive the loss of the local database: they are adopted by their labels", async () => {
  const box = new NodeBox(7);
  const assignment = sampleAssignment("task01");
  await box.start().tell(run(assignment));
  await box.until(() => box.status("task01")?.ready === true);
  box.kill();
  for (const table of ["assignment", "record", "lock"] as const) {
    const rows = [...box.db.read(table).keys()];
    await box.db.commit(rows.map((key) => ({ table, key, value: undefined })));
  }
  box.statuses.clear();
  const life = box.start();
  await box.pass(5_000);
  assert.equal(box.host.containers.size, 1, "nothing is touched before the server has spoken");
  await life.tell(run(assignment));
  assert.ok(await box.until(() => box.status("task01")?.ready === true));
  assert.equal(box.status("task01")?.attempt, 1);
  assert.equal([...box.host.containers.values()].filter((one) => one.running).length, 1);
  box.kill();
});

test("what an agent knows nothing of goes on from what was reported: a host that joined again", async () => {
  const box = new NodeBox(11);
  const life = box.start();
  const reported = { attempt: 4, sequence: 70, state: "running" as const };
  await life.tell(run({ ...sampleAssignment("task01"), reported }));
  assert.ok(await box.until(() => box.status("task01")?.ready === true));
  assert.equal(box.status("task01")?.attempt, 5);
  assert.ok((box.status("task01")?.sequence ?? 0) > 70);
  await life.tell(stop({ ...sampleAssignment("task02"), reported }));
  assert.ok(await box.until(() => box.status("task02")?.state === "removed"));
  assert.equal(box.status("task02")?.attempt, 4);
  assert.ok((box.status("task02")?.sequence ?? 0) > 70);
  box.kill();
});

test("a job that is done does not run again on a host that has forgotten it", async () => {
  const box = new NodeBox(12);
  const life = box.start();
  const reported = {
    ...{ attempt: 1, sequence: 9, exitCode: 0 },
    ...{ state: "removed" as const, outcome: "complete" as const },
  };
  await life.tell(run({ ...sampleAssignment("task01"), reported }));
  await box.pass(5_000);
  assert.equal(box.host.containers.size, 0);
  const { outcome, exitCode, state } = box.status("task01") ?? {};
  assert.deepEqual(
    { outcome, exitCode, state },
    { outcome: "complete", exitCode: 0, state: "removed" },
  );
  box.kill();
});

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Clock, silentLogger, systemClock } from "@berth/base";
import { livingProcess, startTicksOf } from "./process-record.ts";
import { SupervisedProcess } from "./supervised-process.ts";

function describeSleep(folder: string) {
  return {
    name: "sleeper",
    argv: ["sleep", "60"],
    environment: { PATH: process.env["PATH"] ?? "" },
    recordFile: join(folder, "process", "sleeper"),
    logFile: join(folder, "log", "sleeper.log"),
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 500 && !condition(); round++) await delay(10);
  assert.ok(condition(), "did not happen within 5 s");
}

test("a killed process is started again at once, and one that runs is adopted, not doubled", async () => {
  const description = describeSleep(mkdtempSync(join(tmpdir(), "berth-supervise-")));
  const options = { clock: systemClock, log: silentLogger, onEnd: () => first.tend() };
  const first = new SupervisedProcess(description, options);
  first.tend();
  const pid = first.pid() ?? 0;
  assert.equal(livingProcess(description.recordFile), pid);

  const second = new SupervisedProcess(description, { ...options, onEnd: () => {} });
  second.tend();
  assert.equal(second.pid(), pid);

  process.kill(pid, "SIGKILL");
  await until(() => first.pid() !== undefined && first.pid() !== pid);
  const successor = first.pid() ?? 0;
  assert.notEqual(startTicksOf(successor), undefined);
  process.kill(successor, "SIGKILL");
  await until(() => first.pid() !== successor);
  // Its second failure in a row is delayed, so nothing runs now; what runs later is ended.
  first.tend();
  await until(
    () => livingProcess(description.recordFile) === undefined || first.pid() !== undefined,
  );
  const last = first.pid();
  if (last !== undefined) process.kill(last, "SIGKILL");
});

test("what ran for longer than the pause is started at once, however often it ended before", async () => {
  const description = describeSleep(mkdtempSync(join(tmpdir(), "berth-supervise-")));
  let now = 0;
  const clock: Clock = Object.create(systemClock, { monotonic: { value: () => now } });
  const options = { clock, log: silentLogger, onEnd: () => {} };
  const supervised = new SupervisedProcess(description, options);
  const kill = async () => {
    process.kill(supervised.pid() ?? 0, "SIGKILL");
    await until(() => supervised.pid() === undefined);
  };
  /** Ends it after `livedMs`; answers how long its next start waited. */
  const waitAfter = async (livedMs: number): Promise<number> => {
    now += livedMs;
    await kill();
    const waitMs = supervised.tend();
    if (waitMs === undefined) return 0;
    now += waitMs;
    assert.equal(supervised.tend(), undefined, "it is started");
    return waitMs;
  };
  supervised.tend();
  const waits: number[] = [];
  for (const livedMs of [0, 0, 0, 150, 20_000, 0]) waits.push(await waitAfter(livedMs));
  await kill();
  assert.deepEqual(waits, [0, 100, 200, 250, 0, 1_600]);
});

test("a record of a pid that another process has now is not believed", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-record-"));
  const file = join(folder, "record");
  const own = startTicksOf(process.pid);
  assert.notEqual(own, undefined);
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const write = (record: object) => {
    const { writeFileSync } = process.getBuiltinModule("node:fs");
    writeFileSync(file, JSON.stringify(record));
  };
  write({ pid: process.pid, startTicks: own, bootId });
  assert.equal(livingProcess(file), process.pid);
  write({ pid: process.pid, startTicks: "1", bootId });
  assert.equal(livingProcess(file), undefined);
  write({ pid: process.pid, startTicks: own, bootId: "another boot" });
  assert.equal(livingProcess(file), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Driver } from "@berth/base";
import type { ContainerStats } from "../runtime/port.ts";
import { UseMeter } from "./use-meter.ts";

const MINUTE_MS = 60_000;
const MIB = 1024 * 1024;

/** A meter whose time and figures the test says; its loop is run by hand. */
function meter() {
  let now = 0;
  const running = new Map<string, string>();
  const figures = new Map<string, { cpuNanos: number; memoryBytes: number }>();
  const driver = { add: () => undefined } as unknown as Driver;
  const statsOf = (ids: readonly string[]): ContainerStats[] =>
    ids.flatMap((containerId) => {
      const found = figures.get(containerId);
      const rest = { pids: 1, oomKills: 0, blockReadBytes: 0, blockWriteBytes: 0 };
      return found === undefined ? [] : [{ containerId, ...found, ...rest }];
    });
  const made = new UseMeter({
    runtime: { stats: async (ids) => statsOf(ids) },
    clock: { monotonic: () => now },
    driver,
    running: () => [...running].map(([task, id]) => [task, { id }] as const),
  });
  return {
    told: () => made.told(),
    run: (task: string, container: string) => void running.set(task, container),
    end: (task: string) => void running.delete(task),
    /** `cpuMillis` were used all the time since the last look. */
    async pass(ms: number, container: string, cpuMillis: number, memoryBytes: number) {
      now += ms;
      const before = figures.get(container)?.cpuNanos ?? 0;
      figures.set(container, { cpuNanos: before + cpuMillis * ms * 1_000, memoryBytes });
      await made.measure();
    },
  };
}

test("a task is told of after five minutes, by its peaks, in steps upwards", async () => {
  const { told, run, pass } = meter();
  run("t1", "c1");
  await pass(0, "c1", 0, 30 * MIB);
  await pass(MINUTE_MS, "c1", 410, 90 * MIB);
  await pass(3 * MINUTE_MS, "c1", 100, 60 * MIB);
  assert.deepEqual(told(), {});
  await pass(MINUTE_MS, "c1", 100, 60 * MIB);
  // Steps of 64 below 512, of 16 MiB below 128 MiB.
  assert.deepEqual(told(), { t1: { cpuMillis: 448, memoryBytes: 96 * MIB } });
});

test("a peak is forgotten after half an hour, a restart forgets nothing, an end everything", async () => {
  const { told, run, end, pass } = meter();
  run("t1", "c1");
  await pass(0, "c1", 0, 10 * MIB);
  await pass(MINUTE_MS, "c1", 1_000, 10 * MIB);
  run("t1", "c2");
  await pass(MINUTE_MS, "c2", 0, 10 * MIB);
  for (let minute = 2; minute < 29; minute++) await pass(MINUTE_MS, "c2", 100, 10 * MIB);
  assert.deepEqual(told(), { t1: { cpuMillis: 1_024, memoryBytes: 12 * MIB } });
  for (let minute = 29; minute < 40; minute++) await pass(MINUTE_MS, "c2", 100, 10 * MIB);
  assert.deepEqual(told(), { t1: { cpuMillis: 112, memoryBytes: 12 * MIB } });
  end("t1");
  await pass(MINUTE_MS, "c2", 100, 10 * MIB);
  assert.deepEqual(told(), {});
});

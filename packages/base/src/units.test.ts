/** Units as people write and read them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  formatBytes,
  formatCpu,
  formatDuration,
  GIB,
  KIB,
  MIB,
  parseBytes,
  parseDuration,
} from "./units.ts";

test("bytes are shown with at most one decimal", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_536, "1.5 KiB"],
    [KIB, "1 KiB"],
    [10 * MIB, "10 MiB"],
    [1.44 * GIB, "1.4 GiB"],
    [-2 * KIB, "-2 KiB"],
    [2 ** 62, "4096 PiB"],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});

test("durations have at most two units", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, "0 ms"],
    [999, "999 ms"],
    [1_900, "1.9 s"],
    [59_400, "59 s"],
    [60_000, "1 min"],
    [195_000, "3 min 15 s"],
    [3_600_000, "1 h"],
    [5_400_000, "1 h 30 min"],
    [90_000_000, "1 d 1 h"],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

test("durations are read as Go and Compose write them, and nothing else is", () => {
  const good: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["2w1d", 1_296_000_000],
    ["100us", 0.1],
    ["5ms", 5],
  ];
  for (const [text, ms] of good) assert.ok(Math.abs((parseDuration(text) ?? -1) - ms) < 1e-9, text);
  for (const text of ["", "5", "s", "5 s", "-5s", "5sx", "1m 30s", "1h5", "NaNs"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test("sizes are read in powers of 1024, and nothing else is", () => {
  const good: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["512", 512],
    ["512m", 512 * MIB],
    ["1.5GiB", 1.5 * GIB],
    ["2 kb", 2 * KIB],
    ["3B", 3],
  ];
  for (const [text, bytes] of good) assert.equal(parseBytes(text), bytes, text);
  for (const text of ["", "m", "-1m", "1x", "1.m", "1 2m", "1e3"]) {
    assert.equal(parseBytes(text), undefined, text);
  }
});

test("whole seconds come back as they were written", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (seconds) => {
      assert.equal(parseDuration(`${seconds}s`), seconds * 1_000);
    }),
    { seed: 6 },
  );
});

test("processor shares are thousandths", () => {
  assert.deepEqual([formatCpu(500), formatCpu(2_000), formatCpu(1)], ["0.5", "2", "0.001"]);
});

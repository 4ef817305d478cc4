import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlannedProbe } from "./probe-plan.ts";
import { afterCheck, newProgress, nextCheckMs, type ProbeProgress } from "./probe-progress.ts";

const PROBE: PlannedProbe = {
  timing: {
    startPeriodMs: 0,
    startIntervalMs: 500,
    intervalMs: 1_000,
    timeoutMs: 1_000,
    successThreshold: 1,
    failureThreshold: 3,
  },
  checks: [{ kind: "tcp", port: 80 }],
};

function withTiming(timing: Partial<PlannedProbe["timing"]>): PlannedProbe {
  return { ...PROBE, timing: { ...PROBE.timing, ...timing } };
}

/** Checks as the prober would make them until `endMs`; answers when the verdict changed to what. */
function play(
  probe: PlannedProbe,
  isGood: (ms: number) => boolean,
  endMs: number,
  kind: "ready" | "live" = "ready",
): string[] {
  const seen: string[] = [];
  let progress: ProbeProgress = newProgress(false);
  for (let at = 0; at <= endMs; ) {
    const before = progress.verdict;
    progress = afterCheck(probe, progress, { isGood: isGood(at), message: "no" }, at);
    if (progress.verdict !== before) seen.push(`${progress.verdict} at ${Math.round(at)}`);
    at += nextCheckMs(kind, probe, progress, at);
  }
  return seen;
}

test("what comes up is ready within a tenth of the time that it took", () => {
  for (const upMs of [0, 37, 250, 900]) {
    const [first = ""] = play(PROBE, (ms) => ms >= upMs, 2_000);
    const at = Number(first.replace("good at ", ""));
    assert.ok(at >= upMs && at <= upMs * 1.11 + 11, `up at ${upMs}, seen at ${at}`);
  }
});

test("quick checks never turn a probe bad before its file's rhythm does", () => {
  assert.deepEqual(
    play(PROBE, () => false, 5_000).map((line) => line.split(" ")[0]),
    ["bad"],
  );
  const [bad = ""] = play(PROBE, () => false, 5_000);
  assert.ok(Number(bad.split(" ").at(-1)) >= 2_000, "three failures, one a second, the first at 0");
});

test("failures of the start period do not count, after the first success they do", () => {
  const probe = withTiming({ startPeriodMs: 10_000 });
  assert.deepEqual(
    play(probe, () => false, 9_900),
    [],
  );
  const fellOver = play(probe, (ms) => ms < 1_000, 9_900);
  assert.deepEqual(
    fellOver.map((line) => line.split(" ")[0]),
    ["good", "bad"],
  );
});

test("a good probe turns bad after failureThreshold in a row and good after one success", () => {
  const outage = (ms: number) => ms < 3_000 || ms > 8_000;
  assert.deepEqual(
    play(PROBE, outage, 12_000).map((line) => line.split(" ")[0]),
    ["good", "bad", "good"],
  );
  const steps = [true, false, false, true, false, false, false, true];
  let progress = newProgress(false);
  const verdicts = steps.map((isGood, index) => {
    progress = afterCheck(PROBE, progress, { isGood }, index * 1_000);
    return progress.verdict;
  });
  assert.deepEqual(verdicts.slice(0, 7), ["good", "good", "good", "good", "good", "good", "bad"]);
});

test("a live probe keeps its rhythm from the start", () => {
  assert.deepEqual(
    [0, 100, 5_000].map((ms) => nextCheckMs("live", PROBE, newProgress(false), ms)),
    [1_000, 1_000, 1_000],
  );
});

test("successThreshold asks for successes in a row", () => {
  const probe = withTiming({ successThreshold: 3 });
  let progress = newProgress(false);
  const verdicts = [true, true, false, true, true, true].map((isGood, index) => {
    progress = afterCheck(probe, progress, { isGood }, index * 100);
    return progress.verdict;
  });
  assert.deepEqual(verdicts, ["pending", "pending", "pending", "pending", "pending", "good"]);
});

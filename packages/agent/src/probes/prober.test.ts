import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import type { Probe } from "@berth/protocol";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { Prober } from "./prober.ts";

const TIMING: Omit<Probe, "check"> = {
  startPeriodMs: 0,
  startIntervalMs: 500,
  intervalMs: 5_000,
  timeoutMs: 1_000,
  successThreshold: 1,
  failureThreshold: 2,
};

function bench() {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const asked: string[] = [];
  let answer: (path: string) => boolean | Promise<boolean> = () => true;
  const prober = new Prober({
    clock,
    driver,
    assignmentOf: () => undefined,
    check: async ({ check, address }) => {
      const name = check.kind === "http" ? check.path : `${check.kind} ${address}`;
      asked.push(`${Math.round(clock.monotonic())} ${name}`);
      return { isGood: await answer(name), message: "no" };
    },
  });
  const pass = async (ms: number) => {
    for (let end = clock.monotonic() + ms; ; ) {
      for (let turn = 0; turn < 6; turn++) await new Promise(setImmediate);
      const due = clock.nextDue();
      if (due === undefined || due > end)
        return clock.advance(Math.max(0, end - clock.monotonic()));
      clock.fireNext();
    }
  };
  const begin = (spec: Parameters<typeof sampleAssignment>[1] = {}, onChange = () => {}) =>
    prober.begin(
      {
        assignment: sampleAssignment("task01", {
          task: { attachments: [{ networkId: "n", address: "10.0.0.2", mac: "m" }] },
          ...spec,
        }),
        containerId: "c",
        startedAt: clock.now(),
        ready: false,
      },
      onChange,
    );
  return {
    prober,
    asked,
    pass,
    begin,
    answerWith: (next: typeof answer) => {
      answer = next;
    },
  };
}

const http = (path: string) => ({ ...TIMING, check: { kind: "http" as const, port: 80, path } });

test("ready and live are not asked before startup has succeeded", async () => {
  const { prober, asked, pass, begin, answerWith } = bench();
  let isUp = false;
  answerWith((path) => path !== "/startup" || isUp);
  begin({
    spec: { probes: { startup: http("/startup"), ready: http("/ready"), live: http("/live") } },
  });
  await pass(1_000);
  assert.ok(asked.every((line) => line.endsWith("/startup")));
  assert.deepEqual(prober.factsOf("task01").ready, "pending");
  isUp = true;
  await pass(2_000);
  assert.deepEqual(prober.factsOf("task01"), { startup: "good", ready: "good", live: "good" });
  const startups = asked.filter((line) => line.endsWith("/startup")).length;
  await pass(20_000);
  assert.equal(asked.filter((line) => line.endsWith("/startup")).length, startups);
});

test("without a probe the ports of the file gate readiness; without a port nothing does", async () => {
  const first = bench();
  first.answerWith(() => false);
  first.begin({ spec: { expose: [80], ports: [{ target: 443, protocol: "tcp" }] } });
  await first.pass(100);
  assert.equal(first.prober.factsOf("task01").ready, "pending");
  assert.match(first.asked[0] ?? "", /tcp 10\.0\.0\.2/);
  first.answerWith(() => true);
  await first.pass(5_000);
  assert.equal(first.prober.factsOf("task01").ready, "good");
  const second = bench();
  second.begin();
  assert.equal(second.prober.factsOf("task01").ready, "good");
  assert.deepEqual(second.asked, []);
});

test("the runner is woken when a verdict changes, and only then", async () => {
  const { pass, begin, answerWith, asked } = bench();
  let changes = 0;
  let isUp = true;
  answerWith(() => isUp);
  begin({ spec: { probes: { ready: http("/ready") } } }, () => changes++);
  await pass(60_000);
  assert.equal(changes, 1);
  assert.ok(asked.length <= 14, `${asked.length} checks in a minute at one in 5 s`);
  isUp = false;
  await pass(60_000);
  assert.equal(changes, 2);
});

test("the runner hears once why a copy is late, and again when the reason changes", async () => {
  const { prober, pass, begin, answerWith } = bench();
  let changes = 0;
  answerWith(() => false);
  begin(
    { spec: { probes: { ready: { ...http("/ready"), failureThreshold: 99 } } } },
    () => changes++,
  );
  await pass(1_000);
  assert.equal(changes, 0);
  await pass(20_000);
  assert.equal(changes, 1);
  assert.deepEqual(prober.factsOf("task01").message, "no");
});

test("a check that hangs has failed at its timeout; an ended task is asked no more", async () => {
  const { prober, asked, pass, begin, answerWith } = bench();
  answerWith(() => new Promise(() => {}));
  begin({ spec: { probes: { ready: http("/ready") } } });
  await pass(13_000);
  assert.equal(prober.factsOf("task01").ready, "bad");
  assert.match(prober.factsOf("task01").message ?? "", /took longer than 1000 ms/);
  prober.end("task01");
  const before = asked.length;
  await pass(60_000);
  assert.equal(asked.length, before);
});

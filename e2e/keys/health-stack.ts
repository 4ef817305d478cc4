/** Health checks, counted: what each call says is a function of its number, and the container keeps when it was asked. */

import assert from "node:assert/strict";
import { docker } from "../engine.ts";
import { eventually } from "../test-platform.ts";
import { QUICK } from "./process-stack.ts";
import type { KeyStack, Scene } from "./scene.ts";

/** Notes the time of a call; `$n` is its number, from 1. */
const NOTE = 'cut -d" " -f1 /proc/uptime >> /calls; n=$$(wc -l < /calls)';

/** When the check was asked, in seconds of the machine's own clock. */
function calls(at: Scene, service: string): readonly number[] {
  const text = docker("exec", at.container(service).Id, "cat", "/calls");
  return text.trim().split("\n").map(Number);
}

/** From each call to the next. */
function gaps(times: readonly number[]): readonly number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

/** Since when the copy has been ready without a break; `undefined` while it is not. */
async function readySince(at: Scene, service: string): Promise<number | undefined> {
  const row = (await at.tasks()).find(({ task }) => task.service === service);
  return row?.status?.ready === true ? row.status.readyAt : undefined;
}

export const HEALTH: KeyStack = {
  name: "health",
  compose: `
services:
  twice:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: '${NOTE}; test $$((n % 3)) = 1', interval: 200ms, timeout: 10s, retries: 3}
  thrice:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: '${NOTE}; test $$((n % 4)) = 1', interval: 200ms, timeout: 10s, retries: 3}
  rhythm:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: '${NOTE}; test $$n -ge 45', interval: 5s, timeout: 10s, start_period: 10m, start_interval: 300ms}
  after-start:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: '${NOTE}; test $$n -ge 27', interval: 5s, timeout: 10s, start_period: 1s, start_interval: 300ms}
  slow:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: 'if mkdir /asked; then exec sleep 54321; fi', interval: 300ms, timeout: 1s}
`,
  checks: [
    {
      keys: ["services.*.healthcheck.retries", "services.*.healthcheck.test"],
      says: "two failures in a row of three change nothing, the third takes the copy out",
      look: async (at) => {
        const since = await readySince(at, "twice");
        assert.ok(since !== undefined);
        await eventually("both were asked often", () =>
          ["twice", "thrice"].every((service) => calls(at, service).length >= 13),
        );
        assert.equal(await readySince(at, "twice"), since);
        // Of every four calls the last three fail: it was out, and became ready again later.
        const first = at.container("thrice");
        const beginnings = new Set<number>();
        await eventually("the other one was out and came back", async () => {
          const now = await readySince(at, "thrice");
          if (now !== undefined) beginnings.add(now);
          return beginnings.size >= 2;
        });
        // Out means that nobody is led there; a check alone ends no container.
        assert.equal(at.containers("thrice")[0]?.Id, first.Id);
      },
    },
    {
      keys: [
        "services.*.healthcheck.start_period",
        "services.*.healthcheck.start_interval",
        "services.*.healthcheck.interval",
      ],
      says: "until it is ready a copy is asked as start_interval says, then as interval does",
      look: async (at) => {
        await eventually(
          "it was asked after it was ready",
          () => calls(at, "rhythm").length >= 47,
          60_000,
        );
        const all = gaps(calls(at, "rhythm"));
        const starting = all.slice(34, 44);
        assert.ok(Math.min(...starting) >= 0.28, `${starting.join(" ")} s`);
        // Without the period it would be a tenth of its age, as of the next service.
        const [first = 0] = calls(at, "rhythm");
        const age = (calls(at, "rhythm")[35] ?? first) - first;
        assert.ok(Math.min(...starting) < 0.09 * age, `${starting.join(" ")} s at ${age} s`);
        assert.ok(Math.min(...all.slice(44, 46)) >= 4.9, `${all.join(" ")} s`);
      },
    },
    {
      keys: ["services.*.healthcheck.start_period"],
      says: "when the period of the start is over, a copy that is not ready is asked more and more seldom",
      look: (at) => {
        // A tenth of its age passes between two calls, up to the interval: no more 300 ms.
        const times = calls(at, "after-start");
        const [first = 0] = times;
        const pause = (times[25] ?? first) - (times[24] ?? first);
        const age = (times[24] ?? first) - first;
        assert.ok(pause >= 0.09 * age, `${pause} s at ${age} s`);
      },
    },
    {
      keys: ["services.*.healthcheck.timeout"],
      says: "a call that does not end within timeout has failed, and the next one is made",
      look: async (at) => {
        assert.notEqual(await readySince(at, "slow"), undefined);
        docker("exec", at.container("slow").Id, "ls", "-d", "/asked");
        assert.equal(at.try("slow", "ps | grep '[s]leep 54321' | wc -l"), "0");
      },
    },
  ],
};

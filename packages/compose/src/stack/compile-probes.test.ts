/** Probes, from `healthcheck` and `x-berth.probes`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Probe } from "@berth/protocol";
import { compileWeb } from "./compile-sample.ts";

const RHYTHM = {
  startPeriodMs: 0,
  startIntervalMs: 500,
  intervalMs: 30_000,
  timeoutMs: 30_000,
  successThreshold: 1,
  failureThreshold: 3,
};
const OURS = { ...RHYTHM, intervalMs: 5_000, timeoutMs: 2_000 };

const exec = (command: string[], changes: Partial<Probe> = {}): Probe => ({
  check: { kind: "exec", command },
  ...RHYTHM,
  ...changes,
});

const READY: readonly (readonly [string, string, Probe | undefined])[] = [
  ["no check", "", undefined],
  ["NONE", "healthcheck: {test: [NONE]}", undefined],
  ["disable", "healthcheck: {disable: true, test: [CMD, a]}", undefined],
  ["CMD", "healthcheck: {test: [CMD, pg_isready, -U, app]}", exec(["pg_isready", "-U", "app"])],
  ["CMD-SHELL", "healthcheck: {test: [CMD-SHELL, 'a | b']}", exec(["/bin/sh", "-c", "a | b"])],
  [
    "a text",
    "healthcheck: {test: 'curl -f x || exit 1'}",
    exec(["/bin/sh", "-c", "curl -f x || exit 1"]),
  ],
  [
    "every time of it",
    "healthcheck: {test: [CMD, a], interval: 10s, timeout: 3s, retries: 5, start_period: 1m, start_interval: 2s}",
    exec(["a"], {
      intervalMs: 10_000,
      timeoutMs: 3_000,
      failureThreshold: 5,
      startPeriodMs: 60_000,
      startIntervalMs: 2_000,
    }),
  ],
  [
    "zeros, which mean the defaults",
    "healthcheck: {test: [CMD, a], interval: 0s, timeout: 0s, retries: 0, start_interval: 0s}",
    exec(["a"]),
  ],
  [
    "an interval that is too short",
    "healthcheck: {test: [CMD, a], interval: 1ms}",
    exec(["a"], { intervalMs: 10 }),
  ],
  [
    "x-berth over healthcheck",
    "healthcheck: {test: [CMD, a]}\nx-berth: {probes: {ready: {tcp: {port: 80}}}}",
    { ...OURS, check: { kind: "tcp", port: 80 } },
  ],
  [
    "http",
    "x-berth: {probes: {ready: {http: {port: 80, path: /healthz, headers: {Host: a}, status: 200-299}, delay: 1s, interval: 2s, timeout: 1s, success: 2, failure: 4}}}",
    {
      check: {
        kind: "http",
        port: 80,
        path: "/healthz",
        headers: { Host: "a" },
        statusMin: 200,
        statusMax: 299,
      },
      startPeriodMs: 1_000,
      startIntervalMs: 500,
      intervalMs: 2_000,
      timeoutMs: 1_000,
      successThreshold: 2,
      failureThreshold: 4,
    },
  ],
];

for (const [says, lines, ready] of READY) {
  test(`readiness: ${says}`, () => {
    const { web, said } = compileWeb(lines === "" ? "tty: false" : lines);
    assert.deepEqual([web.probes.ready, said], [ready, []]);
  });
}

test("startup and live stand beside a healthcheck", () => {
  const { web } = compileWeb(
    "healthcheck: {test: [CMD, a]}\nx-berth: {probes: {startup: {grpc: {port: 90}}, live: {exec: [b]}}}",
  );
  assert.deepEqual(web.probes.ready, exec(["a"]));
  assert.equal(web.probes.startup?.check.kind, "grpc");
  assert.deepEqual(web.probes.live, { ...OURS, check: { kind: "exec", command: ["b"] } });
});

test("a healthcheck without a test says what happens instead", () => {
  const { web, said } = compileWeb("healthcheck: {interval: 5s}");
  assert.equal(web.probes.ready, undefined);
  assert.match(said.join(), /^warning services.web.healthcheck: has no test/);
});

test("codes between several ranges are named, since they are accepted", () => {
  const { web, said } = compileWeb(
    "x-berth: {probes: {ready: {http: {port: 80, status: [200-204, 301, 302, 401]}}}}",
  );
  const check = web.probes.ready?.check;
  assert.ok(check?.kind === "http");
  assert.deepEqual([check.statusMin, check.statusMax], [200, 401]);
  assert.deepEqual(said, [
    "warning services.web.x-berth.probes.ready.http: status is taken as one range: 205 to 300 are accepted, too",
    "warning services.web.x-berth.probes.ready.http: status is taken as one range: 303 to 400 are accepted, too",
  ]);
});

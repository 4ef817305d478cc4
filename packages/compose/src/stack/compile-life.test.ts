/** Restarts, jobs, copies, updates and dependencies. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RestartSpec, UpdateSpec } from "@berth/protocol";
import { compileSample, compileWeb } from "./compile-sample.ts";

const RESTARTS: readonly (readonly [string, RestartSpec])[] = [
  ["tty: false", { policy: "on-failure" }],
  ["restart: 'no'", { policy: "no" }],
  ["restart: always", { policy: "always" }],
  ["restart: unless-stopped", { policy: "always" }],
  ["restart: on-failure", { policy: "on-failure" }],
  ["restart: on-failure:4", { policy: "on-failure", maxAttempts: 4 }],
  ["restart: always\ndeploy: {restart_policy: {condition: none}}", { policy: "no" }],
  ["restart: 'no'\ndeploy: {restart_policy: {condition: any}}", { policy: "always" }],
  ["deploy: {restart_policy: {max_attempts: 3}}", { policy: "always", maxAttempts: 3 }],
  [
    "deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}",
    { policy: "on-failure", maxAttempts: 2 },
  ],
  [
    "deploy: {restart_policy: {delay: 2s, window: 1m}}",
    { policy: "always", delayMs: 2_000, windowMs: 60_000 },
  ],
  ["deploy: {mode: replicated-job}", { policy: "no" }],
  ["restart: always\ndeploy: {mode: replicated-job}", { policy: "on-failure" }],
];

for (const [lines, restart] of RESTARTS) {
  test(`restart of "${lines.replace("\n", "; ")}"`, () => {
    assert.deepEqual(compileWeb(lines).web.restart, restart);
  });
}

test("a service that others wait for to complete is a job", () => {
  const { spec } = compileSample(`services:
  web: {image: x, depends_on: {migrate: {condition: service_completed_successfully}, db: {condition: service_healthy}, log: {condition: service_started, required: false}}}
  migrate: {image: x}
  db: {image: x}
  log: {image: x}
`);
  const { web, migrate, db } = spec.services;
  assert.deepEqual(
    [migrate?.mode, migrate?.restart, migrate?.copies],
    ["job", { policy: "no" }, 1],
  );
  assert.equal(db?.mode, "replicated");
  assert.deepEqual(web?.dependsOn, {
    migrate: { condition: "completed", required: true },
    db: { condition: "healthy", required: true },
    log: { condition: "started", required: false },
  });
});

test("copies: scale, replicas, global", () => {
  const of = (lines: string) => {
    const { web } = compileWeb(lines);
    return [web.mode, web.copies];
  };
  assert.deepEqual(of("tty: false"), ["replicated", 1]);
  assert.deepEqual(of("scale: 3"), ["replicated", 3]);
  assert.deepEqual(of("deploy: {replicas: 0}"), ["replicated", 0]);
  assert.deepEqual(of("deploy: {mode: global}"), ["global", 0]);
  assert.deepEqual(of("deploy: {mode: replicated-job, replicas: 4}"), ["job", 4]);
});

test("jobs of every node, and words that no mode has", () => {
  const { web, said } = compileWeb("deploy: {mode: global-job}");
  assert.deepEqual([web.mode, web.copies, web.everyNode, said], ["job", 0, true, []]);
  assert.deepEqual(compileWeb("deploy: {mode: replicatd}").said, [
    'error services.web.deploy.mode: "replicatd" is not known: replicated, global, replicated-job, global-job',
  ]);
});

test("a rollback of its own pace; what it leaves out is the update's", () => {
  const of = (lines: string) => compileWeb(lines).web.rollback;
  assert.equal(of("tty: false"), undefined);
  assert.deepEqual(
    of(
      "deploy: {rollback_config: {parallelism: 0, delay: 2s, monitor: 1s, order: stop-first, failure_action: continue, max_failure_ratio: 0.5}}",
    ),
    {
      order: "stop-first",
      parallelism: 0,
      delayMs: 2_000,
      minHealthyMs: 1_000,
      failureAction: "continue",
      maxFailureRatio: 0.5,
    },
  );
  assert.match(
    compileWeb("deploy: {rollback_config: {failure_action: rollback}}").said.join(),
    /^error services.web.deploy.rollback_config.failure_action: "rollback" is not known: pause/,
  );
});

const UPDATE: UpdateSpec = {
  order: "start-first",
  parallelism: 1,
  delayMs: 0,
  minHealthyMs: 5_000,
  progressDeadlineMs: 300_000,
  failureAction: "rollback",
};

const UPDATES: readonly (readonly [string, string, Partial<UpdateSpec>])[] = [
  ["the defaults", "tty: false", {}],
  [
    "every key",
    "deploy: {update_config: {order: stop-first, parallelism: 0, delay: 10s, monitor: 3s, failure_action: pause, max_failure_ratio: 0.2}}",
    {
      order: "stop-first",
      parallelism: 0,
      delayMs: 10_000,
      minHealthyMs: 3_000,
      failureAction: "pause",
      maxFailureRatio: 0.2,
    },
  ],
  [
    "x-berth over monitor",
    "deploy: {update_config: {monitor: 3s}}\nx-berth: {min_healthy: 1s, progress_deadline: 1m}",
    { minHealthyMs: 1_000, progressDeadlineMs: 60_000 },
  ],
  ["a named volume", "volumes: ['v:/v']", { order: "stop-first" }],
  ["a named volume that is only read", "volumes: ['v:/v:ro']", {}],
  ["a volume of each copy", "volumes: ['each:/v']", {}],
  ["a shared volume", "volumes: ['all:/v']", {}],
  ["a fixed address", "networks: {n: {ipv4_address: 10.9.0.5}}", { order: "stop-first" }],
];
const REST = `volumes: {v: , each: {x-berth: {per_copy: true}}, all: {x-berth: {mode: shared}}}
networks: {n: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}
`;

for (const [says, lines, changes] of UPDATES) {
  test(`update: ${says}`, () => {
    const { web, said } = compileWeb(lines, { rest: REST });
    assert.deepEqual([web.update, said], [{ ...UPDATE, ...changes }, []]);
  });
}

test("start-first with something exclusive is an error at its key", () => {
  const { said } = compileWeb("volumes: ['v:/v']\ndeploy: {update_config: {order: start-first}}", {
    rest: REST,
  });
  assert.match(said.join(), /^error services.web.deploy.update_config.order: start-first is impos/);
});

test("pull policies", () => {
  const of = (lines: string) => compileWeb(lines).web.pullPolicy;
  assert.equal(of("tty: false"), "missing");
  for (const word of ["always", "never", "missing"]) assert.equal(of(`pull_policy: ${word}`), word);
  assert.equal(of("pull_policy: if_not_present"), "missing");
  const every = (lines: string) => compileWeb(lines).web.pullEveryMs;
  assert.deepEqual(
    ["daily", "weekly", "every_1d12h", "refresh"].map((word) => every(`pull_policy: ${word}`)),
    [86_400_000, 604_800_000, 129_600_000, 86_400_000],
  );
  assert.equal(every("pull_policy: refresh\npull_refresh_after: 30m"), 1_800_000);
  assert.match(
    compileWeb("pull_policy: refresh\npull_refresh_after: soon").said.join(),
    /^error services.web.pull_refresh_after: "soon" is no time/,
  );
  assert.match(
    compileWeb("pull_policy: build").said.join(),
    /^error services.web.pull_policy: build needs a build section/,
  );
});

/** How services live: dependencies, jobs, restarts, checks, commands around a life, placement, logs. */

import assert from "node:assert/strict";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { docker } from "../engine.ts";
import type { TaskRow } from "../stack-rows.ts";
import { eventually } from "../test-platform.ts";
import { QUICK, SMALL } from "./process-stack.ts";
import type { KeyStack, Scene } from "./scene.ts";

/** Says `WORD at <time>` to the log; times of one machine can be compared. */
const SAY = 'say() { echo "$$1 at $$(cut -d" " -f1 /proc/uptime)"; }';

async function rowOf(at: Scene, service: string): Promise<TaskRow> {
  const rows = (await at.tasks()).filter(({ task }) => task.service === service);
  const newest = rows.at(-1);
  assert.ok(newest !== undefined, `${service} has no copy`);
  return newest;
}

async function linesOf(at: Scene, service: string, word: string): Promise<number> {
  const log = await at.logged(service, new RegExp(word));
  return log.split("\n").filter((line) => line === word).length;
}

/** What fails by design; its deployment is not waited for. */
export const FAILING: KeyStack = {
  name: "failing",
  words: ["--detach"],
  compose: `
services:
  thrice:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo try; test -f /never'
    restart: on-failure:2
    deploy: {update_config: {failure_action: continue}}
  not-restarted:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo once; exit 3'
    deploy: {restart_policy: {condition: none}, update_config: {failure_action: continue}}
`,
  checks: [
    {
      keys: ["services.*.restart", "services.*.deploy.restart_policy.condition"],
      says: "what failed is restarted as often as allowed, and no more",
      look: async (at) => {
        await eventually("both have given up", async () => {
          const ends = (await at.tasks()).map(({ status }) => status?.outcome);
          return ends.length === 2 && ends.every((one) => one === "failed");
        });
        assert.equal(await linesOf(at, "thrice", "try"), 3);
        assert.equal(await linesOf(at, "not-restarted", "once"), 1);
      },
    },
  ],
};

export const LIFE: KeyStack = {
  name: "life",
  files: { "profiles.env": "" },
  compose: `
services:
  db:
    ${QUICK}
    image: berth/busybox
    command: sh -c '${SAY}; say up; sleep 1; touch /ready; say ready; exec sleep 100000'
    healthcheck:
      test: ["CMD", "test", "-f", "/ready"]
      interval: 20s
      timeout: 3s
      retries: 2
      start_period: 30s
      start_interval: 100ms
  migrate:
    ${SMALL}
    image: berth/busybox
    command: sh -c '${SAY}; say migrating; sleep 0.5; say migrated'
    depends_on: {db: {condition: service_healthy}}
  web:
    ${QUICK}
    image: berth/busybox
    command: sh -c '${SAY}; say serving; exec sleep 100000'
    depends_on:
      migrate: {condition: service_completed_successfully}
      absent: {condition: service_started, required: false}
      db: {condition: service_started}
    healthcheck: {test: "true", interval: 100ms}
  absent: {image: berth/busybox, profiles: [never]}
  unchecked:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {disable: true}
  none-checked:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    healthcheck: {test: [NONE]}
  hooked:
    ${QUICK}
    image: berth/busybox
    user: "1000"
    command: sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
    stop_grace_period: 5s
    volumes: ["marks:/marks"]
    post_start:
      - {command: ["sh", "-c", "id -u > /marks/post; pwd >> /marks/post; echo $$WORD >> /marks/post"], user: root, working_dir: /etc, environment: {WORD: after}}
    pre_stop:
      - {command: ["sh", "-c", "id -u > /marks/pre; pwd >> /marks/pre; echo $$WORD >> /marks/pre"], user: root, working_dir: /marks, environment: [WORD=before]}
  never-again:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo once; exit 0'
    restart: "no"
  ended-well:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo fine'
    restart: on-failure
  always:
    ${QUICK}
    image: berth/busybox
    command: sh -c 'echo begun; exec sleep 100000'
    restart: always
  follower:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    depends_on: {led: {condition: service_started, restart: true}}
  led:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
  unless-stopped:
    ${QUICK}
    image: berth/busybox
    command: sh -c 'echo begun; exec sleep 100000'
    restart: unless-stopped
  paused-restart:
    ${QUICK}
    image: berth/busybox
    command: sh -c '${SAY}; say begun; exec sleep 100000'
    deploy: {restart_policy: {condition: any, delay: 2s, max_attempts: 1, window: 1s}}
  several:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    scale: 3
  everywhere:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    deploy: {mode: global}
  two-jobs:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo job done'
    deploy: {mode: replicated-job, replicas: 2}
  job-each-node:
    ${SMALL}
    image: berth/busybox
    command: sh -c 'echo job of the node'
    deploy: {mode: global-job}
  chatty:
    ${QUICK}
    image: berth/busybox
    command: sh -c 'i=0; while [ $$i -lt 4000 ]; do echo "line $$i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; i=$$((i+1)); done; exec sleep 100000'
    logging: {driver: local, options: {max-size: 32k, max-file: "2"}}
  placed:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    deploy:
      placement: {constraints: ["node.hostname == node-1"], preferences: [{spread: node.labels.zone}], max_replicas_per_node: 1}
volumes: {marks: }
`,
  checks: [
    {
      keys: [
        "services.*.depends_on.*.condition",
        "services.*.depends_on.*.required",
        "services.*.healthcheck.test",
        "services.*.healthcheck.start_period",
        "services.*.healthcheck.start_interval",
        "services.*.healthcheck.interval",
        "services.*.healthcheck.timeout",
        "services.*.healthcheck.retries",
      ],
      says: "each waits for what it depends on: started, healthy, completed; what may be absent is",
      look: async (at) => {
        const when = async (service: string, word: string) =>
          Number(
            new RegExp(`${word} at (\\S+)`).exec(await at.logged(service, new RegExp(word)))?.[1],
          );
        const ready = await when("db", "ready");
        const migrating = await when("migrate", "migrating");
        const migrated = await when("migrate", "migrated");
        const serving = await when("web", "serving");
        assert.ok(
          ready <= migrating && migrated <= serving,
          `${ready} ${migrating} ${migrated} ${serving}`,
        );
        // Asked every 100 ms at first and not every 20 s: it was known to be ready soon.
        assert.ok(migrating - ready < 15, `${migrating - ready} s`);
      },
    },
    {
      keys: ["services.*.healthcheck.disable", "services.*.healthcheck.test"],
      says: "services without a check are ready as soon as they run, and the engine checks nothing",
      look: async (at) => {
        for (const service of ["unchecked", "none-checked"]) {
          assert.equal((await rowOf(at, service)).status?.ready, true, service);
          const { Healthcheck } = at.container(service).Config;
          assert.deepEqual(Healthcheck, { Test: ["NONE"] });
        }
      },
    },
    {
      keys: [
        "services.*.post_start.command",
        "services.*.post_start.user",
        "services.*.post_start.working_dir",
        "services.*.post_start.environment",
      ],
      says: "commands after the start ran as, where and with what the file says",
      look: (at) => assert.equal(at.inside("hooked", "cat", "/marks/post"), "0\n/etc\nafter"),
    },
    {
      keys: [
        "services.*.pre_stop.command",
        "services.*.pre_stop.user",
        "services.*.pre_stop.working_dir",
        "services.*.pre_stop.environment",
      ],
      says: "commands before the stop ran as, where and with what the file says",
      look: async (at) => {
        await at.platform.must("restart", `${at.stack}/hooked`);
        await eventually("the next copy reads what the last one left", () => {
          const id = at.containers("hooked")[0]?.Id ?? "";
          return docker("exec", id, "cat", "/marks/pre") === "0\n/marks\nbefore\n";
        });
      },
    },
    {
      keys: ["services.*.restart"],
      says: "what may not be restarted, or ended well, ran once",
      look: async (at) => {
        assert.equal(await linesOf(at, "never-again", "once"), 1);
        assert.equal(await linesOf(at, "ended-well", "fine"), 1);
        assert.equal((await rowOf(at, "ended-well")).status?.outcome, "complete");
      },
    },
    {
      keys: ["services.*.restart"],
      says: "always and unless-stopped come back after an end, without a word of the server",
      look: async (at) => {
        for (const service of ["always", "unless-stopped"]) {
          docker("kill", at.container(service).Id);
          await eventually(`${service} runs again`, async () => {
            const { status } = await rowOf(at, service);
            return status?.attempt === 2 && status.state === "running";
          });
        }
      },
    },
    {
      keys: [
        "services.*.deploy.restart_policy.delay",
        "services.*.deploy.restart_policy.max_attempts",
        "services.*.deploy.restart_policy.window",
      ],
      says: "a restart waits for its pause, and an attempt that outlived the window begins the count anew",
      look: async (at) => {
        const runsAs = (attempt: number) =>
          eventually(`attempt ${attempt} runs`, async () => {
            const { status } = await rowOf(at, "paused-restart");
            return status?.attempt === attempt && status.ready;
          });
        await runsAs(1);
        docker("kill", at.containers("paused-restart")[0]?.Id ?? "");
        const killed = Date.now();
        await runsAs(2);
        assert.ok(Date.now() - killed >= 2_000, `${Date.now() - killed} ms`);
        // One attempt is allowed; but this one lives for longer than the window.
        await eventually("the window is over", async () => {
          const { status } = await rowOf(at, "paused-restart");
          return Date.now() - (status?.startedAt ?? Date.now()) > 2_000;
        });
        docker("kill", at.containers("paused-restart")[0]?.Id ?? "");
        await runsAs(3);
      },
    },
    {
      keys: ["services.*.depends_on.*.restart"],
      says: "a restart takes along who says that it follows, and nobody else",
      look: async (at) => {
        const [before] = at.containers("follower");
        const [other] = at.containers("unchecked");
        await at.platform.must("restart", `${at.stack}/led`);
        await eventually("the follower is another container", () => {
          const now = at.containers("follower");
          return now.length === 1 && now[0]?.Id !== before?.Id;
        });
        assert.equal(at.containers("unchecked")[0]?.Id, other?.Id);
      },
    },
    {
      keys: ["services.*.scale", "services.*.deploy.mode", "services.*.deploy.replicas"],
      says: "as many copies run as the file says, of a global service one on each node",
      look: async (at) => {
        assert.equal(at.containers("several").length, 3);
        assert.equal(at.containers("everywhere").length, 1);
        const jobs = (await at.tasks()).filter(({ task }) => task.service === "two-jobs");
        assert.deepEqual(jobs.map(({ task, status }) => [task.slot, status?.outcome]).sort(), [
          [1, "complete"],
          [2, "complete"],
        ]);
        const each = (await at.tasks()).filter(({ task }) => task.service === "job-each-node");
        assert.deepEqual(
          each.map(({ status }) => status?.outcome),
          ["complete"],
        );
      },
    },
    {
      keys: ["services.*.logging.driver", "services.*.logging.options"],
      says: "our own log store keeps about as much as max-size and max-file say, the newest",
      look: async (at) => {
        const log = await at.logged("chatty", /line 3999 /);
        assert.doesNotMatch(log, /line 100 /);
        assert.ok(Buffer.byteLength(log) <= 3 * 32 * 1_024, `${Buffer.byteLength(log)} bytes`);
        const { task } = await rowOf(at, "chatty");
        const files = globSync(join(at.platform.dataDir, `**/*${task.id}*/**`)).filter((file) =>
          statSync(file).isFile(),
        );
        const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
        assert.ok(bytes > 0 && bytes <= 4 * 32 * 1_024, `${bytes} bytes in ${files.join(" ")}`);
      },
    },
    {
      keys: [
        "services.*.deploy.placement.constraints",
        "services.*.deploy.placement.max_replicas_per_node",
        "services.*.deploy.placement.preferences.spread",
      ],
      says: "a copy runs where the constraint holds, and no second one beside it",
      look: async (at) => {
        assert.equal(at.containers("placed").length, 1);
        await at.platform.must("scale", `${at.stack}/placed=2`);
        await eventually("the second copy waits for another node", async () => {
          const said = await at.platform.must("explain", `${at.stack}/placed`);
          return /has 1 copy of .* already/.test(said);
        });
        assert.equal(at.containers("placed").length, 1);
        await at.platform.must("scale", `${at.stack}/placed=1`);
      },
    },
  ],
};

/** From one release to the next, with real parts: what good, bad and unchanged ones do to a service. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { underLoad } from "./constant-load.ts";
import { LifeRecorder, mostAtOnce, runningContainers } from "./engine.ts";
import type { DeployRow, StackRow, TaskRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;
let recorder: LifeRecorder;

before(async () => {
  platform = await TestPlatform.start();
  recorder = new LifeRecorder(platform.cluster);
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(async () => {
  recorder.stop();
  await platform.uninstall();
});

interface WebOptions {
  readonly version: string;
  readonly copies?: number;
  readonly command?: string;
  readonly more?: string;
}

/** A web server that answers its version. */
function web({ version, copies = 2, command, more = "" }: WebOptions): string {
  const script =
    command ??
    `mkdir -p /www && echo ${version} > /www/index.html && exec httpd -f -p 8080 -h /www`;
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", ${JSON.stringify(script)}]
    stop_signal: SIGKILL
    deploy: { replicas: ${copies} }
    x-berth:
      min_healthy: 500ms
      drain: 2s
      routes: [{ host: web.localhost, port: 8080 }]
${more}`;
}

function ask() {
  return platform.ingress("web.localhost");
}

async function stackRow(name: string): Promise<StackRow> {
  const rows = await platform.json<StackRow>("ps");
  const row = rows.find(({ stack }) => stack.stack === name);
  assert.ok(row, `stack ${name} is listed`);
  return row;
}

function containers(stack: string, service: string): string[] {
  return runningContainers(platform.cluster, `default/main/${stack}/${service}`).sort();
}

/** The containers once those of earlier copies have drained and gone. */
async function settled(stack: string, service: string, count: number): Promise<string[]> {
  const now = () => containers(stack, service);
  await eventually(`${count} containers of ${service} run`, () => now().length === count);
  return now();
}

async function deployed(name: string, compose: string): Promise<void> {
  const { code, stdout, stderr } = await platform.deploy(name, compose);
  assert.equal(code, 0, stdout + stderr);
}

test("a first release that cannot run fails with its exit code and last lines", async () => {
  const compose = web({ version: "v0", command: "echo the config is missing >&2; exit 3" });
  const { code, stderr } = await platform.deploy("web", compose, "--timeout", "60s");
  assert.equal(code, 1);
  assert.match(stderr, /release 1 failed and stays as it is/);
  assert.match(stderr, /exited.* 3/);
  assert.match(stderr, /the config is missing/);
});

test("a good release follows it", async () => {
  await deployed("web", web({ version: "v1" }));
  assert.equal((await ask()).body, "v1\n");
  assert.equal((await stackRow("web")).stack.rollout?.state, "complete");
});

test("the same file again restarts nothing", async () => {
  const before = await settled("web", "web", 2);
  const { code, stdout } = await platform.deploy("web", web({ version: "v1" }));
  assert.equal(code, 0);
  assert.match(stdout, /unchanged/);
  assert.deepEqual(containers("web", "web"), before);
});

test("a rolling update under constant load fails no request", async () => {
  const later = await recorder.mark();
  const before = await settled("web", "web", 2);
  const { good, failures, bodies } = await underLoad(ask, () =>
    deployed("web", web({ version: "v2" })),
  );
  assert.deepEqual(failures, []);
  assert.ok(good > 20 && bodies.has("v2\n"), `${good} answers`);
  await settled("web", "web", 2);
  assert.equal((await ask()).body, "v2\n");
  const most = mostAtOnce(await later(), before, () => true);
  // One more than wanted at some time; of a place two at most, the copy that drains and its successor.
  assert.ok(most === 3 || most === 4, `${most} copies at once`);
});

test("a release that crashes is rolled back with its reason, and the good one never stops", async () => {
  const before = await settled("web", "web", 2);
  const compose = web({ version: "v3", command: "echo the key is broken; exit 17" });
  const { failures, bodies } = await underLoad(ask, async () => {
    const { code, stderr } = await platform.deploy("web", compose);
    assert.equal(code, 1);
    assert.match(stderr, /failed and was rolled back to release \d/);
    assert.match(stderr, /17/);
    assert.match(stderr, /the key is broken/);
  });
  assert.deepEqual(failures, []);
  assert.deepEqual([...bodies.keys()], ["v2\n"]);
  assert.deepEqual(await settled("web", "web", 2), before);
});

test("a release that is never ready is rolled back when its progress deadline passes", async () => {
  const more = "      progress_deadline: 3s\n      probes: { ready: { tcp: { port: 9 } } }\n";
  const { code, stdout } = await platform.deploy("web", web({ version: "v4", more }), "--json");
  assert.equal(code, 1);
  const row: DeployRow = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  assert.equal(row.outcome.rollout?.state, "rolled-back");
  assert.match(row.outcome.rollout?.failure?.reason ?? "", /3(\.0)? s/);
  assert.equal((await ask()).body, "v2\n");
});

test("a service is scaled up and down", async () => {
  await platform.must("scale", "web/web=4");
  await eventually("four are ready", async () => (await stackRow("web")).services[0]?.ready === 4);
  await platform.must("scale", "web/web=1");
  await settled("web", "web", 1);
});

test("the scale of a user outlives a release, until the file's number changes", async () => {
  await deployed("web", web({ version: "v5" }));
  await settled("web", "web", 1);
  assert.equal((await ask()).body, "v5\n");
  await deployed("web", web({ version: "v5", copies: 3 }));
  await settled("web", "web", 3);
});

test("restart replaces every copy without a failed request", async () => {
  const before = await settled("web", "web", 3);
  const { failures } = await underLoad(ask, async () => {
    await platform.must("restart", "web/web");
    await eventually("every copy is another one", async () => {
      const now = containers("web", "web");
      const ready = (await stackRow("web")).services[0]?.ready === 3;
      return ready && now.length === 3 && now.every((id) => !before.includes(id));
    });
  });
  assert.deepEqual(failures, []);
});

test("a rollback by hand goes to the release before", async () => {
  await deployed("web", web({ version: "v6", copies: 3 }));
  await platform.must("rollback", "web");
  await eventually("all copies answer as before", async () => {
    const answers = await Promise.all(Array.from({ length: 9 }, ask));
    return answers.every(({ body }) => body === "v5\n");
  });
});

test("a service that is to stop first never has two copies", async () => {
  const compose = (version: string) => `services:
  one:
    image: berth/busybox
    command: ["sh", "-c", "echo ${version}; exec sleep 1000"]
    stop_signal: SIGKILL
    deploy: { update_config: { order: stop-first } }
    x-berth: { min_healthy: 200ms }
`;
  await deployed("one", compose("v1"));
  const later = await recorder.mark();
  const before = await settled("one", "one", 1);
  await deployed("one", compose("v2"));
  const events = await later();
  assert.equal(
    mostAtOnce(events, before, ({ service }) => service.endsWith("/one/one")),
    1,
  );
  assert.notDeepEqual(containers("one", "one"), before);
});

const CHAIN = (job: string) => `services:
  begun: { image: berth/busybox, command: ["sleep", "1000"], stop_signal: SIGKILL }
  fit:
    image: berth/busybox
    command: ["sh", "-c", "sleep 1; touch /fit; exec sleep 1000"]
    stop_signal: SIGKILL
    healthcheck: { test: ["CMD", "test", "-e", "/fit"], interval: 1s }
  job:
    image: berth/busybox
    restart: "no"
    command: ["sh", "-c", ${JSON.stringify(job)}]
  last:
    image: berth/busybox
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    depends_on:
      begun: { condition: service_started }
      fit: { condition: service_healthy }
      job: { condition: service_completed_successfully }
x-berth-note: three conditions
`;

test("depends_on is kept, with each of its conditions", async () => {
  const later = await recorder.mark();
  await deployed("chain", CHAIN("sleep 1; echo migrated"));
  const events = await later();
  const at = (action: string, service: string) => {
    const found = events.find(
      (event) => event.action === action && event.service === `default/main/chain/${service}`,
    );
    assert.ok(found, `${service} has a ${action}`);
    return found.at;
  };
  assert.ok(at("start", "begun") < at("start", "last"));
  assert.ok(at("start", "fit") + 1_000 < at("start", "last"), "healthy after a second");
  assert.ok(at("die", "job") < at("start", "last"));
  const [job] = await platform.json<TaskRow>("ps", "chain/job", "--all");
  assert.deepEqual([job?.status?.outcome, job?.status?.exitCode], ["complete", 0]);
});

test("a job does not run again when the file is the same, and once when it changes", async () => {
  const runs = async () => {
    const later = await recorder.mark();
    return async () =>
      (await later()).filter(
        ({ action, service }) => action === "start" && service === "default/main/chain/job",
      ).length;
  };
  const unchanged = await runs();
  await deployed("chain", CHAIN("sleep 1; echo migrated"));
  assert.equal(await unchanged(), 0);
  const changed = await runs();
  await deployed("chain", CHAIN("echo migrated twice"));
  assert.equal(await changed(), 1);
});

test("a failed job fails the release with its code and lines; who waits for it never starts", async () => {
  const compose = CHAIN("echo no such table; exit 9");
  const { code, stderr } = await platform.deploy("broken", compose);
  assert.equal(code, 1);
  assert.match(stderr, /broken\/job/);
  assert.match(stderr, /9/);
  assert.match(stderr, /no such table/);
  assert.deepEqual(containers("broken", "last"), []);
  assert.match(await platform.must("explain", "broken/last"), /job/);
});

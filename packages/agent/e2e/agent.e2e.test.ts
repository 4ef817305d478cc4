/** The agent against a real Engine. Needs dockerd and root; see agent-lab.ts. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import type { Assignment, LogLine } from "@berth/protocol";
import { AgentLab } from "./agent-lab.ts";

let lab: AgentLab;
before(async () => {
  lab = await AgentLab.open(1);
});
after(() => lab.close());

function stopped(assignment: Assignment): Assignment {
  return { ...assignment, task: { ...assignment.task, desired: "stopped" } };
}

/** `httpd` on port 80 that says what its files say. */
function webSpec(): NonNullable<Parameters<AgentLab["assignment"]>[2]>["spec"] {
  const script =
    "mkdir -p /www && cat /run/secrets/token /greeting > /www/index.html && echo serving && exec httpd -f -p 80 -h /www";
  return {
    command: ["sh", "-c", script],
    expose: [80],
    probes: {
      ready: {
        check: { kind: "http", port: 80, path: "/index.html" },
        startPeriodMs: 0,
        startIntervalMs: 500,
        intervalMs: 1_000,
        timeoutMs: 1_000,
        successThreshold: 1,
        failureThreshold: 3,
      },
    },
    configs: [{ name: "greeting", target: "/greeting", uid: 0, gid: 0, mode: 0o444 }],
    secrets: [{ name: "token", target: "token", uid: 0, gid: 0, mode: 0o400 }],
  };
}

test("a service with files serves; killed it is back in time; a new agent adopts it", async (t) => {
  const greeting = Buffer.from("hello\n");
  const digest = `sha256:${createHash("sha256").update(greeting).digest("hex")}`;
  lab.server.blobs.set(digest, greeting);
  lab.server.secrets.set("task01", { token: Buffer.from("s3cret\n").toString("base64") });
  const assignment = lab.assignment("task01", 10, {
    spec: webSpec() ?? {},
    configs: { greeting: { digest } },
    secrets: { token: { version: "v1" } },
  });
  lab.server.assign(assignment);
  await lab.start();
  t.diagnostic(`ready after ${Math.round(await lab.until("task01", ({ ready }) => ready))} ms`);
  const address = assignment.task.attachments[0]?.address;
  const page = await fetch(`http://${address}/index.html`);
  assert.equal(await page.text(), "s3cret\nhello\n");

  const [first] = await lab.containers();
  await lab.runtime.killContainer(first?.id ?? "", "SIGKILL");
  const again = await lab.until(
    "task01",
    ({ attempt, state }) => attempt === 2 && state === "running",
  );
  t.diagnostic(`killed to running again: ${Math.round(again)} ms`);
  assert.ok(again < 2_000);
  await lab.until("task01", ({ ready, attempt }) => ready && attempt === 2);

  lab.server.goDown();
  await lab.stop();
  lab.server.isDown = false;
  const before = (await lab.containers()).filter(({ phase }) => phase === "running");
  assert.equal(before.length, 1);
  lab.server.statuses.clear();
  await lab.start();
  await assert.rejects(lab.start(), { code: "conflict" });
  await lab.until("task01", ({ attempt, ready }) => attempt === 2 && ready);
  const after = (await lab.containers()).filter(({ phase }) => phase === "running");
  assert.deepEqual(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  const exec = lab.dial("s1", {
    kind: "exec",
    task: "task01",
    command: ["cat"],
    tty: false,
    stdin: true,
    environment: {},
  });
  exec.type("stdin", "typed");
  exec.type("end", "");
  assert.equal(await exec.text("stdout"), "typed");
  assert.deepEqual(JSON.parse(await exec.text("exit")), { code: 0 });
  lab.server.assign(stopped(assignment));
  await lab.until("task01", ({ state }) => state === "removed");
  assert.deepEqual(await lab.containers(), []);
});

test("a crash loop backs off and says why; its lines outlive its containers", async () => {
  const spec = {
    command: ["sh", "-c", "echo going down; exit 7"],
    restart: { policy: "always" as const },
  };
  const assignment = lab.assignment("task02", 11, { spec });
  lab.server.assign(assignment);
  await lab.until("task02", ({ recentFailures }) => recentFailures >= 3);
  const status = lab.server.statuses.get("task02");
  assert.equal(status?.exitCode, 7);
  assert.deepEqual(status?.logTail, ["going down"]);
  const waits = lab.server.history
    .filter(({ task, state }) => task === "task02" && state === "exited")
    .map(({ nextAttemptAt = 0, exitedAt = 0 }) => Math.round((nextAttemptAt - exitedAt) / 100));
  assert.ok(waits.length > 0);
  lab.server.assign(stopped(assignment));
  await lab.until("task02", ({ state }) => state === "removed");
  const logs = lab.dial("s2", {
    kind: "logs",
    project: "default",
    environment: "main",
    stack: "shop",
    task: "task02",
    follow: false,
  });
  await logs.text("data");
  const lines = linesOf(logs.sent);
  assert.ok(lines.length >= 3);
  assert.deepEqual([lines[0]?.text, lines[0]?.attempt, lines[2]?.attempt], ["going down", 1, 3]);
});

test("stopping runs the hook, asks, waits for the grace period, kills", async (t) => {
  const assignment = lab.assignment("task03", 12, {
    spec: {
      // Ignores SIGTERM.
      command: ["sh", "-c", "trap '' TERM; echo up; while true; do sleep 1; done"],
      preStop: [["sh", "-c", "echo hook > /proc/1/fd/1"]],
      stopGraceMs: 1_500,
    },
  });
  lab.server.assign(assignment);
  await lab.until("task03", ({ ready }) => ready);
  lab.server.assign(stopped(assignment));
  const took = await lab.until("task03", ({ state }) => state === "removed");
  t.diagnostic(`stopped after ${Math.round(took)} ms`);
  assert.ok(took >= 1_400 && took < 6_000);
  const status = lab.server.statuses.get("task03");
  assert.deepEqual([status?.outcome, status?.exitCode], ["stopped", 137]);
  const logs = lab.dial("s3", {
    kind: "logs",
    project: "default",
    environment: "main",
    stack: "shop",
    task: "task03",
    follow: false,
  });
  await logs.text("data");
  assert.deepEqual(
    linesOf(logs.sent).map(({ text }) => text),
    ["up", "hook"],
  );
});

test("exec and TCP checks gate readiness, a bad live probe restarts", async () => {
  const timing = {
    startPeriodMs: 0,
    startIntervalMs: 200,
    intervalMs: 300,
    timeoutMs: 2_000,
    successThreshold: 1,
    failureThreshold: 2,
  };
  const assignment = lab.assignment("task04", 13, {
    spec: {
      command: ["sh", "-c", "sleep 1; touch /tmp-ready; exec sleep 1000"],
      probes: {
        ready: { ...timing, check: { kind: "exec", command: ["test", "-e", "/tmp-ready"] } },
        live: { ...timing, check: { kind: "exec", command: ["test", "!", "-e", "/broken"] } },
      },
    },
  });
  lab.server.assign(assignment);
  const took = await lab.until("task04", ({ ready }) => ready);
  assert.ok(took >= 900, `not ready before it is (${took} ms)`);
  const [container] = (await lab.containers()).filter(({ phase }) => phase === "running");
  const options = { timeoutMs: 5_000 };
  await lab.runtime.runInside(container?.id ?? "", ["touch", "/broken"], options);
  await lab.until("task04", ({ attempt, ready }) => attempt === 2 && ready);
  assert.match(lab.server.statuses.get("task04")?.message ?? "", /live probe fails/);
  lab.server.assign(stopped(assignment));
  await lab.until("task04", ({ state }) => state === "removed");
});

/** Lines of a log session; the frame that ends it has no text. */
function linesOf(sent: readonly { readonly text: string }[]): LogLine[] {
  return sent.filter(({ text }) => text !== "").map(({ text }) => JSON.parse(text) as LogLine);
}

test("a pruned network is made again under its running tasks", async () => {
  const spec = {
    command: ["sh", "-c", "mkdir -p /w && echo up > /w/index.html && exec httpd -f -p 80 -h /w"],
    expose: [80],
  };
  // The first shows the agent where processes are; the second is connected by the agent itself.
  lab.server.assign(lab.assignment("task20", 20, { spec }));
  await lab.until("task20", ({ ready }) => ready);
  const second = lab.assignment("task21", 21, { spec });
  lab.server.assign(second);
  await lab.until("task21", ({ ready }) => ready);
  lab.server.assign(stopped(lab.assignment("task20", 20, { spec })));
  await lab.until("task20", ({ state }) => state === "removed");
  const pruned = execFileSync("docker", ["network", "prune", "--force"]).toString();
  assert.match(pruned, new RegExp(lab.network.id), "the engine takes it for unused");
  const address = second.task.attachments[0]?.address;
  const page = async () => {
    const signal = AbortSignal.timeout(1_000);
    return (await fetch(`http://${address}/index.html`, { signal }).catch(() => undefined))?.text();
  };
  const deadline = performance.now() + 60_000;
  while ((await page()) !== "up\n") assert.ok(performance.now() < deadline, "reachable again");
  lab.server.assign(stopped(second));
  await lab.until("task21", ({ state }) => state === "removed");
});

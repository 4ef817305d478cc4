/** Every kind of probe against a real container: it gates readiness, and restarts where the file says so. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { StackRow, TaskRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  await platform.must("image", "base", "berth/node", "nodejs");
});

after(() => platform.uninstall());

/** Node's HTTP/2 server as a gRPC health service: it says "serving" (1) once /go exists, else "not" (2). */
const GRPC_SERVER = `
const { createServer } = require("node:http2");
const { existsSync } = require("node:fs");
createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const asked = Buffer.concat(chunks).subarray(7).toString();
    const known = request.url === "/grpc.health.v1.Health/Check" && asked === "shop.Orders";
    response.writeHead(200, { "content-type": "application/grpc" });
    if (known) response.write(Buffer.from([0, 0, 0, 0, 2, 8, existsSync("/tmp/go") ? 1 : 2]));
    response.addTrailers({ "grpc-status": known ? "0" : "5" });
    response.end();
  });
}).listen(50051);
`;

/** Service by kind of probe: each becomes good only when /tmp/go exists in its container. */
const COMPOSE = `services:
  http:
    image: berth/busybox
    command: ["sh", "-c", "mkdir -p /tmp/www; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo ok > /tmp/www/ok; exec sleep 1000"]
    post_start: [{ command: ["sh", "-c", "mkdir -p /tmp/www; httpd -p 8080 -h /tmp/www"] }]
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms, probes: { ready: { http: { port: 8080, path: /ok }, interval: 200ms } } }
  tcp:
    image: berth/busybox
    command: ["sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; exec httpd -f -p 9000"]
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms, probes: { ready: { tcp: { port: 9000 }, interval: 200ms } } }
  exec:
    image: berth/busybox
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms, probes: { ready: { exec: ["test", "-e", "/tmp/go"], interval: 200ms } } }
  grpc:
    image: berth/node
    command: ["node", "-e", ${JSON.stringify(GRPC_SERVER)}]
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms, probes: { ready: { grpc: { port: 50051, service: shop.Orders }, interval: 200ms } } }
  health:
    image: berth/busybox
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    healthcheck: { test: "test -e /tmp/go", interval: 200ms }
    x-berth: { min_healthy: 100ms }
`;
const KINDS = ["http", "tcp", "exec", "grpc", "health"];

async function readyServices(stack: string): Promise<Record<string, number>> {
  const rows = await platform.json<StackRow>("ps");
  const row = rows.find((one) => one.stack.stack === stack);
  return Object.fromEntries((row?.services ?? []).map(({ service, ready }) => [service, ready]));
}

async function taskOf(target: string): Promise<TaskRow["status"]> {
  const rows = await platform.json<TaskRow>("ps", target);
  return rows.find(({ task }) => task.desired === "running")?.status;
}

test("a service is ready only once its probe is good, for every kind of probe", async () => {
  const folder = platform.project("probes", { "compose.yaml": COMPOSE });
  await platform.must("deploy", "-f", `${folder}/compose.yaml`, "--stack", "probes", "--detach");
  for (const kind of KINDS) {
    await eventually(
      `${kind} runs`,
      async () => (await taskOf(`probes/${kind}`))?.state === "running",
    );
  }
  // Each was asked several times by now: none may count as ready.
  await eventually(
    "probes were asked and are waited for",
    async () =>
      KINDS.every(Boolean) && /probe|ready/.test(await platform.must("explain", "probes/tcp")),
  );
  assert.deepEqual(
    await readyServices("probes"),
    Object.fromEntries(KINDS.map((kind) => [kind, 0])),
  );
  for (const kind of KINDS) {
    await platform.must("exec", `probes/${kind}-1`, ...touch(kind));
    await eventually(`${kind} is ready`, async () => (await readyServices("probes"))[kind] === 1);
  }
  await eventually("the rollout completes", async () => {
    const [row] = await platform.json<StackRow>("ps");
    return row?.stack.rollout?.state === "complete";
  });
});

function touch(kind: string): string[] {
  if (kind !== "grpc") return ["touch", "/tmp/go"];
  return ["node", "-e", "require('node:fs').writeFileSync('/tmp/go', '')"];
}

test("a copy whose probe turns bad is taken out of the endpoints, and is not restarted", async () => {
  const before = await taskOf("probes/exec");
  await platform.must("exec", "probes/exec-1", "rm", "/tmp/go");
  await eventually("it is not ready", async () => (await readyServices("probes"))["exec"] === 0);
  const later = await taskOf("probes/exec");
  assert.deepEqual([later?.state, later?.containerId], ["running", before?.containerId]);
  await platform.must("exec", "probes/exec-1", "touch", "/tmp/go");
  await eventually("it is ready again", async () => (await readyServices("probes"))["exec"] === 1);
});

test("a live probe that turns bad restarts the container, and says so", async () => {
  const compose = `services:
  live:
    image: berth/busybox
    command: ["sh", "-c", "touch /alive; exec sleep 1000"]
    stop_signal: SIGKILL
    x-berth:
      min_healthy: 100ms
      probes: { live: { exec: ["test", "-e", "/alive"], interval: 200ms, failure: 2 } }
`;
  const { code, stdout, stderr } = await platform.deploy("live", compose);
  assert.equal(code, 0, stdout + stderr);
  const before = await taskOf("live/live");
  await platform.must("exec", "live/live-1", "rm", "/alive");
  await eventually("another container runs", async () => {
    const later = await taskOf("live/live");
    return later?.ready === true && later.containerId !== before?.containerId;
  });
  assert.match(await platform.must("events", "live"), /live/);
});

test("a startup probe keeps the others waiting while a slow program starts", async () => {
  const compose = `services:
  slow:
    image: berth/busybox
    command: ["sh", "-c", "sleep 2; touch /up; exec sleep 1000"]
    stop_signal: SIGKILL
    x-berth:
      min_healthy: 100ms
      probes:
        startup: { exec: ["test", "-e", "/up"], interval: 200ms, failure: 100 }
        live: { exec: ["test", "-e", "/up"], interval: 200ms, failure: 1 }
`;
  const { code, stdout, stderr } = await platform.deploy("slow", compose);
  assert.equal(code, 0, stdout + stderr);
  assert.equal((await taskOf("slow/slow"))?.attempt, 1, "the live probe did not restart it");
});

/** Out of service and back, and all of a host at once: what leaves does so in order, and is seen to. */

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { LifeRecorder, runningContainers } from "./engine.ts";
import { programFiles } from "./load/load-stack.ts";
import { makeNodeImage, NODE_IMAGE } from "./load/node-image.ts";
import { killAll } from "./platform-processes.ts";
import type { StackRow, TaskRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;
let recorder: LifeRecorder;

const COMPOSE = `services:
  db:
    image: ${NODE_IMAGE}
    command: ["/node", "/program/server-program.ts"]
    volumes: ["./program:/program:ro"]
    expose: ["8080"]
    x-berth: { min_healthy: 200ms, drain: 5s }
  web:
    image: ${NODE_IMAGE}
    command: ["/node", "/program/server-program.ts"]
    volumes: ["./program:/program:ro"]
    depends_on: [db]
    deploy: { replicas: 2 }
    x-berth:
      min_healthy: 200ms
      drain: 60s
      routes: [{ host: shop.localhost, port: 8080 }]
  worker:
    image: ${NODE_IMAGE}
    command: ["/node", "-e", "setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))"]
    x-berth: { min_healthy: 200ms, drain: 20s }
`;

before(async () => {
  platform = await TestPlatform.start();
  recorder = new LifeRecorder(platform.cluster);
  makeNodeImage("/var/run/docker.sock");
  const folder = platform.project("shop", { "compose.yaml": COMPOSE, ...programFiles() });
  await platform.must("deploy", "-f", `${folder}/compose.yaml`, "--stack", "shop");
});

after(async () => {
  recorder.stop();
  await platform.uninstall();
});

async function copy(name: string): Promise<TaskRow | undefined> {
  const rows = await platform.json<TaskRow>("ps", "shop");
  return rows.find(({ task }) => `${task.service}-${task.slot}` === name);
}

async function readyCopies(service: string): Promise<number | undefined> {
  const [row] = await platform.json<StackRow>("ps");
  return row?.services.find((each) => each.service === service)?.ready;
}

/** Who answered, of so many requests. */
async function answering(count: number): Promise<ReadonlySet<string>> {
  const answers = await Promise.all(
    Array.from({ length: count }, () => platform.ingress("shop.localhost")),
  );
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200).map(({ status, body }) => [status, body]),
    [],
  );
  return new Set(answers.map(({ body }) => body.trim().split(" ").at(-1) ?? ""));
}

interface HeldRequest {
  /** Sends the rest of the body. */
  readonly finish: () => void;
  /** Size of the answer, which comes over half a second. */
  readonly answered: Promise<number>;
}

/** A request whose body comes only when the test says so. */
function holdRequest(): HeldRequest {
  const options = { host: "127.0.0.1", port: platform.httpPort, method: "POST", agent: false };
  const headers = { host: "shop.localhost", "content-length": "4" };
  const outgoing = request({ ...options, path: "/slow?id=s", headers });
  outgoing.write("bo");
  const answered = new Promise<number>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      let sizeBytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length;
      });
      incoming.on("end", () => resolve(sizeBytes));
      incoming.on("error", reject);
    });
  });
  return { finish: () => outgoing.end("dy"), answered };
}

/** Requests on their way, spread over the copies. */
async function holdRequests(): Promise<readonly HeldRequest[]> {
  const held = Array.from({ length: 6 }, holdRequest);
  // HAProxy has passed them on when it answers later ones.
  await answering(4);
  return held;
}

async function finishAll(held: readonly HeldRequest[]): Promise<void> {
  for (const { finish } of held) finish();
  for (const { answered } of held) assert.ok((await answered) > 40_000, "the whole answer");
}

test("a paused copy gets nothing and runs on, over restarts of everything; then it is back", async () => {
  const before = await copy("web-2");
  await eventually("both answer", async () => (await answering(20)).size === 2);
  await platform.must("pause", "shop/web-2", "--reason", "heap dump");
  await eventually("one copy answers", async () => (await answering(20)).size === 1);
  await killAll(platform.dataDir, "agent", "server", "net", "haproxy");
  await eventually("the platform is back", async () => (await readyCopies("web")) === 1, 60_000);
  await eventually("the route is back", async () => (await answering(20)).size === 1);
  const now = await copy("web-2");
  assert.equal(now?.status?.containerId, before?.status?.containerId, "the same container");
  assert.match(await platform.must("ps", "shop"), /web-2 is out of service by admin: heap dump/);
  assert.match(await platform.must("explain", "shop/web"), /1 of 2 copies ready: web-2 is paused/);
  assert.equal(runningContainers(platform.cluster, "default/main/shop/web").length, 2);
  const { code, stderr } = await platform.berth("pause", "shop/web-1");
  assert.equal(code, 1);
  assert.match(stderr, /web-1 is the only ready copy/);
  await platform.must("resume", "shop/web-2");
  await eventually("both answer again", async () => (await answering(20)).size === 2);
});

test("what nobody can be connected to waits for nothing; what is connected is seen to drain", async () => {
  const begun = performance.now();
  await platform.must("scale", "shop/worker=0");
  await eventually("the worker is gone", async () => (await copy("worker-1")) === undefined);
  assert.ok(performance.now() - begun < 15_000, "far below its drain of 20 s");
  const held = await holdRequests();
  await platform.must("scale", "shop/web=1");
  await eventually("web-2 is said to drain", async () =>
    /web-2 drains: \d+ connections?, at most .* more/.test(await platform.must("ps", "shop")),
  );
  await finishAll(held);
  await platform.must("scale", "shop/web=2");
  await eventually("two copies are ready", async () => (await readyCopies("web")) === 2);
  await eventually(
    "the copy that left has ended",
    async () => runningContainers(platform.cluster, "default/main/shop/web").length === 2,
  );
});

test("the platform stops with its containers in order, answers what it has begun, and begins again", async () => {
  const later = await recorder.mark();
  const held = await holdRequests();
  const stopping = platform.must("platform", "stop", "--drain", "--timeout", "90s");
  await eventually("names and routes are empty", async () => {
    const { status } = await platform.ingress("shop.localhost");
    return status === 503;
  });
  await finishAll(held);
  assert.match(await stopping, /^all containers stopped, then/);
  const deaths = (await later())
    .filter(({ action }) => action === "die")
    .map(({ service }) => service.split("/").at(-1));
  assert.deepEqual(deaths, ["web", "web", "db"], "who needs it goes before it");
  assert.deepEqual(runningContainers(platform.cluster, "default/main/shop/db"), []);
  await platform.startPlatform();
  await eventually("all are ready again", async () => {
    const ready = [await readyCopies("web"), await readyCopies("db")];
    return ready[0] === 2 && ready[1] === 1;
  });
  assert.equal((await copy("db-1"))?.status?.attempt, 2, "another attempt of the same task");
});

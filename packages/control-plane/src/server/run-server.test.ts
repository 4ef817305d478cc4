/** A whole server on a directory of its own: first start, files, restart, lock, loss of the key. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { stackSpec } from "../api/api-fixture.ts";
import { type RunningServer, runServer } from "./run-server.ts";

async function dataDir(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "berth-server-"));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

function start(path: string): Promise<RunningServer> {
  return runServer({
    dataDir: path,
    listen: { host: "127.0.0.1", port: 0 },
    clock: systemClock,
    log: silentLogger,
    nodeName: "node-1",
    version: "0.1.0",
  });
}

async function clientOf(server: RunningServer, path: string, file = "admin.token") {
  const token = (await readFile(join(path, file), "utf8")).trim();
  return new HttpClient({ url: server.url, token });
}

const SHOP = { project: "default", environment: "main", stack: "shop" };

test("the first start makes identity, key and tokens; a restart keeps them and what was accepted", async (context) => {
  const path = await dataDir(context);
  const first = await start(path);
  for (const file of ["admin.token", "agent.token", "secret.key", "state.db"]) {
    assert.equal((await stat(join(path, file))).mode & 0o777, 0o600, file);
  }
  const token = await readFile(join(path, "admin.token"), "utf8");
  assert.match(token, /^bt_[A-Za-z0-9_-]{43}\n$/);
  const client = await clientOf(first, path);
  const secrets = { password: { content: Buffer.from("hunter2-hunter2").toString("base64") } };
  const spec = stackSpec({ secrets });
  const made = await client.call("deployStack", { params: SHOP, body: { spec } });
  client.close();
  await first.stop();
  const database = await readFile(join(path, "state.db"), "latin1");
  const plain = [
    "hunter2-hunter2",
    Buffer.from("hunter2-hunter2").toString("base64"),
    token.trim(),
  ];
  for (const text of plain) assert.ok(!database.includes(text), "the store has a secret in clear");

  const second = await start(path);
  assert.equal(second.clusterId, first.clusterId);
  assert.equal(await readFile(join(path, "admin.token"), "utf8"), token);
  const again = await clientOf(second, path);
  const params = { ...SHOP, deployment: made.id };
  assert.equal((await again.call("getDeployment", { params })).id, made.id);
  const { items } = await again.call("listAudit", { params: {} });
  assert.deepEqual(
    items.map(({ actor, action, status }) => ({ actor, action, status })),
    [{ actor: "admin", action: "deployStack", status: 200 }],
  );
  again.close();
  await second.stop();
});

test("a token file that was taken away is made anew, and the old token is worth nothing", async (context) => {
  const path = await dataDir(context);
  const first = await start(path);
  const token = (await readFile(join(path, "admin.token"), "utf8")).trim();
  await first.stop();
  await rm(join(path, "admin.token"));
  const second = await start(path);
  const stale = new HttpClient({ url: second.url, token });
  await assert.rejects(
    stale.call("version", { params: {} }),
    (error) => error instanceof ProtocolError && error.code === "unauthenticated",
  );
  const fresh = await clientOf(second, path);
  assert.equal((await fresh.call("version", { params: {} })).cluster, second.clusterId);
  for (const client of [stale, fresh]) client.close();
  await second.stop();
});

test("a second server on the same directory is refused and harms nothing", async (context) => {
  const path = await dataDir(context);
  const first = await start(path);
  await assert.rejects(
    start(path),
    (error) => error instanceof ProtocolError && error.code === "unavailable",
  );
  const client = await clientOf(first, path);
  assert.match(await client.call("readiness", { params: {} }), /^ok/);
  client.close();
  await first.stop();
});

test("a store without its key is not opened with a new one", async (context) => {
  const path = await dataDir(context);
  await (await start(path)).stop();
  await rm(join(path, "secret.key"));
  await assert.rejects(start(path), /secret.key is missing: restore it/);
  await writeFile(join(path, "secret.key"), "short");
  await assert.rejects(start(path), /has 5 bytes/);
});

test("a taken port is said, and the store is closed again", async (context) => {
  const path = await dataDir(context);
  const first = await start(await dataDir(context));
  const port = Number(new URL(first.url).port);
  const listen = { host: "127.0.0.1", port };
  const options = { clock: systemClock, log: silentLogger, nodeName: "n", version: "0" };
  await assert.rejects(
    runServer({ dataDir: path, listen, ...options }),
    (error) =>
      error instanceof ProtocolError &&
      error.code === "unavailable" &&
      error.message === `cannot listen on 127.0.0.1:${port}: address already in use`,
  );
  await first.stop();
  await (await start(path)).stop();
});

test("figures of requests, store, tasks and loops are there for Prometheus", async (context) => {
  const path = await dataDir(context);
  const server = await start(path);
  const client = await clientOf(server, path);
  await client.call("version", { params: {} });
  const text = await client.call("metrics", { params: {} });
  for (const line of [
    'berth_requests_total{route="version",status="200"} 1',
    'berth_request_duration_seconds_bucket{route="version",le="+Inf"} 1',
    "berth_watchers 0",
    'berth_nodes{contact="up"} 0',
    'berth_info{version="0.1.0"} 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
  assert.match(text, /berth_store_write_duration_seconds_count [1-9]/);
  assert.match(text, /berth_loop_runs_total\{loop="cluster-state"\}/);
  assert.match(text, /process_resident_memory_bytes \d{7,}/);
  client.close();
  await server.stop();
});

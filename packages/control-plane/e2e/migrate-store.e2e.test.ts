/** A cluster moves from its file to etcd and back, with a real server before, between and after. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { HttpClient } from "@berth/protocol/client/http-client";
import { nodeStatusRow } from "../src/api/api-fixture.ts";
import { migrateStore, setEmbeddedAside } from "../src/server/migrate-store.ts";
import type { StoreChoice } from "../src/server/open-store.ts";
import { startEtcd } from "./etcd-lab.ts";
import { startServerProcess } from "./server-process.ts";

const NODE = "host-1";

/** A server on `store`, for as long as `work` takes. */
async function serving<T>(
  context: TestContext,
  dataDir: string,
  store: StoreChoice,
  work: (clients: { readonly admin: HttpClient; readonly agent: HttpClient }) => Promise<T>,
): Promise<T> {
  const server = await startServerProcess({ dataDir, nodeName: NODE, store });
  context.after(() => server.kill());
  const client = async (file: string) => {
    const token = (await readFile(join(dataDir, file), "utf8")).trim();
    return new HttpClient({ url: server.url, token });
  };
  try {
    return await work({ admin: await client("admin.token"), agent: await client("agent.token") });
  } finally {
    await server.stop();
  }
}

test("a cluster's state goes to etcd and back, with its tokens and objects", async (context) => {
  const etcd = await startEtcd();
  context.after(() => etcd.stop());
  const dataDir = join(etcd.folder, "server");
  const file = { url: "embedded" };
  const shared = { url: `etcd://${etcd.endpoints[0]?.slice(7)}` };
  const params = { node: NODE };
  const world = { dataDir, clock: systemClock, log: silentLogger };
  await serving(context, dataDir, file, async ({ admin, agent }) => {
    await agent.call("reportNode", { params, body: { status: nodeStatusRow({ name: NODE }) } });
    await admin.call("changeNode", { params, body: { labels: { disk: "fast" } } });
    // Its file has one owner.
    await assert.rejects(migrateStore({ ...world, from: file, to: shared }), {
      code: "unavailable",
    });
  });

  const there = await migrateStore({ ...world, from: file, to: shared });
  const aside = await setEmbeddedAside(dataDir, systemClock.now());
  assert(there.entries > 5 && existsSync(aside));
  await assert.rejects(migrateStore({ ...world, from: shared, to: shared }), { code: "conflict" });
  await serving(context, dataDir, shared, async ({ admin }) => {
    const { node } = await admin.call("getNode", { params });
    assert.deepEqual(node.labels, { disk: "fast" });
    await admin.call("changeNode", { params, body: { labels: { disk: "faster" } } });
    await assert.rejects(migrateStore({ ...world, from: shared, to: file }), { code: "conflict" });
  });

  await migrateStore({ ...world, from: shared, to: file });
  // A second move into the same etcd finds it in use.
  await assert.rejects(migrateStore({ ...world, from: file, to: shared }), {
    storeCode: "invalid",
  });
  await serving(context, dataDir, file, async ({ admin }) => {
    const { node } = await admin.call("getNode", { params });
    assert.deepEqual(node.labels, { disk: "faster" });
  });
});

/**
 * The cluster's backup by the command line, of real servers: made while one runs, restored onto a fresh folder, from
 * the embedded store into etcd and back; secrets open, tokens are good, a wrong key changes nothing.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HttpClient } from "@berth/protocol/client/http-client";
import { startEtcd } from "../packages/control-plane/e2e/etcd-lab.ts";
import { startServerProcess } from "../packages/control-plane/e2e/server-process.ts";
import { nodeStatusRow } from "../packages/control-plane/src/api/api-fixture.ts";
import type { StoreChoice } from "../packages/control-plane/src/server/open-store.ts";
import { ROOT } from "./test-platform.ts";

const NODE = "host-1";

interface Said {
  readonly code: number;
  readonly text: string;
}

function berth(dataDir: string, ...words: string[]): Promise<Said> {
  const env = { ...process.env, BERTH_DATA: dataDir, BERTH_TOKEN: undefined };
  const argv = ["--disable-warning=ExperimentalWarning", join(ROOT, "packages/cli/src/main.ts")];
  return new Promise((resolve) => {
    execFile(process.execPath, [...argv, ...words], { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
      resolve({ code, text: stdout + stderr });
    });
  });
}

async function serving(
  context: TestContext,
  dataDir: string,
  store: StoreChoice,
  work: (clients: { readonly admin: HttpClient; readonly agent: HttpClient }) => Promise<void>,
): Promise<void> {
  const server = await startServerProcess({ dataDir, nodeName: NODE, store });
  context.after(() => server.kill());
  // As `platform start` would have written it.
  const settings = { port: Number(new URL(server.url).port), node: NODE, store };
  writeFileSync(join(dataDir, "platform.json"), JSON.stringify(settings), { mode: 0o600 });
  const client = (file: string) => {
    const token = readFileSync(join(dataDir, file), "utf8").trim();
    return new HttpClient({ url: server.url, token });
  };
  try {
    await work({ admin: client("admin.token"), agent: client("agent.token") });
  } finally {
    await server.stop();
  }
}

const params = { node: NODE };
const STACK = { project: "default", environment: "main", stack: "shop" };
const PASSWORD = "hidden in the store";

test("a cluster is restored from its backup with its keys, from each store into each", async (context) => {
  const etcd = await startEtcd();
  context.after(() => etcd.stop());
  const place = (name: string) => join(etcd.folder, name);
  const keyFile = place("backup.key");
  writeFileSync(keyFile, randomBytes(32));
  const shared = { url: `etcd://${etcd.endpoints[0]?.slice(7)}` };
  const key = ["--key-file", keyFile];
  const [first, second, third] = [place("first"), place("second"), place("third")];
  const file = place("cluster.backup");
  const content = Buffer.from("a file of a stack");
  let digest = "";
  let token = "";

  await serving(context, first, { url: "embedded" }, async ({ admin, agent }) => {
    await agent.call("reportNode", { params, body: { status: nodeStatusRow({ name: NODE }) } });
    await admin.call("changeNode", { params, body: { labels: { disk: "fast" } } });
    const wishes = { PASSWORD: { given: PASSWORD, secret: true } };
    await admin.call("resolveParameters", { params: STACK, body: { wishes } });
    digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    await admin.call("putBlob", { params: { digest }, bytes: content });
    token = readFileSync(join(first, "admin.token"), "utf8");
    const none = await berth(first, "platform", "backup", file);
    assert.match(none.text, /a backup needs a key/);
    const made = await berth(first, "platform", "backup", file, ...key);
    assert.equal(made.code, 0, made.text);
    assert.match(made.text, /is whole: \d+ entries, 1 files of stacks/);
    assert.match((await berth(first, "platform", "backup", file, ...key)).text, /exists already/);
  });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const bytes = readFileSync(file);
  for (const secret of [token.trim(), PASSWORD, "host-1"]) {
    assert.ok(!bytes.includes(secret), `${secret} is not in the file`);
  }
  rmSync(first, { recursive: true });

  writeFileSync(place("wrong.key"), randomBytes(32));
  const wrong = await berth(
    ...([second, "platform", "restore", file, "--key-file", place("wrong.key"), "--yes"] as const),
  );
  assert.match(wrong.text, /the key is another one/);
  assert.ok(!existsSync(second), "a wrong key changes nothing");
  const dry = await berth(second, "platform", "restore", file, ...key, "--dry-run");
  assert.equal(dry.code, 0, dry.text);
  assert.ok(!existsSync(second));

  const words = ["--yes", "--store", shared.url];
  const restored = await berth(second, "platform", "restore", file, ...key, ...words);
  assert.equal(restored.code, 0, restored.text);
  const again = await berth(second, "platform", "restore", file, ...key, "--yes");
  assert.match(again.text, /a restore goes into an empty folder/);
  const back = place("second.backup");
  await serving(context, second, shared, async ({ admin, agent }) => {
    assert.equal(readFileSync(join(second, "admin.token"), "utf8"), token);
    const { node } = await admin.call("getNode", { params });
    assert.deepEqual(node.labels, { disk: "fast" });
    await agent.call("reportNode", { params, body: { status: nodeStatusRow({ name: NODE }) } });
    const { items } = await admin.call("showParameters", { params: STACK });
    assert.deepEqual(
      items.map(({ name, value }) => [name, value]),
      [["PASSWORD", PASSWORD]],
      "what was sealed opens",
    );
    const blob = await admin.download("getBlob", { params: { digest } });
    assert.ok(Buffer.concat(await Array.fromAsync(blob)).equals(content));
    const made = await berth(second, "platform", "backup", back, ...key);
    assert.equal(made.code, 0, made.text);
  });

  // Also without a server, by the store itself.
  const offline = await berth(second, "platform", "backup", place("offline.backup"), ...key);
  assert.equal(offline.code, 0, offline.text);
  assert.match(offline.text, /no server answers/);
  mkdirSync(third);
  const embedded = await berth(third, "platform", "restore", back, ...key, "--yes");
  assert.equal(embedded.code, 0, embedded.text);
  await serving(context, third, { url: "embedded" }, async ({ admin }) => {
    const { node } = await admin.call("getNode", { params });
    assert.deepEqual(node.labels, { disk: "fast" });
  });
});

/**
 * Servers over one etcd that serve each other: everybody learns where they are, a blob that was taken lies on each, and
 * a stream reaches a node whichever server its agent is connected to.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { HOUR_MS, silentLogger, sleep, systemClock } from "@berth/base";
import { type DialRequest, PROTOCOL_VERSION, type WatchEvent } from "@berth/protocol";
import { FailoverClient } from "@berth/protocol/client/failover-client";
import { HttpClient } from "@berth/protocol/client/http-client";
import { nodeStatusRow } from "../src/api/api-fixture.ts";
import { CLOSED_ENTRANCE } from "../src/joining/entrance.ts";
import { type RunningServer, runServer } from "../src/server/run-server.ts";
import { type EtcdLab, startEtcd } from "./etcd-lab.ts";

interface Member {
  readonly name: string;
  readonly dataDir: string;
  readonly server: RunningServer;
  readonly admin: HttpClient;
}

let etcd: EtcdLab;
const members: Member[] = [];

before(async () => {
  etcd = await startEtcd();
  for (const name of ["a", "b", "c"]) members.push(await start(name));
  await until("all know all", async () => {
    const lists = await Promise.all(members.map(({ admin }) => serversOf(admin)));
    return lists.every((list) => list.filter(({ isPresent }) => isPresent).length === 3);
  });
});
after(async () => {
  for (const { admin } of members) admin.close();
  await Promise.all(members.map(({ server }) => server.stop()));
  await etcd.stop();
});

async function start(name: string): Promise<Member> {
  const dataDir = join(etcd.folder, `server-${name}`);
  const [first] = members;
  if (first !== undefined) {
    await mkdir(dataDir, { recursive: true });
    await copyFile(join(first.dataDir, "secret.key"), join(dataDir, "secret.key"));
  }
  const server = await runServer({
    dataDir,
    listen: { host: "127.0.0.1", port: 0 },
    clusterPort: {
      ...{ host: "127.0.0.1", port: 0, addresses: () => ["127.0.0.1"] },
      software: CLOSED_ENTRANCE.software,
    },
    ...{ clock: systemClock, log: silentLogger, nodeName: name, version: "0.1.0" },
    store: { url: `etcd://${etcd.endpoints.map((url) => url.slice(7)).join(",")}` },
    // The node here reports once and renews nothing.
    settings: { leaseMs: HOUR_MS },
  });
  const token = (await readFile(join(dataDir, "admin.token"), "utf8")).trim();
  return { name, dataDir, server, admin: new HttpClient({ url: server.url, token }) };
}

async function serversOf(admin: HttpClient) {
  return (await admin.call("listServers", { params: {} })).servers;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await sleep(systemClock, 50);
  }
}

function memberAt(index: number): Member {
  const member = members[index];
  assert.ok(member !== undefined);
  return member;
}

test("each server tells where it is, one of them leads, and its certificate opens the others", async () => {
  const list = await serversOf(memberAt(1).admin);
  assert.deepEqual(list.map(({ server }) => server.node).sort(), ["a", "b", "c"]);
  assert.equal(list.filter(({ leads }) => leads).length, 1);
  for (const { server } of list) {
    const [url = ""] = server.urls;
    const secure = () => ({ authority: server.authority });
    const client = new HttpClient({ url, secure });
    assert.equal(await client.call("health", { params: {} }), "ok\n");
    client.close();
  }
});

test("routes between servers are closed to administrators", async () => {
  const blobs = memberAt(0).admin.call("listServerBlobs", { params: {} });
  await assert.rejects(blobs, { code: "forbidden" });
});

test("a blob that was taken lies on every server, and a server that lost its copy takes it again", async () => {
  const bytes = Buffer.from("what a stack needs");
  const hex = createHash("sha256").update(bytes).digest("hex");
  const digest = `sha256:${hex}`;
  const [a, b, c] = [memberAt(0), memberAt(1), memberAt(2)];
  await a.admin.call("putBlob", { params: { digest }, bytes });
  const paths = [a, b, c].map(({ dataDir }) =>
    join(dataDir, "blobs", "sha256", hex.slice(0, 2), hex),
  );
  for (const path of paths) assert.deepEqual(await readFile(path), bytes);
  await unlink(paths[2] ?? "");
  const read = await Array.fromAsync(await c.admin.download("getBlob", { params: { digest } }));
  assert.deepEqual(Buffer.concat(read), bytes);
  assert.deepEqual(await readFile(paths[2] ?? ""), bytes);
});

test("a stream reaches a node by way of the server that its agent is connected to", async () => {
  const [asked, connected] = [memberAt(0), memberAt(1)];
  const token = (await readFile(join(connected.dataDir, "agent.token"), "utf8")).trim();
  const agent = new HttpClient({ url: connected.server.url, token });
  const ended = new AbortController();
  const { signal } = ended;
  try {
    const status = nodeStatusRow({ name: "b", reportedAt: Date.now() });
    const told = await agent.call("reportNode", { params: { node: "b" }, body: { status } });
    assert.equal(told.protocol, PROTOCOL_VERSION);
    const selectors = [{ kind: "server-address" as const }];
    const events = await agent.call("watch", { params: {}, body: { selectors }, signal });
    const serving = serveOne(agent, events as AsyncIterable<WatchEvent>);
    await until("the node is known", async () => {
      return (await asked.admin.call("listNodes", { params: {} })).items.length === 1;
    });
    const scope = { project: "default", environment: "main" };
    const routes = await asked.admin.call("listRoutes", { params: scope, query: {} });
    assert.deepEqual(routes.missing, []);
    const { request, addresses } = await serving;
    assert.equal(request.kind, "routes");
    assert.equal(addresses, 3);
  } finally {
    ended.abort();
    agent.close();
  }
});

/** Answers one dialled request with an empty list; counts the servers that the stream told of. */
async function serveOne(agent: HttpClient, events: AsyncIterable<WatchEvent>) {
  let addresses = 0;
  for await (const event of events) {
    if (event.type === "put" && event.kind === "server-address") addresses++;
    if (event.type !== "dial") continue;
    const { session, request }: DialRequest = event.dial;
    const stream = await agent.upgrade("openSession", { params: { node: "b", session } });
    await stream.send("data", Buffer.from("[]"));
    await stream.send("end", new Uint8Array());
    return { request, addresses };
  }
  throw new Error("the stream ended");
}

test("a client that knows all servers is served when one of them stops", async () => {
  const c = memberAt(2);
  const token = (await readFile(join(memberAt(0).dataDir, "admin.token"), "utf8")).trim();
  const endpoints = [
    { url: c.server.url, token },
    ...(await serversOf(c.admin)).map(({ server }) => {
      return { url: server.urls[0] ?? "", token, secure: () => ({ authority: server.authority }) };
    }),
  ];
  const client = new FailoverClient({ endpoints: () => endpoints });
  await client.call("listNodes", { params: {} });
  await c.server.stop();
  for (let index = 0; index < 20; index++) {
    const idempotencyKey = `label-${index}`;
    const body = { labels: { step: String(index) } };
    await client.call("changeNode", { params: { node: "b" }, body, idempotencyKey });
  }
  assert.notEqual(client.url, c.server.url);
  const { node } = await client.call("getNode", { params: { node: "b" } });
  assert.equal(node.labels["step"], "19");
  client.close();
});

/** Three servers over three members of etcd: all serve, one leads, and a leader that is killed is replaced. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sleep, systemClock } from "@berth/base";
import { HttpClient } from "@berth/protocol/client/http-client";
import { nodeStatusRow } from "../src/api/api-fixture.ts";
import { startEtcd } from "./etcd-lab.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

async function startServers(context: TestContext): Promise<ServerProcess[]> {
  const etcd = await startEtcd({ members: 3 });
  context.after(() => etcd.stop());
  const store = { url: `etcd://${etcd.endpoints.map((url) => url.slice(7)).join(",")}` };
  const servers: ServerProcess[] = [];
  for (const name of ["a", "b", "c"]) {
    const [first] = servers;
    const dataDir = join(etcd.folder, `server-${name}`);
    const sibling = first === undefined ? {} : { sibling: first.dataDir };
    const server = await startServerProcess({ dataDir, nodeName: name, store, ...sibling });
    context.after(() => server.kill());
    servers.push(server);
  }
  return servers;
}

async function clientOf(server: ServerProcess, file = "admin.token"): Promise<HttpClient> {
  const token = (await readFile(join(server.dataDir, file), "utf8")).trim();
  return new HttpClient({ url: server.url, token });
}

async function leaderOf(servers: readonly ServerProcess[]): Promise<ServerProcess | undefined> {
  for (const server of servers) if ((await server.figures()).leads) return server;
  return undefined;
}

/** Looks until `look` finds something. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(systemClock, 50);
  }
}

test("all servers serve, one leads, and the loss of the leader costs no write", async (context) => {
  const servers = await startServers(context);
  const leader = await until(() => leaderOf(servers));
  const others = servers.filter((server) => server !== leader);
  const figures = await Promise.all(others.map((server) => server.figures()));
  assert.deepEqual(
    figures.map(({ leads }) => leads),
    [false, false],
  );

  // A node joins at one server and is seen at each, as soon as it is asked for.
  const [other] = others;
  assert(other !== undefined);
  const name = ["a", "b", "c"][servers.indexOf(other)] ?? "";
  const agent = await clientOf(other, "agent.token");
  const report = () => {
    const status = nodeStatusRow({ name, reportedAt: Date.now() });
    return agent.call("reportNode", { params: { node: name }, body: { status } });
  };
  await report();
  const clients = await Promise.all(servers.map((server) => clientOf(server)));
  for (const client of clients) {
    await until(async () => {
      const { items } = await client.call("listNodes", { params: {} });
      return items.length === 1 ? items : undefined;
    });
  }

  // The leader dies while labels are written at the others, each with its idempotency key.
  const killed = leader.kill();
  const writers = await Promise.all(others.map((server) => clientOf(server)));
  for (let index = 0; index < 40; index++) {
    const writer = writers[index % 2];
    assert(writer !== undefined);
    await writer.call("changeNode", {
      params: { node: name },
      body: { labels: { [`label-${index}`]: String(index) } },
      idempotencyKey: `label-${index}-of-this-test`,
    });
    await report();
    await sleep(systemClock, 50);
  }
  await killed;
  const next = await until(() => leaderOf(others));
  assert.notEqual(next, leader);
  const { node } = await (await clientOf(next)).call("getNode", { params: { node: name } });
  assert.equal(Object.keys(node.labels).length, 40);

  // The new leader judges nodes: one that falls silent is down, whichever server it talked to.
  await until(async () => {
    const read = await (await clientOf(next)).call("getNode", { params: { node: name } });
    return read.node.contact === "down" ? true : undefined;
  });
});

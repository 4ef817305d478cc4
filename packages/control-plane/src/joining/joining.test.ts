/**
 * Joining over real TLS: a server with its port, hosts with keys of their own. Who is let in, by what, what a
 * member may call, and what is said to everybody else.
 */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DAY_MS, HOUR_MS, MINUTE_MS, silentLogger, systemClock } from "@berth/base";
import { type MemberCertificate, ProtocolError, type RouteId, routes } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { nodeStatusRow } from "../api/api-fixture.ts";
import { memberRequest, newPrivateKey } from "../certificates/x509.ts";
import { type RunningServer, runServer } from "../server/run-server.ts";
import { CLOSED_ENTRANCE } from "./entrance.ts";

interface Cluster {
  readonly server: RunningServer;
  readonly admin: HttpClient;
}

let folder: string;
let ours: Cluster;
let theirs: Cluster;
let skewMs = 0;
const opened: HttpClient[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-join-"));
  ours = await start("ours");
  theirs = await start("theirs");
});
after(async () => {
  for (const client of opened) client.close();
  await Promise.all([ours.server.stop(), theirs.server.stop()]);
  await rm(folder, { recursive: true });
});

async function start(name: string): Promise<Cluster> {
  const dataDir = join(folder, name);
  const server = await runServer({
    dataDir,
    listen: { host: "127.0.0.1", port: 0 },
    clusterPort: {
      host: "127.0.0.1",
      port: 0,
      addresses: () => ["127.0.0.1"],
      software: CLOSED_ENTRANCE.software,
    },
    // Time goes on as it does; a test may look at the cluster later than it is.
    clock: { ...systemClock, now: () => systemClock.now() + skewMs },
    log: silentLogger,
    nodeName: "node-1",
    version: "0.1.0",
    // The hosts here report once and renew nothing.
    settings: { leaseMs: HOUR_MS },
  });
  const token = (await readFile(join(dataDir, "admin.token"), "utf8")).trim();
  return { server, admin: open(new HttpClient({ url: server.url, token })) };
}

function open(client: HttpClient): HttpClient {
  opened.push(client);
  return client;
}

const now = () => systemClock.now() + skewMs;

async function invite({ admin }: Cluster, node?: string) {
  const body = { ttlMs: MINUTE_MS, ...(node === undefined ? {} : { node }) };
  const invitation = await admin.call("createJoinToken", { params: {}, body });
  const { certificate: authority } = await admin.call("getAuthority", { params: {} });
  const [url = ""] = invitation.urls;
  const secure = () => ({ authority });
  const client = open(new HttpClient({ url, token: invitation.token, secure }));
  return { ...invitation, url, authority, client };
}

/** A host that joined, with a client that shows its certificate. */
async function joined(cluster: Cluster, node: string) {
  const { client, url } = await invite(cluster);
  const key = newPrivateKey();
  const body = { node, now: now(), signingRequest: await memberRequest(key) };
  const member = await client.call("joinNode", { params: {}, body });
  return { member, key, url, client: clientOf(url, member, key) };
}

function clientOf(url: string, { certificate, authority }: MemberCertificate, key: string) {
  return open(new HttpClient({ url, secure: () => ({ authority, own: { certificate, key } }) }));
}

function report(client: HttpClient, node: string) {
  const body = { status: nodeStatusRow({ name: node }) };
  return client.call("reportNode", { params: { node }, body });
}

function refused(code: string, words?: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.equal(error.code, code, error.message);
    if (words !== undefined) assert.match(error.message, words);
    return true;
  };
}

test("a host joins by a token, and its certificate is what it is known by", async () => {
  const { client, member } = await joined(ours, "node-2");
  assert.equal(member.cluster, ours.server.clusterId);
  const days = (member.notAfter - now()) / DAY_MS;
  assert.ok(days > 29.9 && days <= 30, `${days} days`);
  const { cluster } = await report(client, "node-2");
  assert.equal(cluster, ours.server.clusterId);
  const { items } = await ours.admin.call("listNodes", { params: {} });
  assert.ok(items.some(({ node }) => node.name === "node-2" && node.contact === "up"));
  const own = await client.call("getNode", { params: { node: "node-2" } });
  assert.equal(own.node.name, "node-2");
});

test("a member may call for its own node only, and nothing that is for users", async () => {
  const { client } = await joined(ours, "liar");
  await report(client, "liar");
  const known: Readonly<Record<string, string>> = {
    node: "node-2",
    digest: `sha256:${"0".repeat(64)}`,
    release: "1",
  };
  // What a route is about exists nowhere: the right is looked at before.
  const paramsOf = (path: string) =>
    Object.fromEntries(
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, known[name] ?? "other0000"]),
    );
  const allowed = new Set<RouteId>(["watch", "version", "readiness", "listServers"]);
  for (const [name, route] of Object.entries(routes)) {
    const id = name as RouteId;
    if (route.access === "public" || allowed.has(id)) continue;
    // The shape of the rest does not matter: it is not looked at before the right is.
    const params = paramsOf(route.path);
    await assert.rejects(client.call(id, { params } as never), refused("forbidden"), id);
  }
  const body = { selectors: [{ kind: "assignment" as const, node: "node-2" }] };
  await assert.rejects(client.call("watch", { params: {}, body }), refused("forbidden"));
});

test("a token is for one host; the same host may repeat itself", async () => {
  const { client } = await invite(ours);
  const signingRequest = await memberRequest(newPrivateKey());
  const body = { node: "node-3", now: now(), signingRequest };
  await client.call("joinNode", { params: {}, body });
  await client.call("joinNode", { params: {}, body });
  const other = { ...body, signingRequest: await memberRequest(newPrivateKey()) };
  const words = /the token was used by node-3: each is for one host/;
  await assert.rejects(
    client.call("joinNode", { params: {}, body: other }),
    refused("join_refused", words),
  );
  const check = { node: "node-4", now: now(), architecture: "x64" };
  await assert.rejects(
    client.call("checkJoin", { params: {}, body: check }),
    refused("join_refused", words),
  );
});

test("a wrong, an expired and a foreign token are told apart from each other", async () => {
  const { client, url, authority } = await invite(ours);
  const body = { node: "node-5", now: now(), architecture: "x64" };
  const answer = await client.call("checkJoin", { params: {}, body });
  assert.deepEqual([answer.cluster, answer.address], [ours.server.clusterId, "127.0.0.1"]);
  const secure = () => ({ authority });
  const wrong = open(new HttpClient({ url, token: `bj_${"x".repeat(43)}`, secure }));
  await assert.rejects(
    wrong.call("checkJoin", { params: {}, body }),
    refused("unauthenticated", /not known here/),
  );
  const foreign = await invite(theirs);
  const elsewhere = open(new HttpClient({ url, token: foreign.token, secure }));
  await assert.rejects(
    elsewhere.call("checkJoin", { params: {}, body }),
    refused("unauthenticated", /not known here/),
  );
  skewMs = 2 * MINUTE_MS;
  try {
    await assert.rejects(
      client.call("checkJoin", { params: {}, body: { ...body, now: now() } }),
      refused("join_refused", /expired 1 min\b.* ago/),
    );
  } finally {
    skewMs = 0;
  }
});

test("a clock ten minutes off, a name that is taken and a name that is not meant are refused", async () => {
  const { client } = await invite(ours);
  const signingRequest = await memberRequest(newPrivateKey());
  const late = { node: "node-6", now: now() - 10 * MINUTE_MS, signingRequest };
  await assert.rejects(
    client.call("joinNode", { params: {}, body: late }),
    refused("clock_skew", /10 min\b.* behind the server's/),
  );
  const taken = { node: "node-2", now: now(), signingRequest };
  await assert.rejects(
    client.call("joinNode", { params: {}, body: taken }),
    refused("already_exists", /there is a node node-2 already \(up\)/),
  );
  const { client: bound } = await invite(ours, "node-7");
  await assert.rejects(
    bound.call("joinNode", { params: {}, body: { ...taken, node: "node-8" } }),
    refused("join_refused", /is for a host with the name node-7, not node-8/),
  );
  const odd = { ...taken, node: "node-6", signingRequest: "hello" };
  await assert.rejects(
    client.call("joinNode", { params: {}, body: odd }),
    refused("invalid_certificate"),
  );
  // Nothing of all that used the token up.
  await client.call("joinNode", { params: {}, body: { ...taken, node: "node-6" } });
});

test("the same call with an idempotency key gets the same token, another one none", async () => {
  const body = { ttlMs: MINUTE_MS };
  const ask = (idempotencyKey: string, wish: object = body) =>
    ours.admin.call("createJoinToken", { params: {}, body: wish, idempotencyKey });
  const first = await ask("rack-1");
  assert.deepEqual(await ask("rack-1"), first);
  assert.notEqual((await ask("rack-2")).token, first.token);
  await assert.rejects(ask("rack-1", { node: "node-12" }), refused("idempotency_mismatch"));
  // Nobody finds the token who knows the key alone: it is the cluster's.
  const elsewhere = { params: {}, body, idempotencyKey: "rack-1" };
  assert.notEqual((await theirs.admin.call("createJoinToken", elsewhere)).token, first.token);
});

test("no server joins a cluster whose state is in one server's file, nor by a node's token", async () => {
  const wish = { params: {}, body: { server: true } };
  const words = /lies in a file of this server/;
  await assert.rejects(ours.admin.call("createJoinToken", wish), refused("conflict", words));
  const { client } = await invite(ours);
  const body = { node: "node-13", now: now(), proof: "0".repeat(64) };
  await assert.rejects(client.call("joinServer", { params: {}, body }), refused("conflict", words));
});

test("a token for joining opens nothing else", async () => {
  const { client } = await invite(ours);
  await assert.rejects(client.call("listNodes", { params: {} }), refused("forbidden"));
  const params = { node: "node-2" };
  await assert.rejects(client.call("renewLease", { params }), refused("forbidden"));
});

test("a certificate of another cluster is answered with that word", async () => {
  const { member, key } = await joined(theirs, "node-2");
  const { url, authority } = await invite(ours);
  const client = clientOf(url, { ...member, authority }, key);
  await assert.rejects(report(client, "node-2"), refused("foreign_cluster", /another authority/));
  const deceived = clientOf(url, member, key);
  await assert.rejects(report(deceived, "node-2"), refused("unavailable"));
});

test("an expired certificate renews itself and does nothing else", async () => {
  const { client, url, key } = await joined(ours, "node-9");
  await report(client, "node-9");
  skewMs = 31 * DAY_MS;
  try {
    await assert.rejects(report(client, "node-9"), refused("certificate_expired"));
    const params = { node: "node-9" };
    const next = newPrivateKey();
    const body = { signingRequest: await memberRequest(next) };
    const renewed = await client.call("renewNodeCertificate", { params, body });
    assert.ok(renewed.notAfter > now());
    await assert.rejects(
      client.call("renewNodeCertificate", { params: { node: "node-2" }, body }),
      refused("forbidden"),
    );
    const fresh = clientOf(url, renewed, next);
    await report(fresh, "node-9");
    assert.notEqual(key, next);
  } finally {
    skewMs = 0;
  }
});

test("a removed node is told so, also after another joined under its name", async () => {
  const { client } = await joined(ours, "node-10");
  await report(client, "node-10");
  const params = { node: "node-10" };
  const body10 = { selectors: [{ kind: "assignment" as const, node: "node-10" }] };
  const stream = await client.call("watch", { params: {}, body: body10 });
  const ended = assert.rejects(async () => {
    for await (const event of stream) {
      if (event.type === "synced") await ours.admin.call("removeNode", { params });
    }
  }, refused("unavailable"));
  await ended;
  const words = /node node-10 was removed: its certificate is worth nothing/;
  await assert.rejects(report(client, "node-10"), (error) => {
    assert.equal(Object(error).details.removed, true);
    return refused("node_removed", words)(error);
  });
  const body = { signingRequest: await memberRequest(newPrivateKey()) };
  const renewal = client.call("renewNodeCertificate", { params, body });
  await assert.rejects(renewal, refused("node_removed", words));
  const again = await joined(ours, "node-10");
  await report(again.client, "node-10");
  await assert.rejects(report(client, "node-10"), refused("node_removed", /another host/));
  // Unknown to a store, as to one that was restored, is not removed: nothing may end because of it.
  const stray = await joined(ours, "node-11");
  const again11 = await joined(ours, "node-11");
  await report(again11.client, "node-11");
  await assert.rejects(report(stray.client, "node-11"), (error) => {
    assert.equal(Object(error).details.removed, false);
    return refused("node_removed", /is not known here/)(error);
  });
});

/** The API on a real port: tokens on every route, broken requests, limits, streams, upgrades. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import {
  BODY_BYTES_MAX,
  keys,
  PROBLEM_MEDIA_TYPE,
  PROTOCOL_VERSION,
  ProtocolError,
  type RouteDescription,
  routes,
} from "@berth/protocol";
import {
  ADMIN_TOKEN,
  AGENT_TOKEN,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  stackRow,
  statusRow,
  taskRow,
} from "../api/api-fixture.ts";
import { type HttpFixture, rawExchange, rawRequest, startHttpFixture } from "./http-fixture.ts";

let fixture: HttpFixture;
before(async () => {
  fixture = await startHttpFixture();
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001"));
  await fixture.put(keys.status(SCOPE, "task0001"), statusRow("task0001"));
});
after(() => fixture.stop());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const json = { "content-type": "application/json" };

function request(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${fixture.url}${path}`, { headers: admin, ...init });
}

async function codeOf(answer: Response): Promise<string> {
  assert.equal(answer.headers.get("content-type"), PROBLEM_MEDIA_TYPE);
  const problem = (await answer.json()) as { code: string; status: number; instance: string };
  assert.equal(problem.status, answer.status);
  assert.match(problem.instance, /^id/);
  return problem.code;
}

/** A path of a route with well-formed parameters. */
function pathOf(route: RouteDescription): string {
  return route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === "digest") return `sha256:${"0".repeat(64)}`;
    if (name === "release") return "1";
    return name === "node" ? "node-2" : "something";
  });
}

test("every route but the public ones refuses a missing, a forged and a foreign token", async () => {
  for (const [id, route] of Object.entries<RouteDescription>(routes)) {
    const path = pathOf(route);
    const method = route.method;
    const none = await request(path, { method, headers: {} });
    if (route.access === "public") {
      // Nobody is refused; but without a bundle there is nothing that a joining host could fetch.
      assert.equal(none.status, id === "joinScript" ? 503 : 200, id);
      continue;
    }
    assert.equal(none.status, 401, id);
    assert.match(none.headers.get("www-authenticate") ?? "", /^Bearer/, id);
    assert.equal(await codeOf(none), "unauthenticated", id);
    for (const authorization of ["Bearer bt_forged", "Basic YWRtaW46YWRtaW4=", "Bearer "]) {
      const forged = await request(path, { method, headers: { authorization } });
      assert.ok(forged.status === 401 || forged.status === 429, `${id} with ${authorization}`);
    }
    // The agent of node-1, at routes of users and of node-2.
    const agent = { authorization: `Bearer ${AGENT_TOKEN}` };
    const foreign = await request(path, { method, headers: agent });
    const open = ["watch", "version", "readiness", "listServers"].includes(id);
    assert.equal(foreign.status === 403, !open, `${id} for an agent: ${foreign.status}`);
  }
});

test("wrong tokens are limited by address, right ones are not", async () => {
  let limited: Response | undefined;
  for (let attempt = 0; attempt < 40 && limited === undefined; attempt++) {
    const answer = await request("/v1/nodes", { headers: { authorization: "Bearer bt_guess" } });
    if (answer.status === 429) limited = answer;
  }
  assert.ok(limited, "no limit");
  assert.ok(Number(limited.headers.get("retry-after")) >= 1);
  assert.equal((await request("/v1/nodes")).status, 200);
});

test("an unknown path, a wrong method and a method of nobody are told apart", async () => {
  assert.equal(await codeOf(await request("/v1/nothing")), "not_found");
  const wrong = await request("/v1/nodes", { method: "DELETE" });
  assert.equal(wrong.headers.get("allow"), "GET");
  assert.equal(await codeOf(wrong), "method_not_allowed");
  assert.equal((await request("/v1/nothing", { headers: {} })).status, 401);
  const head = await request("/v1/nodes", { method: "HEAD" });
  assert.equal(head.status, 405);
});

test("a path that climbs out reaches nothing", async () => {
  for (const path of [
    "/v1/blobs/..%2f..%2fetc%2fpasswd",
    "/v1/blobs/%2e%2e",
    "/v1/projects/..%2f-/environments/-/stacks/x",
    "/v1/projects/-/environments/-/stacks/node",
    "/v1/projects/a%00b/environments/main/stacks/x",
    "/v1/nodes/NODE%201",
    "/v1/nodes/%ff",
  ]) {
    const { status, body } = await rawExchange(fixture.port, rawRequest(`GET ${path}`, admin));
    assert.ok(status === 400 || status === 404, `${path}: ${status}`);
    assert.match(body, /"code":"(invalid_request|not_found)"/, path);
  }
  const climbing = await rawExchange(fixture.port, rawRequest("GET /v1/../../etc/passwd", admin));
  assert.equal(climbing.status, 404);
});

test("bodies that are no JSON, of another type or for another route are refused", async () => {
  const scale = "/v1/projects/default/environments/main/stacks/shop/services/web/scale";
  const cases: readonly [string, RequestInit][] = [
    ["{", { headers: { ...admin, ...json } }],
    ['{"copies":"3"}', { headers: { ...admin, ...json } }],
    ['{"copies":3,"more":1}', { headers: { ...admin, ...json } }],
    ['{"copies":3,"__proto__":{"x":1}}', { headers: { ...admin, ...json } }],
    ['{"copies":3}', { headers: { ...admin, "content-type": "text/plain" } }],
    ['{"copies":3}', { headers: { ...admin, ...json, "content-encoding": "gzip" } }],
    ["", { headers: { ...admin, ...json } }],
  ];
  for (const [body, init] of cases) {
    const answer = await request(scale, { method: "PUT", body, ...init });
    assert.equal(answer.status, 400, body);
    assert.equal(await codeOf(answer), "invalid_request", body);
  }
  const withBody = { method: "POST", body: "{}", headers: { ...admin, ...json } };
  const restart = scale.replace("/scale", "/restart");
  assert.equal(await codeOf(await request(restart, withBody)), "invalid_request");
  assert.equal(await codeOf(await request("/v1/nodes?limti=3")), "invalid_request");
  assert.equal(await codeOf(await request("/v1/nodes?limit=0")), "invalid_request");
});

test("a body over the limit is refused with the limit, announced or not", async () => {
  const path = "/v1/blobs/missing";
  const announced = await request(path, {
    method: "POST",
    headers: { ...admin, ...json },
    body: " ".repeat(BODY_BYTES_MAX + 1),
  });
  assert.equal(announced.status, 413);
  const problem = (await announced.json()) as { details: object };
  const expected = { limit: "body bytes", maximum: BODY_BYTES_MAX, value: BODY_BYTES_MAX + 1 };
  assert.deepEqual(problem.details, expected);
  async function* endless() {
    const piece = Buffer.alloc(1024 * 1024, " ");
    for (let count = 0; count < 12; count++) yield piece;
  }
  const chunked = await request(path, {
    method: "POST",
    headers: { ...admin, ...json },
    body: endless(),
    duplex: "half",
  });
  assert.equal(await codeOf(chunked), "body_too_large");
});

test("whoever waits for 100 Continue is refused before the body", async () => {
  const head = (token: string) =>
    rawRequest("PUT /v1/blobs/sha256:".concat("0".repeat(64)), {
      authorization: `Bearer ${token}`,
      "content-type": "application/octet-stream",
      "content-length": "1000000",
      expect: "100-continue",
    });
  const refused = await rawExchange(fixture.port, head("bt_forged"), 1_000);
  assert.ok(refused.status === 401 || refused.status === 429);
  const wanted = await rawExchange(fixture.port, head(ADMIN_TOKEN), 300);
  assert.match(wanted.head, /^HTTP\/1.1 100 Continue/);
});

test("requests of foreign pages are refused, named hosts are served", async () => {
  const ask = (headers: Record<string, string>) =>
    rawExchange(fixture.port, rawRequest("GET /healthz", headers));
  assert.equal((await ask({ host: "evil.example.com" })).status, 403);
  assert.equal((await ask({ origin: "http://evil.example.com" })).status, 403);
  assert.equal((await ask({ origin: "null" })).status, 403);
  assert.equal((await ask({ host: "berth.example.com" })).status, 200);
  assert.equal((await ask({ host: "[::1]:7710", origin: "http://localhost:7710" })).status, 200);
  const preflight = await ask({ origin: "http://localhost:1" });
  assert.doesNotMatch(preflight.head, /access-control/i);
});

test("what is no HTTP is answered with a problem", async () => {
  const { status, body } = await rawExchange(fixture.port, "HELLO\r\n\r\n");
  assert.equal(status, 400);
  assert.match(body, /"code":"invalid_request"/);
});

test("exec goes both ways between user and agent, with exit code, and ends with either", async () => {
  const agent = fixture.http(AGENT_TOKEN);
  const events = await agent.call("watch", {
    params: {},
    body: { selectors: [{ kind: "assignment", node: "node-1" }] },
  });
  const served = (async () => {
    for await (const event of events) {
      if (event.type !== "dial") continue;
      const stream = await agent.upgrade("openSession", {
        params: { node: "node-1", session: event.dial.session },
      });
      for await (const frame of stream.frames()) {
        if (frame.kind === "stdin")
          await stream.send("stdout", Buffer.from(frame.payload).reverse());
        if (frame.kind !== "end") continue;
        await stream.send("exit", Buffer.from('{"code":7}'));
        stream.close();
        return event.dial.request;
      }
    }
    return undefined;
  })();
  const request = JSON.stringify({ command: ["cat"], tty: false, stdin: true });
  const user = await fixture.http().upgrade("execTask", {
    params: { project: "default", environment: "main", task: "task0001" },
    query: { request },
  });
  await user.send("stdin", Buffer.from("abc"));
  await user.send("end", Buffer.alloc(0));
  const seen: string[] = [];
  for await (const { kind, payload } of user.frames()) {
    seen.push(`${kind} ${Buffer.from(payload).toString()}`);
  }
  assert.deepEqual(seen, ["stdout cba", 'exit {"code":7}']);
  assert.equal((await served)?.kind, "exec");
  assert.equal(fixture.api.sessions.size, 0);
});

test("the exit code arrives although the user is still sending input that nobody reads", async () => {
  const agent = fixture.http(AGENT_TOKEN);
  const ending = new AbortController();
  const events = await agent.call("watch", {
    params: {},
    body: { selectors: [{ kind: "assignment", node: "node-1" }] },
    signal: ending.signal,
  });
  const serving = (async () => {
    for await (const event of events) {
      if (event.type !== "dial") continue;
      const params = { node: "node-1", session: event.dial.session };
      const stream = await agent.upgrade("openSession", { params });
      await stream.send("exit", Buffer.from('{"code":3}'));
      stream.close();
    }
  })().catch(() => undefined);
  const request = JSON.stringify({ command: ["true"], tty: false, stdin: true });
  const params = { project: "default", environment: "main", task: "task0001" };
  for (let round = 0; round < 20; round++) {
    const user = await fixture.http().upgrade("execTask", { params, query: { request } });
    const sending = (async () => {
      for (let piece = 0; piece < 64; piece++) await user.send("stdin", Buffer.alloc(100_000));
    })().catch(() => undefined);
    // The reader is slow: what is on the wire must survive the other side's close.
    await new Promise((done) => setTimeout(done, 5));
    const kinds: string[] = [];
    for await (const frame of user.frames()) kinds.push(frame.kind);
    assert.deepEqual(kinds, ["exit"], `round ${round}`);
    user.close();
    await sending;
  }
  ending.abort();
  await serving;
});

test("an upgrade that is refused is an ordinary problem", async () => {
  const params = { project: "default", environment: "main", task: "nothere" };
  const query = { request: '{"command":["sh"],"tty":true,"stdin":true}' };
  await assert.rejects(
    fixture.http().upgrade("execTask", { params, query }),
    (error) => error instanceof ProtocolError && error.code === "not_found",
  );
  const plain = await request(
    "/v1/projects/default/environments/main/tasks/task0001/exec?request=%7B%7D",
  );
  assert.equal(await codeOf(plain), "invalid_request");
  await assert.rejects(
    fixture.http("bt_forged").upgrade("execTask", { params, query }),
    (error) => error instanceof ProtocolError && /^(unauth|too_many)/.test(error.code),
  );
});

test("bytes go up and come down, in pieces and whole", async () => {
  const client = fixture.http();
  const bytes = Buffer.from("hello, blob");
  const digest = "sha256:".concat(
    (await import("node:crypto")).createHash("sha256").update(bytes).digest("hex"),
  );
  const missing = await client.call("hasBlobs", { params: {}, body: { digests: [digest] } });
  assert.deepEqual(missing, { missing: [digest] });
  async function* pieces() {
    yield bytes.subarray(0, 5);
    yield bytes.subarray(5);
  }
  await client.call("putBlob", { params: { digest }, bytes: pieces() });
  await client.call("putBlob", { params: { digest }, bytes });
  const found = await client.download("getBlob", { params: { digest } });
  assert.equal(Buffer.concat(await Array.fromAsync(found)).toString(), "hello, blob");
  const other = `sha256:${"1".repeat(64)}`;
  await assert.rejects(
    client.call("putBlob", { params: { digest: other }, bytes }),
    (error) => error instanceof ProtocolError && error.code === "invalid_request",
  );
});

test("an agent joins with its report and renews its lease", async () => {
  const agent = fixture.http(AGENT_TOKEN);
  const params = { node: "node-1" };
  const status = nodeStatusRow();
  const joined = await agent.call("reportNode", { params, body: { status } });
  assert.deepEqual(joined, { cluster: "c0ffee00", leaseMs: 3_000, protocol: PROTOCOL_VERSION });
  await agent.call("renewLease", { params });
  // A report renews before its write and after it.
  assert.deepEqual(fixture.renewed, ["node-1", "node-1", "node-1"]);
  await assert.rejects(
    agent.call("reportNode", { params, body: { cluster: "deadbeef", status } }),
    (error) => error instanceof ProtocolError && error.code === "foreign_cluster",
  );
});

test("a connection bears many calls, each body its own, and ends with its answer when the server stops", async () => {
  const own = await startHttpFixture();
  const socket = connect(own.port, "127.0.0.1");
  const ended = once(socket, "close");
  let received = "";
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString();
  });
  const call = (digest: string) => {
    const body = JSON.stringify({ digests: [`sha256:${digest.repeat(64)}`] });
    const head = `host: localhost\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\ncontent-type: application/json`;
    return `POST /v1/blobs/missing HTTP/1.1\r\n${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  };
  const answers = () => received.split("HTTP/1.1 200 OK").length - 1;
  const answered = async (count: number) => {
    while (answers() < count) await once(socket, "data");
  };
  // Two at once, one in two pieces, and one whose end comes when the server has been told to stop.
  socket.write(call("1") + call("2"));
  const third = call("3");
  socket.write(third.slice(0, -20));
  await answered(2);
  socket.write(third.slice(-20));
  await answered(3);
  const last = call("4");
  socket.write(last.slice(0, -20));
  // An answer on another connection: what was written before it has been read.
  await own.http().call("version", { params: {} });
  const stopped = own.stop();
  socket.write(last.slice(-20));
  await ended;
  await stopped;
  assert.equal(answers(), 4);
  for (const digest of ["1", "2", "3", "4"]) assert.ok(received.includes(digest.repeat(64)));
  assert.match(received.split("HTTP/1.1 200 OK").at(-1) ?? "", /connection: close/i);
});

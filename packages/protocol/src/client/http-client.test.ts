/** The client against servers that misbehave: refused, lost, silent, foreign, slow. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ProtocolError, problemOf } from "../errors.ts";
import { HttpClient, parseTarget } from "./http-client.ts";
import { requestTarget } from "./request-target.ts";

type Answering = (request: IncomingMessage, response: ServerResponse, count: number) => void;

async function serve(context: TestContext, answer: Answering) {
  let count = 0;
  const server = createServer((request, response) => answer(request, response, ++count));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const client = new HttpClient({
    url: `http://127.0.0.1:${port}`,
    token: "bt_x",
    headTimeoutMs: 200,
  });
  context.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, port, calls: () => count };
}

function fails(code: string, reason?: string) {
  return (error: unknown) =>
    error instanceof ProtocolError &&
    error.code === code &&
    (reason === undefined || error.details["reason"] === reason);
}

const SCALE = {
  params: { project: "p", environment: "e", stack: "s", service: "w" },
  body: { copies: 2 },
};

test("a server that is not there is said at once, with its address", async () => {
  const client = new HttpClient({ url: "http://127.0.0.1:9" });
  await assert.rejects(
    client.call("version", { params: {} }),
    /^ProtocolError: cannot reach the server at 127.0.0.1:9: connection refused$/,
  );
  const socket = new HttpClient({ url: "unix:///nowhere/berth.sock" });
  await assert.rejects(
    socket.call("version", { params: {} }),
    fails("unavailable", "no such socket"),
  );
});

test("reads are repeated when the connection is lost, writes only with a key", async (context) => {
  const { client, calls } = await serve(context, (request, response, count) => {
    if (count % 3 !== 0) request.socket.destroy();
    else response.end("{}");
  });
  await client.call("version", { params: {} });
  assert.equal(calls(), 3);
  await assert.rejects(client.call("scaleService", SCALE), fails("unavailable", "connection lost"));
  assert.equal(calls(), 4);
  // The fifth is lost, the sixth answered.
  await client.call("scaleService", { ...SCALE, idempotencyKey: "k1" });
  assert.equal(calls(), 6);
});

test("a server that says unavailable is asked three times at most", async (context) => {
  const { client, calls } = await serve(context, (_request, response) => {
    response.writeHead(503, { "content-type": "application/problem+json" });
    response.end(JSON.stringify(problemOf(new ProtocolError("unavailable", "not now"))));
  });
  await assert.rejects(client.call("version", { params: {} }), /not now/);
  assert.equal(calls(), 3);
});

test("a silent server is given up after the deadline", async (context) => {
  const { client } = await serve(context, () => {});
  await assert.rejects(
    client.call("scaleService", SCALE),
    fails("unavailable", "no answer in time"),
  );
});

test("what is no Berth server is said so", async (context) => {
  const { client } = await serve(context, (_request, response) => response.end("<html>hello"));
  await assert.rejects(client.call("version", { params: {} }), /is this a Berth server/);
});

test("token, key and revisions travel as headers, the body as JSON", async (context) => {
  const seen: { headers?: IncomingMessage["headers"]; body?: string; url?: string } = {};
  const { client } = await serve(context, (request, response) => {
    seen.headers = request.headers;
    seen.url = request.url ?? "";
    request.on("data", (chunk) => {
      seen.body = String(chunk);
    });
    request.on("end", () => response.end("{}"));
  });
  await client.call("scaleService", { ...SCALE, idempotencyKey: "k", ifMatch: 7, minRevision: 9 });
  assert.equal(seen.headers?.authorization, "Bearer bt_x");
  assert.equal(seen.headers["idempotency-key"], "k");
  assert.equal(seen.headers["if-match"], '"7"');
  assert.equal(seen.headers["berth-min-revision"], "9");
  assert.equal(seen.body, '{"copies":2}');
  assert.equal(seen.url, "/v1/projects/p/environments/e/stacks/s/services/w/scale");
});

test("a stream that breaks is an error, not an end", async (context) => {
  const { client } = await serve(context, (_request, response) => {
    response.write('{"type":"heartbeat"}\n');
    setImmediate(() => response.destroy());
  });
  const events = await client.call("watch", {
    params: {},
    body: { selectors: [{ kind: "task" }] },
  });
  const seen: unknown[] = [];
  await assert.rejects(
    async () => {
      for await (const event of events) seen.push(event);
    },
    fails("unavailable", "connection lost"),
  );
  assert.deepEqual(seen, [{ type: "heartbeat" }]);
});

test("a caller's abort ends a call with the caller's reason", async (context) => {
  const { client } = await serve(context, () => {});
  const reason = new Error("enough");
  await assert.rejects(
    client.call("version", { params: {}, signal: AbortSignal.abort(reason) }),
    reason,
  );
  const later = new AbortController();
  const called = client.call("version", { params: {}, signal: later.signal });
  setImmediate(() => later.abort(reason));
  await assert.rejects(called, reason);
});

test("a Unix socket serves as well", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-socket-"));
  const path = join(folder, "api.sock");
  const server = createServer((_request, response) => response.end("ok\n"));
  await new Promise<void>((done) => server.listen(path, done));
  const client = new HttpClient({ url: `unix://${path}` });
  context.after(() => {
    client.close();
    server.close();
    rmSync(folder, { recursive: true });
  });
  assert.equal(await client.call("health", { params: {} }), "ok\n");
});

test("a server with TLS is not spoken to without its authority", async () => {
  const client = new HttpClient({ url: "https://127.0.0.1:9", token: "bt_x" });
  const asked = client.call("version", { params: {} });
  await assert.rejects(asked, fails("invalid_request"));
});

test("addresses and paths that mean something else are refused", () => {
  for (const url of ["ftp://x", "nonsense", "https://x:1/path", "http://x/path", ""]) {
    assert.throws(() => parseTarget(url), fails("invalid_request"), url);
  }
  assert.deepEqual(parseTarget("http://[::1]:7710"), {
    kind: "tcp",
    host: "::1",
    port: 7710,
    secure: false,
  });
  assert.deepEqual(parseTarget("https://x"), { kind: "tcp", host: "x", port: 443, secure: true });
  const route = { method: "GET", path: "/v1/nodes/{node}/x/{task}", access: "user" } as const;
  const described = { ...route, summary: "", errors: [], answer: { kind: "empty" } } as const;
  assert.equal(
    requestTarget(described, { node: "a/b?c#d", task: "ü" }, { q: "x y", none: undefined }),
    "/v1/nodes/a%2Fb%3Fc%23d/x/%C3%BC?q=x+y",
  );
  for (const node of ["", ".", ".."]) {
    assert.throws(() => requestTarget(described, { node, task: "t" }), fails("invalid_request"));
  }
});

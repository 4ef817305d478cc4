/** Several servers: what goes to the next one when one fails, and what does not. */

import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { FailoverClient } from "./failover-client.ts";

async function server(context: TestContext, answer: RequestListener): Promise<string> {
  const listening = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => listening.once("listening", resolve));
  context.after(() => {
    listening.closeAllConnections();
    listening.close();
  });
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

/** As a host that was switched off: connections stand, and nothing is ever said. */
const dead: RequestListener = () => {};
const VERSION = { version: "1", protocol: 2 };

function living(asked: string[], answer: object = VERSION): RequestListener {
  return (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  };
}

/** An address where nobody listens. */
const NOBODY = "http://127.0.0.1:9";

function client(context: TestContext, urls: readonly string[], newKey?: () => string) {
  const made = new FailoverClient({
    endpoints: () => urls.map((url) => ({ url })),
    ...(newKey === undefined ? {} : { newKey }),
  });
  context.after(() => made.close());
  return made;
}

const WRITE = { params: { node: "n" }, body: { labels: { a: "b" } } } as const;

test("a server that is not there, and one that says nothing any more, are left for the next", async (context) => {
  const asked: string[] = [];
  const alive = await server(context, living(asked));
  for (const lost of [NOBODY, await server(context, dead)]) {
    const api = client(context, [lost, alive]);
    assert.equal((await api.call("version", { params: {} })).version, "1");
    assert.equal(api.url, alive);
  }
});

test("a write without a key is not repeated where it may have been carried out", async (context) => {
  const asked: string[] = [];
  const alive = await server(context, living(asked));
  const api = client(context, [await server(context, dead), alive]);
  await assert.rejects(api.call("changeNode", WRITE), { code: "unavailable" });
  assert.deepEqual(asked, []);
  // Nobody was reached there: it cannot have been carried out.
  await client(context, [NOBODY, alive]).call("changeNode", WRITE);
  assert.deepEqual(asked, ["POST /v1/nodes/n"]);
});

test("a write gets a key, and the same one at each server", async (context) => {
  const keys: unknown[] = [];
  const alive = await server(context, (request, response) => {
    keys.push(request.headers["idempotency-key"]);
    response.setHeader("content-type", "application/json").end("{}");
  });
  const silent = await server(context, (request) => {
    if (request.url !== "/healthz") keys.push(request.headers["idempotency-key"]);
  });
  let count = 0;
  const api = client(context, [silent, alive], () => `key-${++count}`);
  await api.call("changeNode", WRITE);
  assert.deepEqual(keys, ["key-1", "key-1"]);
});

test("a slow answer of a server that lives is waited for", async (context) => {
  const asked: string[] = [];
  const slow = await server(context, (request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/healthz") return void response.end("ok\n");
    setTimeout(() => response.end(JSON.stringify(VERSION)), 2_500);
  });
  const api = client(context, [slow, await server(context, living(asked))]);
  assert.equal((await api.call("version", { params: {} })).version, "1");
  assert.deepEqual(asked, []);
});

test("a stream of a server that dies ends as a lost connection", async (context) => {
  let lives = true;
  const silent = await server(context, (request, response) => {
    if (!lives) return;
    if (request.url === "/healthz") return void response.end("ok\n");
    response.write('{"type":"heartbeat"}\n');
  });
  const api = client(context, [silent, await server(context, living([]))]);
  const body = { selectors: [{ kind: "node" as const }] };
  const events = await api.call("watch", { params: {}, body });
  const read = async () => {
    for await (const event of events) {
      assert.equal(event.type, "heartbeat");
      lives = false;
    }
  };
  await assert.rejects(read(), { code: "unavailable" });
});

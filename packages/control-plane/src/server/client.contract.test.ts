/** Both clients of the API, over HTTP and in process, say the same to the same questions. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { type ApiClient, keys, PROTOCOL_VERSION, ProtocolError } from "@berth/protocol";
import {
  AGENT_TOKEN,
  nodeRow,
  releaseRow,
  SCOPE,
  stackRow,
  stackSpec,
  statusRow,
  taskRow,
} from "../api/api-fixture.ts";
import { type HttpFixture, startHttpFixture } from "./http-fixture.ts";

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

const clients: readonly {
  readonly name: string;
  readonly make: (token?: string) => ApiClient;
}[] = [
  { name: "http", make: (token) => fixture.http(token) },
  {
    name: "in process",
    make: (token) => fixture.client(token === undefined ? {} : { token }),
  },
];

function isCode(code: string) {
  return (error: unknown) => error instanceof ProtocolError && error.code === code;
}

for (const { name, make } of clients) {
  describe(name, () => {
    const env = { project: "default", environment: "main" };

    test("reads objects, lists and texts", async () => {
      const client = make();
      assert.equal(await client.call("health", { params: {} }), "ok\n");
      const { cluster, protocol } = await client.call("version", { params: {} });
      assert.deepEqual({ cluster, protocol }, { cluster: "c0ffee00", protocol: PROTOCOL_VERSION });
      const { items } = await client.call("listTasks", {
        params: env,
        query: { service: "web", limit: "10" },
      });
      assert.deepEqual(items, [{ task: taskRow("task0001"), status: statusRow("task0001") }]);
      const view = await client.call("getStack", { params: SCOPE });
      assert.equal(view.services[0]?.service, "web");
      const explanation = await client.call("explainService", {
        params: { ...SCOPE, service: "web" },
      });
      assert.equal(explanation.service, "web");
    });

    test("refusals keep code, sentence and details", async () => {
      const client = make();
      await assert.rejects(
        client.call("listTasks", { params: env, query: { limit: "0" } }),
        (error) => isCode("invalid_request")(error) && Object(error).details.maximum === 1_000,
      );
      await assert.rejects(
        client.call("getStack", { params: { ...SCOPE, stack: "nothere" } }),
        /there is no stack default\/main\/nothere/,
      );
      const missing = client.call("getStack", { params: { ...SCOPE, stack: "" } });
      await assert.rejects(missing, isCode("invalid_request"));
      const odd = client.call("getStack", { params: { ...SCOPE, stack: "../../x" } });
      await assert.rejects(odd, isCode("invalid_request"));
      await assert.rejects(
        make("bt_wrong").call("version", { params: {} }),
        isCode("unauthenticated"),
      );
      await assert.rejects(
        make(AGENT_TOKEN).call("listNodes", { params: {} }),
        isCode("forbidden"),
      );
    });

    test("a repeated write with its key is the same write", async () => {
      const client = make();
      const idempotencyKey = `deploy ${name}`.replaceAll(" ", "-");
      const options = {
        params: { ...SCOPE, stack: name.replaceAll(" ", "-") },
        body: { spec: stackSpec() },
        idempotencyKey,
      };
      const first = await client.call("deployStack", options);
      const second = await client.call("deployStack", options);
      assert.deepEqual(second, first);
      assert.equal(first.state, "pending");
      const other = { ...options, body: { spec: stackSpec({ source: "changed" }) } };
      await assert.rejects(client.call("deployStack", other), isCode("idempotency_mismatch"));
    });

    test("If-Match writes only at the revision that it names", async () => {
      const client = make();
      const params = { ...SCOPE, service: "web" };
      const call = (ifMatch: number) =>
        client.call("scaleService", { params, body: { copies: 3 }, ifMatch });
      await assert.rejects(call(1), isCode("precondition_failed"));
      const known = fixture.state.view.scales.get(keys.scale(params))?.revision ?? 0;
      assert.equal((await call(known)).value, 3);
    });

    test("a read waits for the revision that it names", async () => {
      const client = make();
      const revision = await fixture.store.currentRevision();
      const { items } = await client.call("listNodes", { params: {}, minRevision: revision });
      assert.equal(items.length, 1);
    });

    test("a stream gives its events and ends when it is left", async () => {
      const client = make();
      const abort = new AbortController();
      const events = await client.call("watch", {
        params: {},
        body: { selectors: [{ kind: "node" }] },
        signal: abort.signal,
      });
      const seen: string[] = [];
      for await (const event of events) {
        seen.push(event.type);
        if (event.type === "synced") await fixture.put(keys.node("node-1"), nodeRow("node-1"));
        if (event.type === "bookmark") break;
      }
      assert.deepEqual(seen, ["put", "synced", "put", "bookmark"]);
      while (fixture.api.watches.figures().watchers > 0) {
        await new Promise((done) => setImmediate(done));
      }
    });

    test("an abort ends a stream with the caller's reason", async () => {
      const client = make();
      const abort = new AbortController();
      const events = await client.call("watch", {
        params: {},
        body: { selectors: [{ kind: "node" }] },
        signal: abort.signal,
      });
      await assert.rejects(async () => {
        for await (const event of events) {
          if (event.type === "synced") abort.abort(new Error("enough"));
        }
      }, /enough/);
    });

    test("a position that is gone is refused before the stream", async () => {
      const body = { selectors: [{ kind: "node" } as const], position: "other:1" };
      await assert.rejects(make().call("watch", { params: {}, body }), isCode("position_gone"));
    });

    test("bytes come back as they were", async () => {
      const client = make();
      const bytes = Buffer.from(`bytes of ${name}`);
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      assert.equal(await client.call("putBlob", { params: { digest }, bytes }), undefined);
      const found = await Array.fromAsync(await client.download("getBlob", { params: { digest } }));
      assert.deepEqual(Buffer.concat(found), bytes);
      const none = `sha256:${"9".repeat(64)}`;
      await assert.rejects(
        client.download("getBlob", { params: { digest: none } }),
        isCode("not_found"),
      );
    });

    test("logs of a node that is not connected are refused with its name", async () => {
      const logs = make().call("readLogs", { params: SCOPE, query: { service: "web" } });
      await assert.rejects(logs, isCode("node_unreachable"));
    });

    test("logs come from the agent, in order, until it says that there are no more", async () => {
      const agent = make(AGENT_TOKEN);
      const gone = new AbortController();
      const events = await agent.call("watch", {
        params: {},
        body: { selectors: [{ kind: "assignment", node: "node-1" }] },
        signal: gone.signal,
      });
      const line = (at: number, text: string) => ({
        at,
        text,
        task: "task0001",
        name: "web-1",
        node: "node-1",
        release: 1,
        attempt: 1,
        stream: "stdout" as const,
      });
      const served = (async () => {
        for await (const event of events) {
          if (event.type !== "dial") continue;
          const stream = await agent.upgrade("openSession", {
            params: { node: "node-1", session: event.dial.session },
          });
          for (const value of [line(1, "one"), line(2, "two")]) {
            await stream.send("data", Buffer.from(JSON.stringify(value)));
          }
          await stream.send("end", Buffer.alloc(0));
          return;
        }
      })();
      await new Promise((done) => setTimeout(done, 20));
      const lines = await make().call("readLogs", { params: SCOPE, query: { tail: "5" } });
      const texts = (await Array.fromAsync(lines)).map(({ text }) => text);
      assert.deepEqual(texts, ["one", "two"]);
      await served;
      gone.abort();
    });
  });
}

/** Images from node to node: who may have which, from whom, whole or not at all. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys, type NodeStatus, type Operation, ProtocolError } from "@berth/protocol";
import {
  AGENT_TOKEN,
  type ApiFixture,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
  startFixture,
  taskRow,
} from "./api-fixture.ts";
import { framePair } from "./frame-pair.ts";
import { TRANSFERS_PER_NODE_MAX, Transfers } from "./transfers.ts";

const ID = `sha256:${"a".repeat(64)}`;
const DIGEST = `r.example/app@sha256:${"d".repeat(64)}`;

async function cluster(images: Readonly<Record<string, NodeStatus["images"]>> = {}) {
  const fixture = await startFixture();
  for (const name of ["node-1", "node-2", "node-3"]) {
    await fixture.put(keys.node(name), nodeRow(name));
    const told = images[name];
    const status = nodeStatusRow({ name, ...(told === undefined ? {} : { images: told }) });
    await fixture.put(keys.nodeStatus(name), status);
  }
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await fixture.put(keys.task(SCOPE, "task01"), taskRow("task01"));
  return fixture;
}

function find(fixture: ApiFixture, image: string) {
  const agent = fixture.client({ token: AGENT_TOKEN });
  const asked = agent.call("findImage", { params: { node: "node-1" }, query: { image } });
  return settled(fixture.clock, asked);
}

function isCode(code: string) {
  return (error: unknown) => {
    assert.ok(error instanceof ProtocolError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

const local = (id: string, names: readonly string[] = []) => ({
  id,
  sizeBytes: 7,
  names: [...names],
});

test("a node finds what its tasks need at nodes that say that they have it, and nothing else", async () => {
  const fixture = await cluster({
    "node-1": [local(ID)],
    "node-2": [local(ID)],
    "node-3": [local(`sha256:${"b".repeat(64)}`)],
  });
  assert.deepEqual(await find(fixture, ID), { imageId: ID, sizeBytes: 7, nodes: ["node-2"] });
  await assert.rejects(find(fixture, `sha256:${"b".repeat(64)}`), isCode("not_found"));
  await fixture.put(keys.node("node-2"), { ...nodeRow("node-2"), contact: "down" });
  await assert.rejects(find(fixture, ID), isCode("not_found"));
  await fixture.stop();
});

test("the node that resolved an image is asked although it has not told of it yet", async () => {
  const fixture = await cluster();
  const operation: Operation = {
    ...SCOPE,
    id: "op000001",
    node: "node-3",
    createdAt: 1,
    input: { kind: "resolve-images", images: [] },
    state: "done",
    images: { "busybox:1": { reference: "busybox:1", imageId: ID } },
    updatedAt: 1,
  };
  await fixture.put(keys.operation("node-3", "op000001"), operation);
  assert.deepEqual(await find(fixture, ID), { imageId: ID, nodes: ["node-3"] });
  await fixture.stop();
});

test("what a registry's digest is, nodes have to agree on", async () => {
  const other = `sha256:${"c".repeat(64)}`;
  const fixture = await cluster({ "node-2": [local(ID, [DIGEST])], "node-3": [] });
  const image = { reference: "r.example/app:1", repoDigest: DIGEST };
  const services = { web: { spec: serviceSpec(), image, template: "t1" } };
  await fixture.put(keys.release(SCOPE, 1), releaseRow({ services }));
  assert.equal((await find(fixture, DIGEST)).imageId, ID);
  const liar = nodeStatusRow({ name: "node-3", images: [local(other, [DIGEST])] });
  await fixture.put(keys.nodeStatus("node-3"), liar);
  await assert.rejects(find(fixture, DIGEST), isCode("not_found"));
  await fixture.stop();
});

/** The agents of nodes that give images: each dialled session is answered by `answer`. */
async function download(
  fixture: ApiFixture,
  answer: (send: (kind: "data" | "end" | "error", text: string) => Promise<void>) => Promise<void>,
) {
  const { sessions } = fixture.api as unknown as { sessions: ApiFixture["api"]["sessions"] };
  const asked: string[] = [];
  sessions.open = async (node) => {
    asked.push(node);
    const [server, agent] = framePair();
    void answer((kind, text) => agent.send(kind, Buffer.from(text))).then(() => agent.close());
    return server;
  };
  const params = { node: "node-1", digest: ID };
  const client = fixture.client({ token: AGENT_TOKEN });
  const bytes = (async () => {
    const pieces = await client.download("getNodeImage", { params });
    return Buffer.concat(await Array.fromAsync(pieces)).toString();
  })();
  return { asked, text: await settled(fixture.clock, bytes).catch((error: unknown) => error) };
}

test("an archive comes whole, from the next node if the first has it no more", async () => {
  const has = [local(ID)];
  const fixture = await cluster({ "node-2": has, "node-3": has });
  let count = 0;
  const found = await download(fixture, async (send) => {
    if (++count === 1) {
      const problem = {
        type: "about:blank",
        title: "t",
        status: 404,
        code: "not_found",
        detail: "gone",
      };
      return send("error", JSON.stringify(problem));
    }
    await send("data", "half ");
    await send("data", "whole");
    await send("end", "");
  });
  assert.deepEqual(found, { asked: ["node-2", "node-3"], text: "half whole" });
  await fixture.stop();
});

test("an archive whose last word is missing is an error, never a short archive", async () => {
  const fixture = await cluster({ "node-2": [local(ID)] });
  const { text } = await download(fixture, (send) => send("data", "half"));
  assert.ok(text instanceof ProtocolError, String(text));
  assert.match(text.message, /the other node has gone/);
  await fixture.stop();
});

test("transfers out of one node are limited, and a place is given back once", () => {
  const transfers = new Transfers();
  const ends = Array.from({ length: TRANSFERS_PER_NODE_MAX }, () => transfers.begin("a"));
  assert.throws(() => transfers.begin("a"), isCode("too_many_requests"));
  transfers.begin("b")();
  ends[0]?.();
  ends[0]?.();
  assert.equal(transfers.of("a"), TRANSFERS_PER_NODE_MAX - 1);
  transfers.begin("a");
  assert.throws(() => transfers.begin("a"), isCode("too_many_requests"));
});

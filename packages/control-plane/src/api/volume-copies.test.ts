/** Backups and restores: nobody uses the volume meanwhile, and whatever happens, it is free or undone afterwards. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { type FrameStream, keys, ProtocolError, type Volume } from "@berth/protocol";
import {
  type ApiFixture,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  settled,
  stackRow,
  startFixture,
  statusRow,
  taskRow,
} from "./api-fixture.ts";
import { framePair } from "./frame-pair.ts";
import { USERS_STOP_MS_MAX } from "./volume-holding.ts";

const KEY = keys.volume(SCOPE, "data");
const PARAMS = { ...SCOPE, volume: "data" };
const USER = { volume: "data", engineName: "berth-shop-data-1", exclusive: true };

async function cluster(options: { readonly used?: boolean } = {}) {
  const fixture = await startFixture();
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.put(keys.nodeStatus("node-1"), nodeStatusRow());
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await fixture.put(keys.task(SCOPE, "task01"), taskRow("task01", { volumes: [USER] }));
  const state = options.used ? "running" : "removed";
  await fixture.put(keys.status(SCOPE, "task01"), statusRow("task01", { state }));
  const volume: Volume = {
    ...{ ...SCOPE, name: "data", engineName: USER.engineName, mode: "exclusive" },
    ...{ node: "node-1", external: false, createdAt: 1 },
  };
  await fixture.put(KEY, volume);
  return fixture;
}

function volumeOf({ state }: ApiFixture): Volume {
  return state.view.volumes.get(KEY)?.value ?? assert.fail("no volume");
}

/** The agent of the node: each session that is opened is served by `serve`. */
function serve(
  fixture: ApiFixture,
  agent: (stream: FrameStream, request: unknown) => Promise<void>,
) {
  fixture.api.sessions.open = async (_node, request) => {
    const [server, own] = framePair();
    void agent(own, request).finally(() => own.close());
    return server;
  };
}

function send(stream: FrameStream, kind: "data" | "end" | "error", text = ""): Promise<void> {
  return stream.send(kind, Buffer.from(text));
}

function backup(fixture: ApiFixture) {
  const bytes = (async () => {
    const pieces = await fixture.client().download("backupVolume", { params: PARAMS });
    return Buffer.concat(await Array.fromAsync(pieces)).toString();
  })();
  return settled(
    fixture.clock,
    bytes.catch((error: unknown) => error),
  );
}

/** Until the row says that it is over: it is written after the answer. */
async function freed(fixture: ApiFixture): Promise<Volume> {
  const over = (async () => {
    while (volumeOf(fixture).last === undefined) {
      await fixture.state.waitFor(fixture.state.revision + 1, new AbortController().signal);
    }
    return volumeOf(fixture);
  })();
  return settled(fixture.clock, over);
}

test("a backup holds the volume while it is read, and frees it", async () => {
  const fixture = await cluster();
  const phases: (string | undefined)[] = [];
  serve(fixture, async (stream) => {
    phases.push(volumeOf(fixture).hold?.phase);
    await send(stream, "data", "the ");
    await send(stream, "data", "content");
    await send(stream, "end");
  });
  assert.equal(await backup(fixture), "the content");
  assert.deepEqual(phases, ["copying"]);
  const { hold, last } = await freed(fixture);
  assert.deepEqual([hold, last?.kind, last?.state], [undefined, "backup", "done"]);
  await fixture.stop();
});

test("a backup that is cut off fails, and the volume is free", async () => {
  const fixture = await cluster();
  serve(fixture, (stream) => send(stream, "data", "half"));
  const error = await backup(fixture);
  assert.ok(error instanceof ProtocolError, String(error));
  const { hold, last } = await freed(fixture);
  assert.deepEqual([hold, last?.state], [undefined, "failed"]);
  await fixture.stop();
});

test("users that do not stop end it after a while, and nothing was read", async () => {
  const fixture = await cluster({ used: true });
  let opened = 0;
  serve(fixture, async () => {
    opened++;
  });
  const before = fixture.clock.monotonic();
  let error: unknown;
  const ended = backup(fixture).then((found) => {
    error = found;
  });
  assert.ok(fixture.clock instanceof ManualClock);
  for (let turn = 0; turn < 1_000 && error === undefined; turn++) {
    fixture.clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  assert.ok(error instanceof ProtocolError && error.code === "timed_out", String(error));
  assert.ok(fixture.clock.monotonic() - before >= USERS_STOP_MS_MAX);
  assert.equal(opened, 0);
  assert.equal((await freed(fixture)).hold, undefined);
  await fixture.stop();
});

async function restore(fixture: ApiFixture, ...pieces: readonly string[]) {
  const answer = (async () => {
    const stream = await fixture.client().upgrade("restoreVolume", { params: PARAMS });
    for (const piece of pieces) await send(stream, "data", piece);
    await send(stream, "end");
    const frames = await Array.fromAsync(stream.frames());
    return frames.map(({ kind, payload }) => `${kind} ${Buffer.from(payload)}`);
  })();
  return settled(fixture.clock, answer);
}

test("a restore is the volume when all of it is there; what was is removed", async () => {
  const fixture = await cluster();
  const got: string[] = [];
  serve(fixture, async (stream) => {
    for await (const { kind, payload } of stream.frames()) {
      if (kind === "end") break;
      got.push(Buffer.from(payload).toString());
      assert.equal(volumeOf(fixture).engineName, USER.engineName, "nothing has changed yet");
    }
    await send(stream, "data", '{"bytes":7,"digest":"sha256:1"}');
    await send(stream, "end");
  });
  const said = await restore(fixture, "the ", "new");
  assert.deepEqual(said, ['data {"bytes":7,"digest":"sha256:1"}', "end "]);
  assert.deepEqual(got, ["the ", "new"]);
  const { engineName, hold, last } = volumeOf(fixture);
  assert.match(engineName, /^berth-shop-data-1\.r[a-z0-9]+$/);
  assert.deepEqual([hold?.phase, last?.state], ["cleaning", "done"]);
  assert.deepEqual(hold?.leftover, { node: "node-1", engineName: USER.engineName });
  await fixture.stop();
});

test("a restore that fails leaves the volume, and removes what was begun", async () => {
  const fixture = await cluster();
  serve(fixture, async (stream) => {
    const detail = "no room";
    const problem = { type: "about:blank", title: "t", status: 507, code: "storage_full", detail };
    await send(stream, "error", JSON.stringify(problem));
  });
  const [said] = await restore(fixture, "the new");
  assert.match(said ?? "", /^error .*no room/);
  const { engineName, hold, last } = await freed(fixture);
  assert.equal(engineName, USER.engineName);
  assert.deepEqual([hold?.phase, last?.state], ["undoing", "failed"]);
  assert.match(hold?.leftover?.engineName ?? "", /\.r[a-z0-9]+$/);
  await fixture.stop();
});

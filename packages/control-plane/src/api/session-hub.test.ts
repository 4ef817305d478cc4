/** Sessions: dialled in time or given up, ended by either side, nothing kept. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { type DialRequest, ProtocolError } from "@berth/protocol";
import { settled } from "./api-fixture.ts";
import { framePair } from "./frame-pair.ts";
import { DIAL_TIMEOUT_MS, joinStreams, SESSIONS_MAX, SessionHub } from "./session-hub.ts";

const STATS = { kind: "stats", tasks: [] } as const;

function setUp(reachable = true) {
  const clock = new ManualClock();
  const dialled: DialRequest[] = [];
  let count = 0;
  const hub = new SessionHub({
    watches: {
      dial: (_node, request) => {
        dialled.push(request);
        return reachable;
      },
    },
    clock,
    newId: () => `session${++count}`,
  });
  const open = (signal = new AbortController().signal) => hub.open("node-1", STATS, signal);
  return { clock, hub, dialled, open };
}

function isCode(code: string) {
  return (error: unknown) => error instanceof ProtocolError && error.code === code;
}

async function texts(frames: AsyncIterable<{ readonly payload: Uint8Array }>): Promise<string[]> {
  const all = await Array.fromAsync(frames);
  return all.map(({ payload }) => Buffer.from(payload).toString());
}

test("an agent without a stream, and one that does not dial in time, is unreachable", async () => {
  const away = setUp(false);
  await assert.rejects(away.open(), isCode("node_unreachable"));
  const silent = setUp();
  const opened = silent.open();
  silent.clock.advance(DIAL_TIMEOUT_MS);
  await assert.rejects(opened, isCode("node_unreachable"));
  for (const { hub } of [away, silent]) assert.equal(hub.size, 0);
});

test("a session is dialled once, by the agent of its node", async () => {
  const { hub, open, dialled } = setUp();
  const opened = open();
  assert.deepEqual(dialled, [{ session: "session1", request: STATS }]);
  assert.throws(() => hub.attach("node-2", "session1"), isCode("not_found"));
  assert.throws(() => hub.attach("node-1", "session9"), isCode("not_found"));
  const run = hub.attach("node-1", "session1");
  assert.throws(() => hub.attach("node-1", "session1"), isCode("not_found"));
  const [server, agent] = framePair();
  const served = run(server);
  const stream = await opened;
  await agent.send("data", Buffer.from("x"));
  const frames = stream.frames()[Symbol.asyncIterator]();
  assert.equal(Buffer.from((await frames.next()).value?.payload ?? "").toString(), "x");
  stream.close();
  await served;
  assert.equal(hub.size, 0);
});

test("who gives up before the agent has dialled leaves nothing", async () => {
  const { hub, open } = setUp();
  const abort = new AbortController();
  const opened = open(abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(opened, /enough/);
  assert.throws(() => hub.attach("node-1", "session1"), isCode("not_found"));
  assert.equal(hub.size, 0);
});

test("who goes later ends the agent's stream", async () => {
  const { hub, open } = setUp();
  const abort = new AbortController();
  const opened = open(abort.signal);
  const [server, agent] = framePair();
  const served = hub.attach("node-1", "session1")(server);
  await opened;
  abort.abort();
  await served;
  assert.deepEqual(await texts(agent.frames()), []);
  await assert.rejects(agent.send("data", Buffer.from("x")), isCode("unavailable"));
});

test("sessions have a limit, and all end with the server", async () => {
  const { hub, open, clock } = setUp();
  const opened = Array.from({ length: SESSIONS_MAX }, () => open().catch(() => undefined));
  await assert.rejects(open(), isCode("too_many_requests"));
  clock.advance(DIAL_TIMEOUT_MS);
  await Promise.all(opened);
  void open().catch(() => undefined);
  hub.close();
  assert.equal(hub.size, 0);
});

test("joined streams carry everything both ways, no faster than the reader, and end together", async () => {
  const [user, userServer] = framePair();
  const [agentServer, agent] = framePair();
  const joined = joinStreams(userServer, agentServer);
  let sent = 0;
  const sending = (async () => {
    for (; sent < 1_000; sent++) await agent.send("stdout", Buffer.from(String(sent)));
    agent.close();
  })();
  await user.send("stdin", Buffer.from("hello"));
  for (let turn = 0; turn < 2_000; turn++) await Promise.resolve();
  assert.ok(sent < 250, `${sent} frames are under way although nobody reads`);
  const seen = await settled(new ManualClock(), texts(user.frames()));
  assert.deepEqual(
    seen,
    Array.from({ length: 1_000 }, (_, index) => String(index)),
  );
  assert.deepEqual(await texts(agent.frames()), ["hello"]);
  await Promise.all([sending, joined]);
});

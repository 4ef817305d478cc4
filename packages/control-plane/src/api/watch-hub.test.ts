/** The watch by example: windows, heartbeats, limits, dial requests, what agents are shown. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, MIB } from "@berth/base";
import { keys, ProtocolError, type WatchEvent, type WatchSelector } from "@berth/protocol";
import {
  type ApiFixture,
  nodeRow,
  releaseRow,
  SCOPE,
  settled,
  stackRow,
  startFixture,
  statusRow,
  taskRow,
} from "./api-fixture.ts";
import { HEARTBEAT_MS, WINDOW_MS } from "./watch-timers.ts";
import { WATCHER_BYTES_MAX } from "./watcher.ts";

const ADMIN = { role: "admin", name: "admin" } as const;
const AGENT = { role: "agent", name: "agent-1", node: "node-1" } as const;

async function setUp() {
  const clock = new ManualClock();
  return { clock, fixture: await startFixture({ clock }) };
}

/** An open stream, read by hand. */
async function open(
  fixture: ApiFixture,
  selectors: readonly WatchSelector[],
  options: { actor?: typeof ADMIN | typeof AGENT; position?: string } = {},
) {
  const abort = new AbortController();
  const { actor = ADMIN, position } = options;
  const stream = await fixture.api.watches.open({
    selectors,
    actor,
    signal: abort.signal,
    ...(position === undefined ? {} : { position }),
  });
  const iterator = stream[Symbol.asyncIterator]();
  return {
    abort,
    /** Lines of the next piece; no time passes. */
    next: async (): Promise<WatchEvent[]> => {
      const { value, done } = await iterator.next();
      return done ? [] : value.map((line) => JSON.parse(line.toString()) as WatchEvent);
    },
    end: () => iterator.return?.(),
  };
}

function words(events: readonly WatchEvent[]): string[] {
  return events.map((event) => {
    if (event.type === "put" || event.type === "delete") {
      return `${event.type} ${event.kind} ${event.key.split("/").slice(3).join("/")}`;
    }
    return event.type;
  });
}

test("a list, then synced, then changes with a bookmark", async () => {
  const { clock, fixture } = await setUp();
  await fixture.put(keys.stack(SCOPE), stackRow());
  const watch = await open(fixture, [{ kind: "stack" }, { kind: "node" }]);
  assert.deepEqual(words(await watch.next()), ["put stack shop"]);
  assert.deepEqual(words(await watch.next()), ["synced"]);
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  clock.advance(WINDOW_MS);
  assert.deepEqual(words(await watch.next()), ["put node node-1", "bookmark"]);
  await watch.end();
  assert.equal(fixture.api.watches.figures().watchers, 0);
});

test("changes of one object within a window become the newest of them", async () => {
  const { clock, fixture } = await setUp();
  const watch = await open(fixture, [{ kind: "node" }]);
  await watch.next();
  for (const availability of ["draining", "active", "draining"] as const) {
    await fixture.put(keys.node("node-1"), { ...nodeRow("node-1"), availability });
  }
  clock.advance(WINDOW_MS);
  const events = await watch.next();
  assert.deepEqual(words(events), ["put node node-1", "bookmark"]);
  assert.equal(events[0]?.type === "put" && Object(events[0].value).availability, "draining");
  watch.end();
});

test("a line is made once for all watchers, and for none when nobody selects it", async () => {
  const { clock, fixture } = await setUp();
  const watches = await Promise.all(
    Array.from({ length: 10 }, () => open(fixture, [{ kind: "node" }])),
  );
  for (const watch of watches) await watch.next();
  const before = fixture.api.watches.figures().linesMade;
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  clock.advance(WINDOW_MS);
  for (const watch of watches) assert.equal((await watch.next()).length, 2);
  assert.equal(fixture.api.watches.figures().linesMade - before, 1);
  for (const watch of watches) watch.end();
});

test("an object that leaves the selection is gone for who selected it", async () => {
  const { clock, fixture } = await setUp();
  const volume = {
    ...SCOPE,
    name: "data",
    engineName: "v1",
    mode: "exclusive",
    external: false,
    createdAt: 1,
  };
  await fixture.put(keys.volume(SCOPE, "data"), { ...volume, node: "node-1" });
  const watch = await open(fixture, [{ kind: "volume", node: "node-1" }]);
  assert.deepEqual(words(await watch.next()), ["put volume shop/data"]);
  await watch.next();
  await fixture.put(keys.volume(SCOPE, "data"), { ...volume, node: "node-2" });
  clock.advance(WINDOW_MS);
  assert.deepEqual(words(await watch.next()), ["delete volume shop/data", "bookmark"]);
  watch.end();
});

test("an agent is shown its tasks joined with spec and image, also when the release comes late", async () => {
  const { clock, fixture } = await setUp();
  const watch = await open(fixture, [{ kind: "assignment", node: "node-1" }], { actor: AGENT });
  await watch.next();
  await fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001"));
  await fixture.put(keys.task(SCOPE, "task0002"), taskRow("task0002", { node: "node-2" }));
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  clock.advance(WINDOW_MS);
  const [event] = await watch.next();
  assert.ok(event?.type === "put" && event.kind === "assignment");
  const assignment = Object(event.value);
  assert.equal(assignment.task.id, "task0001");
  assert.equal(assignment.spec.image, "busybox:1");
  watch.end();
});

test("a node that comes to a network is told who is there before it is told its task", async () => {
  const { clock, fixture } = await setUp();
  const selectors = ["assignment", "service", "attachment"] as const;
  const watch = await open(
    fixture,
    selectors.map((kind) => ({ kind, node: "node-1" })),
    { actor: AGENT },
  );
  await watch.next();
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  const on = (address: string) => ({
    attachments: [{ networkId: "10000000", address, mac: "02:42:0a:40:03:01" }],
  });
  const other = { ...on("10.64.3.2"), node: "node-2" };
  await fixture.put(keys.task(SCOPE, "task0002"), taskRow("task0002", other));
  await fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001", on("10.64.3.3")));
  clock.advance(WINDOW_MS);
  const told = words(await watch.next());
  assert.deepEqual(told, [
    "put attachment shop/task0002",
    "put assignment shop/task0001",
    "bookmark",
  ]);
  watch.end();
});

test("a silent stream beats, with its position when that has moved", async () => {
  const { clock, fixture } = await setUp();
  const watch = await open(fixture, [{ kind: "node" }]);
  await watch.next();
  const silent = watch.next();
  clock.advance(HEARTBEAT_MS + 3_000);
  assert.deepEqual(words(await silent), ["heartbeat"]);
  await fixture.put(keys.stack(SCOPE), stackRow());
  const moved = watch.next();
  clock.advance(HEARTBEAT_MS + 3_000);
  const [event] = await moved;
  assert.ok(event?.type === "bookmark");
  assert.equal(event.position, `memory:${fixture.state.revision}`);
  watch.end();
});

test("a client that does not read is told to list again, and holds no more than the limit", async () => {
  const { clock, fixture } = await setUp();
  const watch = await open(fixture, [{ kind: "task" }]);
  await watch.next();
  const stopReason = "x".repeat(MIB / 2);
  for (let count = 0; count <= WATCHER_BYTES_MAX / (MIB / 2); count++) {
    const id = `task000${count}`;
    await fixture.put(keys.task(SCOPE, id), taskRow(id, { stopReason }));
  }
  clock.advance(WINDOW_MS);
  assert.deepEqual(words(await watch.next()), ["resync"]);
  assert.deepEqual(await watch.next(), []);
  assert.equal(fixture.api.watches.figures().resyncs, 1);
  assert.equal(fixture.api.watches.figures().watchers, 0);
});

test("a position of another epoch, of the future or compacted away is gone", async () => {
  const { clock, fixture } = await setUp();
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.store.compact(fixture.state.revision);
  for (const position of ["other:1", "memory:99999", "nonsense", "memory:1"]) {
    await assert.rejects(
      settled(clock, open(fixture, [{ kind: "node" }], { position })),
      (error) => error instanceof ProtocolError && error.code === "position_gone",
      position,
    );
  }
  assert.equal(fixture.api.watches.figures().watchers, 0);
});

test("a dial request goes to the newest stream of the node's agent, at once", async () => {
  const { fixture } = await setUp();
  const request = { kind: "stats", tasks: [] } as const;
  assert.equal(fixture.api.watches.dial("node-1", { session: "abcdef", request }), false);
  const old = await open(fixture, [{ kind: "assignment", node: "node-1" }], { actor: AGENT });
  const fresh = await open(fixture, [{ kind: "assignment", node: "node-1" }], { actor: AGENT });
  await old.next();
  await fresh.next();
  assert.equal(fixture.api.watches.dial("node-1", { session: "abcdef", request }), true);
  assert.deepEqual(words(await fresh.next()), ["dial"]);
  old.end();
  fresh.end();
});

test("a stream that is given up before it is read leaves nothing", async () => {
  const { fixture } = await setUp();
  const watch = await open(fixture, [{ kind: "task" }]);
  watch.abort.abort();
  assert.equal(fixture.api.watches.figures().watchers, 0);
});

test("an agent may not watch what belongs to others", async () => {
  const { clock, fixture } = await setUp();
  const client = fixture.client({ token: "bt_agent" });
  const watch = (selectors: WatchSelector[]) =>
    settled(clock, client.call("watch", { params: {}, body: { selectors } }));
  for (const selector of [
    { kind: "assignment" },
    { kind: "assignment", node: "node-2" },
    { kind: "deployment" },
    { kind: "event" },
  ] as const) {
    await assert.rejects(
      watch([selector]),
      (error) => error instanceof ProtocolError && error.code === "forbidden",
    );
  }
  await watch([{ kind: "assignment", node: "node-1" }, { kind: "status" }]);
  await fixture.put(keys.status(SCOPE, "task0001"), statusRow("task0001"));
});

test("a task that runs on gets what a new release changes without a new container", async () => {
  const { clock, fixture } = await setUp();
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001"));
  const watch = await open(fixture, [{ kind: "assignment", node: "node-1" }], { actor: AGENT });
  await watch.next();
  await watch.next();
  const first = releaseRow();
  const web = first.services["web"];
  assert.ok(web !== undefined);
  const routes = [{ host: "new.example.com", path: "/", port: 80 }];
  const services = { web: { ...web, spec: { ...web.spec, routes } } };
  await fixture.put(keys.release(SCOPE, 2), releaseRow({ number: 2, services }));
  await fixture.put(keys.stack(SCOPE), stackRow({ release: 2, releaseMax: 2 }));
  clock.advance(WINDOW_MS);
  const [event] = await watch.next();
  assert.ok(event?.type === "put" && event.kind === "assignment");
  const assignment = Object(event.value);
  assert.equal(assignment.task.release, 1);
  assert.deepEqual(assignment.spec.routes, routes);
  watch.end();
});

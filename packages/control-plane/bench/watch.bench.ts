/**
 * Watch streams over HTTP on the memory store: time from a commit's acknowledgement to the line at the
 * client, and the processor's share. Server and clients share one process and its event loop, so the
 * figures are upper bounds. Run: `node packages/control-plane/bench/watch.bench.ts [streams] [events/s]`.
 */

import assert from "node:assert/strict";
import { keys } from "@berth/protocol";
import { nodeRow, SCOPE, statusRow, taskRow } from "../src/api/api-fixture.ts";
import { startHttpFixture } from "../src/server/http-fixture.ts";

const STREAMS = Number(process.argv[2] ?? 200);
const EVENTS_PER_S = Number(process.argv[3] ?? 200);
const SECONDS = 5;

// The platform's timers do not keep a process alive; this one does, and bounds the run.
setTimeout(() => process.exit(1), 60_000);
const fixture = await startHttpFixture();
const sentAt = new Map<number, number>();
const delays: number[] = [];
const ending = new AbortController();
let synced = 0;

async function follow(node: string): Promise<void> {
  const events = await fixture.http().call("watch", {
    params: {},
    body: { selectors: [{ kind: "status", node }] },
    signal: ending.signal,
  });
  for await (const event of events) {
    if (event.type === "synced") synced++;
    if (event.type !== "put") continue;
    const at = sentAt.get(event.revision);
    if (at !== undefined) delays.push(performance.now() - at);
  }
}

for (let index = 0; index < STREAMS; index++) {
  const node = `node-${index}`;
  await fixture.put(keys.node(node), nodeRow(node));
  const id = `task${String(index).padStart(5, "0")}`;
  await fixture.put(keys.task(SCOPE, id), taskRow(id, { node }));
  follow(node).catch(() => undefined);
}
while (synced < STREAMS) await new Promise((done) => setImmediate(done));

const cpu = process.cpuUsage();
const start = performance.now();
let written = 0;
while (performance.now() - start < SECONDS * 1_000) {
  const index = written % STREAMS;
  const id = `task${String(index).padStart(5, "0")}`;
  const status = statusRow(id, { node: `node-${index}`, sequence: ++written });
  const then = [
    { kind: "put", key: keys.status(SCOPE, id), value: JSON.stringify(status) },
  ] as const;
  const at = performance.now();
  const { revision } = await fixture.store.txn({ compare: [], then });
  sentAt.set(revision, at);
  const pauseMs = start + (written * 1_000) / EVENTS_PER_S - performance.now();
  await new Promise((done) => setTimeout(done, Math.max(0, pauseMs)));
}
await new Promise((done) => setTimeout(done, 200));
const { user, system } = process.cpuUsage(cpu);
const elapsedMs = performance.now() - start;
// Every event reached the one stream that selects it: otherwise the figures mean nothing.
assert.equal(delays.length, written);
delays.sort((a, b) => a - b);
const at = (share: number) => (delays[Math.floor(delays.length * share)] ?? 0).toFixed(2);
console.log(
  `${STREAMS} streams, ${written} events in ${(elapsedMs / 1_000).toFixed(1)} s: ` +
    `delay p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; ` +
    `processor ${(((user + system) / 1_000 / elapsedMs) * 100).toFixed(0)} % (server and clients)`,
);
ending.abort();
await fixture.stop();
process.exit(0);

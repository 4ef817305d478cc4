/** What is new is written only once everybody reads it: servers with a level each, on one store. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import {
  FORMAT_LEVEL,
  FORMATS,
  type JoinToken,
  keys,
  type Node,
  ProtocolError,
  type ServerAddress,
} from "@berth/protocol";
import { AGENT_TOKEN, nodeStatusRow, startFixture } from "../api/api-fixture.ts";
import { ControlPlane } from "../control-plane.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { MemoryStore } from "../store/memory.ts";
import { refuseNewerState } from "./format-standing.ts";

/** Rows of servers that are older than a week are forgotten. */
const NOW = new ManualClock().now();

const NODE: Node = {
  name: "node-1",
  labels: {},
  availability: "active",
  joinedAt: 1,
  contact: "up",
  contactChangedAt: 1,
};

function serverRow(node: string, format?: number): ServerAddress {
  const said = format === undefined ? {} : { format };
  return { node, urls: [], authority: "", version: "0.0.9", protocol: 2, at: NOW, ...said };
}

/** A store that an older version has written, and a server of this version on it. */
class OldCluster {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore({ clock: this.clock });
  readonly driver = new Driver({ clock: this.clock, log: silentLogger, prng: new Prng(1) });
  readonly tooOld: number[] = [];
  readonly plane = new ControlPlane({
    ...{ store: this.store, clock: this.clock, log: silentLogger, driver: this.driver },
    prng: new Prng(2),
    settings: DEFAULT_SETTINGS,
    serverNode: "node-1",
    onTooOld: (level) => this.tooOld.push(level),
  });

  async start(): Promise<void> {
    await this.put(keys.cluster(), { id: "c0ffee00", createdAt: 1 });
    await this.put(keys.node("node-1"), NODE);
    await this.put(keys.nodeStatus("node-1"), nodeStatusRow({ name: "node-1" }));
    void this.plane.start();
    await this.pass();
  }

  async put(key: string, value: object): Promise<void> {
    const put = { kind: "put", key, value: JSON.stringify(value) } as const;
    await this.store.txn({ compare: [], then: [put] });
    await this.pass();
  }

  async remove(key: string): Promise<void> {
    await this.store.txn({ compare: [], then: [{ kind: "delete", key }] });
    await this.pass();
  }

  /** Longer than the look for what has vanished. */
  async pass(): Promise<void> {
    for (let step = 0; step < 60; step++) {
      this.clock.advance(100);
      await turn();
    }
  }

  get level(): number {
    return this.plane.formats().level;
  }

  holders(): string[] {
    return this.plane.formats().heldBackBy.map(({ member, format }) => `${member} reads ${format}`);
  }
}

async function refusal(work: Promise<unknown>): Promise<ProtocolError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error;
  }
  return assert.fail("it was not refused");
}

test("the level rises once the last server and the last node read more, and never before", async () => {
  const cluster = new OldCluster();
  await cluster.put(keys.serverAddress("two"), serverRow("two"));
  await cluster.put(keys.node("three"), { ...NODE, name: "three" });
  await cluster.put(
    keys.nodeStatus("three"),
    nodeStatusRow({ name: "three", format: FORMAT_LEVEL - 1 }),
  );
  await cluster.start();
  assert.deepEqual(
    [cluster.level, cluster.holders()],
    [1, ["server two reads 1", "node three reads 1"]],
  );
  await cluster.put(keys.serverAddress("two"), serverRow("two", FORMAT_LEVEL));
  assert.deepEqual([cluster.level, cluster.holders()], [1, ["node three reads 1"]]);
  // Silent or not: it may come back and read.
  await cluster.put(keys.node("three"), { ...NODE, name: "three", contact: "down" });
  assert.equal(cluster.level, 1);
  await cluster.remove(keys.node("three"));
  assert.deepEqual([cluster.level, cluster.holders()], [FORMAT_LEVEL, []]);
  // What comes later and reads less does not bring it down again.
  await cluster.put(keys.serverAddress("two"), serverRow("two"));
  assert.equal(cluster.level, FORMAT_LEVEL);
});

test("a server that is there without an address holds the level back, and this one's old rows do not", async () => {
  const cluster = new OldCluster();
  await cluster.put(keys.serverAddress("node-1"), serverRow("node-1"));
  await cluster.put(keys.server("s2"), { server: "s2", node: "two", since: 1, heard: [] });
  await cluster.start();
  assert.deepEqual([cluster.level, cluster.holders()], [1, ["server two reads 1"]]);
  await cluster.remove(keys.server("s2"));
  assert.equal(cluster.level, FORMAT_LEVEL);
});

const TOKEN: JoinToken = { id: "t", hash: "h", createdAt: 1, expiresAt: 2, createdBy: "x" };
/** A value with each format, and the nearest one without. */
const SAMPLES: Readonly<Record<string, readonly [key: string, with_: object, without: object]>> = {
  "a taint that evicts (no-execute)": [
    keys.node("n"),
    { ...NODE, taints: { gone: { effect: "no-execute" } } },
    // The same words in another place.
    { ...NODE, labels: { effect: "no-execute" }, taints: { gone: { effect: "no-schedule" } } },
  ],
  "a token by which a server joins": [
    keys.joinToken("h"),
    { ...TOKEN, server: true },
    { ...TOKEN, createdBy: '"server":true' },
  ],
  "devices in part or by model (x-berth.devices)": [
    keys.release({ project: "p", environment: "e", stack: "s" }, 1),
    { services: { web: { spec: { devices: [{ kind: "gpu", shareMillis: 500 }] } } } },
    { services: { web: { spec: { environment: { '"shareMillis"': "1" } } } } },
  ],
};

test("nothing in a format is written before the level has it, and all of it from then on", async () => {
  for (const { what, since } of FORMATS) {
    const sample = SAMPLES[what];
    assert.ok(sample, `a sample of ${what}`);
    const [key, value, without] = sample;
    const cluster = new OldCluster();
    await cluster.put(keys.serverAddress("two"), serverRow("two", since - 1));
    await cluster.start();
    const put = (written: object) => ({
      compare: [],
      then: [{ kind: "put", key, value: JSON.stringify(written) } as const],
    });
    const refused = await refusal(cluster.plane.store.txn(put(value)));
    assert.equal(refused.code, "format_held_back");
    assert.match(refused.message, /at 1: server two \(0\.0\.9 reads 1\)/);
    assert.equal((await cluster.store.get(key)).entry, undefined);
    await cluster.plane.store.txn(put(without));
    await cluster.put(keys.serverAddress("two"), serverRow("two", since));
    await cluster.plane.store.txn(put(value));
  }
});

test("a state of a later version is refused at the start, and ends a server that runs", async () => {
  const cluster = new OldCluster();
  await cluster.start();
  await refuseNewerState(cluster.store, "0.1.0");
  assert.deepEqual(cluster.tooOld, []);
  await cluster.put(keys.format(), { level: FORMAT_LEVEL + 1, at: 1 });
  assert.equal(cluster.tooOld[0], FORMAT_LEVEL + 1);
  const refused = await refusal(refuseNewerState(cluster.store, "0.1.0"));
  assert.equal(refused.code, "version_too_old");
  assert.match(refused.message, /this server \(0\.1\.0\) reads formats up to 2, .* is at 3/);
});

test("an agent that reads less than the level is refused with a word, whatever it was before", async () => {
  const api = await startFixture({ clock: new ManualClock() });
  const client = api.client({ token: AGENT_TOKEN });
  const params = { node: "node-1" };
  const { format: _format, ...old } = nodeStatusRow({ name: "node-1" });
  await client.call("reportNode", { params, body: { status: old } });
  await client.call("renewLease", { params });
  await api.put(keys.format(), { level: 2, at: 1 });
  const late = await refusal(client.call("renewLease", { params }));
  assert.equal(late.code, "version_too_old");
  const again = await refusal(client.call("reportNode", { params, body: { status: old } }));
  assert.match(again.message, /the agent of node node-1 \(0\.1\.0\) reads formats up to 1/);
  await client.call("reportNode", { params, body: { status: { ...old, format: 2 } } });
  await client.call("renewLease", { params });
  await api.stop();
});

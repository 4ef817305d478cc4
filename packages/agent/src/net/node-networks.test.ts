import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { type Network, ProtocolError } from "@berth/protocol";
import type { NetworkRequest, Runtime } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { NodeNetworks } from "./node-networks.ts";

function network(id: string): Network {
  return {
    project: "default",
    environment: "main",
    stack: "shop",
    name: "default",
    id,
    subnet: "10.64.0.0/24",
    gateway: "10.64.0.1",
    internal: false,
    createdAt: 0,
  };
}

/** An engine that refuses overlapping ranges, as engines do. */
function engineWith(present: Map<string, NetworkRequest>): Runtime {
  const runtime: Partial<Runtime> = {
    async ensureNetwork(request) {
      const other = [...present.values()].find(({ subnet }) => subnet === request.subnet);
      if (other !== undefined && other.id !== request.id) {
        throw new ProtocolError(
          "claim_taken",
          "Pool overlaps with other one on this address space",
        );
      }
      present.set(request.id, request);
    },
    async listNetworks() {
      return [...present.values()].map(({ id, bridge }) => ({ id, bridge }));
    },
    async removeNetwork(id) {
      present.delete(id);
    },
  };
  return runtime as Runtime;
}

test("a range that a removed network still holds at the engine is freed for its successor", async () => {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const present = new Map<string, NetworkRequest>();
  const networks = new NodeNetworks({
    node: "node-1",
    runtime: engineWith(present),
    state: { told: new Map(), records: new Map(), peers: new Map() } as unknown as AgentState,
    cluster: () => "c1",
    driver,
    isKnown: () => true,
    onMade: () => {},
    hasBridge: () => true,
  });
  const { signal } = new AbortController();
  await networks.ensure(network("aaaaaaaa"), signal);
  await networks.ensure(network("bbbbbbbb"), signal);
  assert.deepEqual([...present.keys()], ["bbbbbbbb"]);
  await driver.stop();
});

test("a bridge that somebody removed under a running task is made anew", async () => {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const present = new Map<string, NetworkRequest>();
  const assignment = sampleAssignment("task01", {
    task: {
      attachments: [{ networkId: "aaaaaaaa", address: "10.64.0.2", mac: "02:42:0a:40:00:02" }],
    },
  });
  const networks = new NodeNetworks({
    node: "node-1",
    runtime: engineWith(present),
    state: {
      told: new Map([["task01", { assignment, intent: "run" }]]),
      records: new Map(),
      peers: new Map(),
      networks: new Map([["aaaaaaaa", network("aaaaaaaa")]]),
    } as unknown as AgentState,
    cluster: () => "c1",
    driver,
    isKnown: () => true,
    onMade: () => {},
    hasBridge: (name) => [...present.values()].some(({ bridge }) => bridge === name),
  });
  await networks.ensure(network("aaaaaaaa"), new AbortController().signal);
  present.clear();
  clock.advance(60_000);
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  assert.deepEqual([...present.keys()], ["aaaaaaaa"]);
  await driver.stop();
});

/** Which node has which part in floating addresses, and which addresses can float. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys } from "@berth/protocol";
import { withAddress } from "./api/handlers/ingress.ts";
import { floatingNodes, floatingParts } from "./reconcile/floating-addresses.ts";
import { refusalError } from "./release/refusal.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { encode } from "./state/decode.ts";
import { ModelCluster } from "./testing/model-cluster.ts";

const NODES = ["node-1", "node-2", "node-3"];

async function cluster(): Promise<ModelCluster> {
  const made = new ModelCluster();
  await made.start(...NODES);
  await made.pass(1_000);
  return made;
}

function decide({ plane, clock }: ModelCluster, address: string, router?: number) {
  const wish = { address, ...(router === undefined ? {} : { router }) };
  const context = { settings: DEFAULT_SETTINGS, now: clock.now() };
  return withAddress(plane.state.view, wish, context);
}

async function set(made: ModelCluster, address: string): Promise<void> {
  const decision = decide(made, address);
  if (decision.kind === "refused") throw refusalError(decision);
  await made.store.txn(decision.txn);
  await made.pass(1);
}

function priorities({ plane }: ModelCluster, node: string): number[] {
  return floatingParts(plane.state.view, node).map(({ priority }) => priority);
}

test("nobody has a part while there is no address; two begin at two nodes", async () => {
  const made = await cluster();
  assert.deepEqual(priorities(made, "node-1"), []);
  await set(made, "198.51.100.10/24");
  await set(made, "198.51.100.11/24");
  assert.deepEqual(
    NODES.map((node) => priorities(made, node)),
    [
      [250, 248],
      [249, 250],
      [248, 249],
    ],
  );
  const [part] = floatingParts(made.plane.state.view, "node-1");
  assert.deepEqual([part?.address, part?.router], ["198.51.100.10/24", 51]);
  assert.deepEqual(part?.peers, ["192.0.2.2", "192.0.2.3"]);
});

test("a node that is drained has no part, and nothing changes for the others", async () => {
  const made = await cluster();
  await set(made, "198.51.100.10/24");
  const { view } = made.plane.state;
  const before = floatingParts(view, "node-2");
  const known = view.nodes.get(keys.node("node-1"))?.value;
  assert.ok(known);
  const value = encode({ ...known, availability: "draining" as const });
  const put = { kind: "put", key: keys.node("node-1"), value } as const;
  await made.store.txn({ compare: [], then: [put] });
  await made.pass(1);
  assert.deepEqual(priorities(made, "node-1"), []);
  assert.deepEqual(floatingParts(view, "node-2"), before);
  assert.deepEqual(floatingNodes(view, 0), ["node-2", "node-3"]);
});

test("what cannot float is refused with what is there", async () => {
  const made = await cluster();
  await set(made, "198.51.100.10/24");
  const messageOf = (address: string, router?: number) => {
    const decision = decide(made, address, router);
    return decision.kind === "refused" ? decision.message : "accepted";
  };
  assert.match(messageOf("198.51.100.300/24"), /is no IPv4 address with its prefix/);
  assert.match(messageOf("198.51.100.11"), /is no IPv4 address with its prefix/);
  assert.match(messageOf("198.51.100.11/0"), /is no IPv4 address with its prefix/);
  assert.match(messageOf("192.0.2.2/24"), /the own address of node node-2/);
  assert.match(messageOf("198.51.100.11/24", 51), /the number 51 is that of 198.51.100.10\/24/);
  assert.equal(messageOf("198.51.100.10/24", 77), "accepted", "another number for the same one");
});

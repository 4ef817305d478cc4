import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Ask, NodeModel } from "../model.ts";
import { makeAsk, makeNode } from "../testing/fixtures.ts";
import { randomScene } from "../testing/random-scene.ts";
import { readAsk } from "./ask-line.ts";
import { readNode } from "./node-line.ts";
import { askLine, nodeLine } from "./write-lines.ts";

/** As it comes back through a file. */
function throughFile<T>(line: object, read: (value: unknown) => T): T {
  return read(JSON.parse(JSON.stringify(line)));
}

/** Values alone: fast-check's records have no prototype. */
function alike(actual: unknown, expected: unknown): void {
  assert.deepEqual(plain(actual), plain(expected));
}

function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

test("a node that was written is read back as it was", () => {
  fc.assert(
    fc.property(randomScene, ({ cluster }) => {
      for (const node of cluster.nodes) {
        const { pools: _pools, portsTaken = [], ...rest } = node;
        const taken = portsTaken.length === 0 ? {} : { portsTaken };
        const sayable: NodeModel = { ...rest, addresses: [], ...taken };
        alike(throughFile(nodeLine(sayable), readNode).model, sayable);
      }
    }),
  );
});

test("an ask that was written is read back and written again alike", () => {
  fc.assert(
    fc.property(randomScene, ({ asks }) => {
      for (const ask of asks) {
        const { volumes: _volumes, addresses: _addresses, ...rest } = ask;
        const { previousNode: _previous, failedNodes: _failed, ...sayable } = rest;
        const line = askLine(sayable);
        const read: Ask = throughFile(line, readAsk).ask;
        assert.deepEqual(askLine(read)["constraints"], line["constraints"]);
        alike(read.affinities, sayable.affinities);
        alike(read.antiAffinities, sayable.antiAffinities);
        alike(read.spread, sayable.spread);
        alike(read.tolerations, sayable.tolerations);
        alike(read.ports, sayable.ports);
        for (const name of ["pod", "gang", "priority", "pinnedNode", "maxPerNode"] as const) {
          assert.equal(read[name], sayable[name], name);
        }
        alike(read.requests.devices?.length ?? 0, ask.requests.devices?.length ?? 0);
      }
    }),
  );
});

test("what is absent is left out of a line", () => {
  const line = nodeLine(makeNode("n", { draining: true }));
  assert.deepEqual(Object.keys(line), [
    ...["id", "cpuMillis", "memoryBytes", "diskBytes", "architecture", "reserved", "draining"],
  ]);
  assert.deepEqual(askLine(makeAsk("a", { platforms: [{ os: "linux", architecture: "arm64" }] })), {
    id: "a",
    service: "a",
    constraints: ["node.platform.arch in (arm64)"],
  });
});

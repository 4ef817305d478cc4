import assert from "node:assert/strict";
import { test } from "node:test";
import { classKey, sameClass } from "./ask-shape.ts";
import type { Ask } from "./model.ts";
import { constraint, makeAsk } from "./testing/fixtures.ts";

/** A value for every field that a class has; the compiler refuses a list with one missing. */
const FIELDS: Required<Omit<Ask, "id" | "slot" | "gang" | "priority">> = {
  service: "other",
  requests: { cpuMillis: 1 },
  ports: [{ protocol: "tcp", port: 80 }],
  volumes: [{ key: "data", mode: "shared" }],
  addresses: [{ address: "10.0.0.1", pool: "lan" }],
  antiAffinities: [{ kind: "service", service: "db", level: "node", required: true }],
  pod: "pod",
  constraints: [constraint("node.labels.disk==ssd")],
  affinities: [{ kind: "service", service: "db", level: "zone", required: false }],
  spread: [{ level: "zone", required: true }],
  maxPerNode: 1,
  pinnedNode: "a",
  images: [{ digest: "sha256:1", bytes: 1 }],
  tolerations: [{ key: "batch" }],
  platforms: [{ os: "linux", architecture: "arm64" }],
  previousNode: "b",
  failedNodes: ["c"],
  strategy: "room",
  weights: { spread: 20 },
  overcommit: { cpu: 150 },
  limits: { cpuMillis: 2 },
  measured: { cpuMillis: 1 },
};

test("every field but identity, copy, gang and priority makes another class", () => {
  const plain = makeAsk("web.1", { slot: 1 });
  for (const [field, value] of Object.entries(FIELDS)) {
    const other = { ...plain, [field]: value };
    assert.ok(!sameClass(plain, other), field);
    assert.ok(sameClass(other, structuredClone(other)), field);
    assert.notEqual(classKey(plain), classKey(other), field);
  }
});

test("asks that differ in identity, copy, gang and priority are of one class", () => {
  const plain = makeAsk("web.1", { slot: 1 });
  const other = makeAsk("web.2", { slot: 2, gang: "g", priority: 90 });
  assert.ok(sameClass(plain, other));
  assert.equal(classKey(plain), classKey(other));
});

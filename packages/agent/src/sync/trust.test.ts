import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleAssignment, sampleWithVolume } from "../task/assignment-sample.ts";
import { parsePosition, superseded, trustIn } from "./trust.ts";

const MEMORY = { cluster: "c", epoch: "e1", revision: 10 };

for (const { name, memory, speaker, confirmed, kind } of [
  { name: "first contact", memory: {}, speaker: ["c", "e1", 1], kind: "full" },
  { name: "same store, later", memory: MEMORY, speaker: ["c", "e1", 11], kind: "full" },
  { name: "same store, unchanged", memory: MEMORY, speaker: ["c", "e1", 10], kind: "full" },
  { name: "another cluster", memory: MEMORY, speaker: ["d", "e1", 11], kind: "foreign" },
  { name: "another epoch", memory: MEMORY, speaker: ["c", "e2", 99], kind: "restored" },
  { name: "put back by hand", memory: MEMORY, speaker: ["c", "e1", 9], kind: "restored" },
  { name: "confirmed", memory: MEMORY, speaker: ["c", "e2", 1], confirmed: "e2", kind: "full" },
  {
    name: "another confirmed",
    memory: MEMORY,
    speaker: ["c", "e3", 1],
    confirmed: "e2",
    kind: "restored",
  },
  {
    name: "another cluster that somebody confirmed",
    memory: MEMORY,
    speaker: ["d", "e2", 1],
    confirmed: "e2",
    kind: "foreign",
  },
] as const) {
  test(`trust: ${name} is ${kind}`, () => {
    const [cluster, epoch, revision] = speaker;
    assert.equal(trustIn(memory, { cluster, epoch, revision }, confirmed).kind, kind);
  });
}

test("an unlisted task goes when its slot or volume was given to a running one, else it stays", () => {
  const listed = [
    sampleWithVolume("new001", "vol1", { task: { slot: 1 } }),
    sampleAssignment("new002", { task: { slot: 5, desired: "stopped" } }),
  ];
  const unknown = [
    sampleAssignment("slot01", { task: { slot: 1 } }),
    sampleWithVolume("volume", "vol1", { task: { slot: 9 } }),
    sampleAssignment("other1", { task: { slot: 1, service: "api" } }),
    sampleAssignment("slot05", { task: { slot: 5 } }),
  ];
  assert.deepEqual([...superseded(unknown, listed)], ["slot01", "volume"]);
});

test("a position is an epoch and a revision", () => {
  assert.deepEqual(parsePosition("a:b:12"), { epoch: "a:b", revision: 12 });
  for (const bad of ["", "12", ":12", "e:", "e:x", "e:1.5"]) {
    assert.equal(parsePosition(bad), undefined, bad);
  }
});

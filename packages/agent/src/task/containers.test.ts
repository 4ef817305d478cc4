import assert from "node:assert/strict";
import { test } from "node:test";
import { type ContainerState, LABEL_TASK } from "../runtime/port.ts";
import { Containers } from "./containers.ts";

function container(task: string, phase: ContainerState["phase"]): ContainerState {
  const labels = { [LABEL_TASK]: task };
  return { id: `c-${task}`, name: task, labels, imageId: "sha256:0", phase, oomKilled: false };
}

function seen(): { readonly containers: Containers; readonly told: string[][] } {
  const containers = new Containers();
  const told: string[][] = [];
  containers.onListed = (tasks) => told.push([...tasks].sort());
  return { containers, told };
}

test("whoever asks for a list, every task that it shows to be different is told", () => {
  const { containers, told } = seen();
  for (const task of ["a", "b", "c"]) containers.note(container(task, "running"));
  const begun = containers.begin();
  containers.replaceAll(begun, [container("a", "exited"), container("b", "running")]);
  assert.deepEqual(told, [["a", "c"]]);
  containers.replaceAll(containers.begin(), [container("a", "exited"), container("b", "running")]);
  assert.deepEqual(told, [["a", "c"]], "nothing new, nobody told");
});

test("what was noted after a list was asked for is not overwritten by it", () => {
  const { containers, told } = seen();
  containers.note(container("a", "created"));
  const begun = containers.begin();
  containers.note(container("a", "running"));
  containers.replaceAll(begun, [container("a", "created")]);
  assert.equal(containers.get("c-a")?.phase, "running");
  assert.deepEqual(told, []);
});

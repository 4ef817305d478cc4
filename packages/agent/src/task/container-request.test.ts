/** What a task's own devices become in the container that the runtime is asked for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineOptions, Task } from "@berth/protocol";
import { sampleAssignment } from "./assignment-sample.ts";
import { containerRequest } from "./container-request.ts";

function engineOf(engine: EngineOptions, devices: NonNullable<Task["devices"]>): EngineOptions {
  const assignment = sampleAssignment("web00001", { task: { devices }, spec: { engine } });
  return containerRequest({
    ...{ cluster: "c0ffee00", assignment, attempt: 1 },
    ...{ imageId: assignment.image.imageId ?? "", fileMounts: [] },
  }).engine;
}

const wish = { count: 1, capabilities: ["gpu", "compute"], options: { a: "b" } };
const other = { driver: "cdi", ids: ["x"], capabilities: ["net"], options: {} };

test("devices with files are given by their files, beside those that the spec names", () => {
  const fuse = { source: "/dev/fuse", target: "/dev/fuse", permissions: "rwm" };
  const paths = ["/dev/kfd", "/dev/dri/renderD128"];
  const gpu = { kind: "gpu", model: "", id: "a", paths };
  const second = { ...gpu, id: "b", paths: ["/dev/kfd", "/dev/dri/renderD129"] };
  const { devices, deviceRequests } = engineOf({ devices: [fuse], deviceRequests: [wish, other] }, [
    gpu,
    second,
  ]);
  assert.deepEqual(
    devices?.map(({ source, target }) => `${source} ${target}`),
    ["/dev/fuse /dev/fuse", ...[...paths, "/dev/dri/renderD129"].map((path) => `${path} ${path}`)],
  );
  // "Any one" is not asked of the engine as well, or it would give another; what is of other kinds stays.
  assert.deepEqual(deviceRequests, [other]);
});

test("devices of the engine's driver are asked for by identity, with the capabilities of the file", () => {
  const gpu = (id: string) => ({ kind: "gpu", model: "T4", id, paths: [], driver: "nvidia" });
  const { deviceRequests } = engineOf({ deviceRequests: [wish] }, [gpu("GPU-1"), gpu("GPU-2")]);
  assert.deepEqual(deviceRequests, [
    {
      ...{ driver: "nvidia", ids: ["GPU-1", "GPU-2"] },
      ...{ capabilities: ["gpu", "compute"], options: { a: "b" } },
    },
  ]);
  assert.deepEqual(engineOf({}, [gpu("GPU-1")]).deviceRequests?.[0]?.capabilities, ["gpu"]);
});

test("a task without devices of its own asks as its file does", () => {
  const engine = engineOf({ deviceRequests: [wish] }, []);
  assert.deepEqual(engine.deviceRequests, [wish]);
});

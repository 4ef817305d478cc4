/**
 * Devices with real parts: two that the host's operator declares (character devices like /dev/null and /dev/zero, under
 * names of their own), and copies that get exactly one each, seen from inside their containers.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, TestPlatform } from "./test-platform.ts";

const FOLDER = "/dev/berth-e2e";
let platform: TestPlatform;
let compose: string;

interface TaskRow {
  readonly task: {
    readonly slot: number;
    readonly devices?: readonly { readonly kind: string; readonly id: string }[];
  };
  readonly status?: { readonly ready: boolean };
}

before(async () => {
  platform = await TestPlatform.start();
  mkdirSync(FOLDER, { recursive: true });
  execFileSync("mknod", ["-m", "666", join(FOLDER, "zero"), "c", "1", "5"]);
  execFileSync("mknod", ["-m", "666", join(FOLDER, "null"), "c", "1", "3"]);
  const devices = ["zero", "null"].map((id) => ({
    ...{ kind: "fake", model: "test", id, paths: [join(FOLDER, id)] },
  }));
  writeFileSync(join(platform.dataDir, "devices.json"), JSON.stringify(devices));
  compose = join(platform.dataDir, "devices.yaml");
  const wish = "{discrete_resource_spec: {kind: fake, value: 1}}";
  writeFileSync(
    compose,
    `name: fakes
services:
  user:
    image: berth/busybox
    command: [sleep, "100000"]
    deploy: {replicas: 2, resources: {reservations: {generic_resources: [${wish}]}}}
`,
  );
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(async () => {
  await platform.uninstall();
  rmSync(FOLDER, { recursive: true, force: true });
});

test("declared devices are reported, counted, and given to one copy each", async () => {
  await eventually(
    "the agent tells of them",
    async () => /fake +test zero/.test(await platform.must("node", "describe", await nodeName())),
    90_000,
  );
  await platform.must("deploy", "-f", compose);
  const rows = await platform.json<TaskRow>("ps", "fakes");
  const ids = rows.map(({ task }) => task.devices?.[0]?.id);
  assert.deepEqual([...ids].sort(), ["null", "zero"]);
  for (const { task } of rows) {
    const own = task.devices?.[0]?.id ?? "";
    const copy = `fakes/user-${task.slot}`;
    const list = await platform.must("exec", copy, "ls", FOLDER);
    assert.equal(list.trim(), own, `${copy} sees its own alone`);
    const bytes = await platform.must(
      "exec",
      copy,
      "sh",
      "-c",
      `head -c 4 ${FOLDER}/${own} | wc -c`,
    );
    assert.equal(Number(bytes), own === "zero" ? 4 : 0, `${copy} may read it`);
  }
});

test("a third copy waits for a device, and what a copy gave back is given on", async () => {
  await platform.must("scale", "fakes/user=3");
  await eventually("it waits", async () =>
    /lacks? fake \(need 1 whole, none is free\)/.test(await platform.must("explain", "fakes/user")),
  );
  await platform.must("scale", "fakes/user=1");
  await eventually("one copy is left", async () => (await readyIds()).length === 1);
  await platform.must("scale", "fakes/user=2");
  await eventually("each has one again", async () => (await readyIds()).join() === "null,zero");
});

test("halves of devices: two copies share one, each sees that one alone", async () => {
  await platform.must("stack", "rm", "fakes", "--yes");
  const halves = join(platform.dataDir, "halves.yaml");
  writeFileSync(
    halves,
    `name: halves
services:
  half:
    image: berth/busybox
    command: [sleep, "100000"]
    stop_grace_period: 0s
    deploy: {replicas: 4}
    x-berth: {devices: [{kind: fake, share: 0.5, models: [test]}]}
`,
  );
  await platform.must("deploy", "-f", halves);
  assert.deepEqual(await readyIds("halves"), ["null", "null", "zero", "zero"]);
  for (const { task } of await platform.json<TaskRow>("ps", "halves")) {
    const list = await platform.must("exec", `halves/half-${task.slot}`, "ls", FOLDER);
    assert.equal(list.trim(), task.devices?.[0]?.id);
  }
  await platform.must("scale", "halves/half=5");
  await eventually("the fifth waits", async () =>
    /lacks? fake \(test\) \(need 0\.5, none is free\)/.test(
      await platform.must("explain", "halves/half"),
    ),
  );
  await platform.must("stack", "rm", "halves", "--yes");
});

test("a model that no device has is named where a copy waits for it", async () => {
  const other = join(platform.dataDir, "other.yaml");
  writeFileSync(
    other,
    `name: other
services:
  one:
    image: berth/busybox
    command: [sleep, "100000"]
    x-berth: {devices: [{kind: fake, models: [B200]}]}
`,
  );
  const { code } = await platform.berth("deploy", "-f", other, "--timeout", "5s");
  assert.notEqual(code, 0);
  assert.match(await platform.must("explain", "other/one"), /has no device fake \(B200\)/);
  await platform.must("stack", "rm", "other", "--yes");
});

async function readyIds(stack = "fakes"): Promise<string[]> {
  const rows = await platform.json<TaskRow>("ps", stack);
  const ready = rows.filter(({ status }) => status?.ready);
  return ready.flatMap(({ task }) => task.devices?.map(({ id }) => id) ?? []).sort();
}

async function nodeName(): Promise<string> {
  const [row] = await platform.json<{ readonly node: { readonly name: string } }>("node", "ls");
  return row?.node.name ?? "";
}

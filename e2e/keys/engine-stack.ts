/**
 * What only some kernels and engines can: limits of disks, devices of drivers, real-time processors, quotas. Where
 * this machine cannot, the engine's own refusal shows that it was asked, and the reader of the deploy sees it.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { eventually } from "../test-platform.ts";
import { SMALL } from "./process-stack.ts";
import type { KeyCheck, KeyStack, Scene } from "./scene.ts";

/** A disk of this machine; none needs to be read or written. */
const DISK =
  ["/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"].find((path) => existsSync(path)) ??
  "/dev/loop0";

/** The engine's words about the service, or nothing when it runs. */
async function refusalOf(at: Scene, service: string): Promise<string> {
  let words = "";
  await eventually(`${service} runs or was refused`, async () => {
    const row = (await at.tasks()).filter(({ task }) => task.service === service).at(-1);
    words = row?.status?.message ?? "";
    if (row?.status?.state === "running") words = "";
    return row?.status?.state === "running" || words !== "";
  });
  return words;
}

/** The options are in force, or the engine has said in `words` that it cannot. */
function askedOf(
  keys: readonly string[],
  says: string,
  service: string,
  form: { readonly words: RegExp; readonly host: Readonly<Record<string, unknown>> },
): KeyCheck {
  return {
    keys,
    says,
    asks: { service, host: form.host },
    look: async (at) => {
      const refusal = await refusalOf(at, service);
      if (refusal !== "") return assert.match(refusal, form.words);
      const { HostConfig } = at.container(service);
      for (const [option, value] of Object.entries(form.host)) {
        assert.deepEqual(HostConfig[option], value, option);
      }
    },
  };
}

/** A request as the engine's API has it. */
function deviceRequest(form: {
  readonly count: number;
  readonly ids?: readonly string[];
  readonly capabilities: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}): Readonly<Record<string, unknown>> {
  return {
    Driver: "berth-test",
    Count: form.count,
    DeviceIDs: form.ids ?? [],
    Capabilities: [form.capabilities],
    Options: form.options,
  };
}

const DEVICE_KEYS = ["capabilities", "count", "device_ids", "driver", "options"] as const;

export const ENGINE: KeyStack = {
  name: "engine",
  words: ["--detach"],
  compose: `
services:
  disks:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    blkio_config:
      weight: 300
      weight_device: [{path: ${DISK}, weight: 400}]
      device_read_bps: [{path: ${DISK}, rate: 4mb}]
      device_write_bps: [{path: ${DISK}, rate: 5mb}]
      device_read_iops: [{path: ${DISK}, rate: 60}]
      device_write_iops: [{path: ${DISK}, rate: 70}]
  graphics:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    gpus: [{count: 2, driver: berth-test, capabilities: [compute], options: {a: b}}, {device_ids: ["5"], driver: berth-test}]
  reserved:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    deploy: {resources: {reservations: {devices: [{capabilities: [other], driver: berth-test, device_ids: ["7"], options: {c: d}}, {capabilities: [third], driver: berth-test, count: 3}]}}}
  counted:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: license, value: 3}}]}}}
  uncounted:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: license, value: 9}}]}}}
  real-time:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    cpu_rt_period: 1000000
    cpu_rt_runtime: 950000
  quota:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    storage_opt: {size: 1g}
  part:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    volumes: [{type: volume, source: whole, target: /part, volume: {subpath: inside}}]
  isolated:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    isolation: hyperv
  mighty:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    privileged: true
  mighty-hook:
    ${SMALL}
    image: berth/busybox
    command: sleep 100000
    post_start: [{command: ["true"], privileged: true}]
    pre_stop: [{command: ["true"], privileged: true}]
volumes: {whole: }
`,
  checks: [
    {
      keys: ["read_bps", "write_bps", "read_iops", "write_iops"].flatMap((kind) =>
        ["path", "rate"].map((key) => `services.*.blkio_config.device_${kind}.${key}`),
      ),
      says: "control groups bound what is read from and written to a disk",
      look: async (at) => {
        assert.equal(await refusalOf(at, "disks"), "");
        const limits = ["Read", "Write"].flatMap((way) =>
          ["Bps", "IOps"].map(
            (unit) => at.container("disks").HostConfig[`BlkioDevice${way}${unit}`],
          ),
        );
        const rates = [4_194_304, 60, 5_242_880, 70];
        assert.deepEqual(
          limits,
          rates.map((Rate) => [{ Path: DISK, Rate }]),
        );
        const v1 = "blkio.throttle.read_bps_device";
        assert.match(at.cgroup("disks", "blkio", v1, "io.max"), /\b4194304\b/);
      },
    },
    {
      keys: [
        "services.*.blkio_config.weight",
        "services.*.blkio_config.weight_device.path",
        "services.*.blkio_config.weight_device.weight",
      ],
      says: "the engine has the weights; kernels without them drop them",
      asks: {
        service: "disks",
        host: { BlkioWeight: 300, BlkioWeightDevice: [{ Path: DISK, Weight: 400 }] },
      },
      look: (at) => {
        const { BlkioWeight, BlkioWeightDevice } = at.container("disks").HostConfig;
        assert.ok(BlkioWeight === 300 || BlkioWeight === 0, String(BlkioWeight));
        const devices = [{ Path: DISK, Weight: 400 }];
        if (BlkioWeight === 300) assert.deepEqual(BlkioWeightDevice, devices);
      },
    },
    {
      keys: [
        "services.*.deploy.resources.reservations.generic_resources.discrete_resource_spec.kind",
        "services.*.deploy.resources.reservations.generic_resources.discrete_resource_spec.value",
      ],
      says: "a copy runs where a node has what it needs, and waits where none has as much",
      look: async (at) => {
        await eventually("the first runs", () => at.containers("counted").length === 1);
        const said = await at.platform.must("explain", `${at.stack}/uncounted`);
        assert.match(said, /lacks license \(need 9, most free is 1\)/);
      },
    },
    askedOf(
      DEVICE_KEYS.map((key) => `services.*.gpus.${key}`),
      "the engine is asked for graphics processors once a node has them",
      "graphics",
      {
        words: /could not select device driver "berth-test" with capabilities: \[\[gpu compute\]\]/,
        host: {
          DeviceRequests: [
            deviceRequest({ count: 2, capabilities: ["gpu", "compute"], options: { a: "b" } }),
            deviceRequest({ count: 0, ids: ["5"], capabilities: ["gpu"], options: {} }),
          ],
        },
      },
    ),
    askedOf(
      DEVICE_KEYS.map((key) => `services.*.deploy.resources.reservations.devices.${key}`),
      "the engine is asked for the devices of drivers",
      "reserved",
      {
        words: /could not select device driver "berth-test" with capabilities: \[\[other\]\]/,
        host: {
          DeviceRequests: [
            deviceRequest({ count: 0, ids: ["7"], capabilities: ["other"], options: { c: "d" } }),
            deviceRequest({ count: 3, capabilities: ["third"], options: {} }),
          ],
        },
      },
    ),
    askedOf(
      ["services.*.cpu_rt_period", "services.*.cpu_rt_runtime"],
      "real-time processor time is set, or the kernel has none",
      "real-time",
      {
        words: /real-time|rt_runtime/i,
        host: { CpuRealtimePeriod: 1_000_000, CpuRealtimeRuntime: 950_000 },
      },
    ),
    askedOf(
      ["services.*.storage_opt"],
      "the writable layer has a quota, or the engine's disk knows none",
      "quota",
      { words: /storage-opt is supported only/, host: { StorageOpt: { size: "1g" } } },
    ),
    askedOf(
      ["services.*.isolation"],
      "the engine is asked for the isolation, and Linux has one kind",
      "isolated",
      { words: /isolation/i, host: { Isolation: "hyperv" } },
    ),
    {
      keys: ["services.*.volumes.volume.subpath"],
      says: "a part of a volume is mounted, or the engine is too old and the reader is told so",
      look: async (at) => {
        const words = /cannot mount a part of a volume; Engine 26|no such file|cannot access path/;
        assert.match(await refusalOf(at, "part"), words);
      },
    },
    {
      keys: ["services.*.privileged"],
      says: "true is every privilege that the machine has to give",
      asks: { service: "mighty", host: { Privileged: true } },
      look: async (at) => {
        const refusal = await refusalOf(at, "mighty");
        if (refusal !== "") return assert.match(refusal, /apply caps|operation not permitted/i);
        assert.equal(at.container("mighty").HostConfig["Privileged"], true);
      },
    },
    {
      keys: ["services.*.post_start.privileged", "services.*.pre_stop.privileged"],
      says: "a command with privileges gets them, or the engine's refusal fails the start",
      look: async (at) => {
        const refusal = await refusalOf(at, "mighty-hook");
        if (refusal !== "")
          assert.match(refusal, /post-start command failed: .*(caps|not permitted)/i);
      },
    },
  ],
};

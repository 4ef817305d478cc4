/** Devices of a host by its tables and its operator's file, on copies of such tables. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { hostDevices } from "./host-devices.ts";

const folder = mkdtempSync(join(tmpdir(), "berth-devices-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const roots = { proc: join(folder, "proc"), sys: join(folder, "sys") };

function write(path: string, text: string): string {
  const whole = join(folder, path);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, text);
  return whole;
}

function nvidia(address: string, model: string, uuid: string): void {
  const lines = `Model: \t\t ${model}\nIRQ:   \t\t 34\nGPU UUID: \t ${uuid}\nDevice Minor: \t 0\n`;
  write(`proc/driver/nvidia/gpus/${address}/information`, lines);
}

function render(name: string, vendor: string, product: string, slot: string): void {
  const device = `sys/class/drm/${name}/device`;
  write(`${device}/vendor`, `${vendor}\n`);
  write(`${device}/device`, `${product}\n`);
  write(`${device}/uevent`, `DRIVER=x\nPCI_SLOT_NAME=${slot}\n`);
}

test("a host without tables has no devices", async () => {
  const nowhere = { proc: "/nowhere/proc", sys: "/nowhere/sys" };
  assert.deepEqual(await hostDevices("/nowhere/devices.json", nowhere), { devices: [] });
});

test("graphics processors are told by kind, model and an id that survives a reboot", async () => {
  nvidia("0000:3b:00.0", "Tesla T4", "GPU-5d8e");
  nvidia("0000:86:00.0", "NVIDIA A10", "GPU-77aa");
  // A board that has fallen off the bus does not tell its identity.
  nvidia("0000:af:00.0", "Tesla T4", "GPU-????????");
  render("renderD128", "0x10de", "0x1eb8", "0000:3b:00.0");
  render("renderD129", "0x1002", "0x738c", "0000:43:00.0");
  render("renderD130", "0x8086", "0x3e92", "0000:00:02.0");
  write("sys/class/drm/card0/device/vendor", "0x1002");
  assert.deepEqual(await hostDevices(undefined, roots), {
    devices: [
      { kind: "gpu", model: "NVIDIA Tesla T4", id: "GPU-5d8e", paths: [], driver: "nvidia" },
      { kind: "gpu", model: "NVIDIA A10", id: "GPU-77aa", paths: [], driver: "nvidia" },
      {
        ...{ kind: "gpu", model: "AMD 0x738c", id: "0000:43:00.0" },
        paths: ["/dev/kfd", "/dev/dri/renderD129"],
      },
      {
        ...{ kind: "render", model: "Intel 0x3e92", id: "0000:00:02.0" },
        paths: ["/dev/dri/renderD130"],
      },
    ],
  });
});

test("a kind that the operator declares is what the file says", async () => {
  const gpu = { kind: "gpu", model: "T4", id: "mine", paths: ["/dev/nvidia0"] };
  const fpga = { kind: "fpga", model: "", id: "slot-0", paths: ["/dev/fpga0"] };
  const file = write("devices.json", JSON.stringify([fpga, gpu]));
  const { devices, problem } = await hostDevices(file, roots);
  assert.equal(problem, undefined);
  assert.deepEqual(
    devices.map(({ kind, id }) => `${kind} ${id}`),
    ["fpga slot-0", "gpu mine", "render 0000:00:02.0"],
  );
});

test("a file that is wrong declares nothing and says why", async () => {
  const wrong = async (text: string) =>
    (await hostDevices(write("wrong.json", text), roots)).problem;
  assert.match((await wrong("[")) ?? "", /wrong\.json: .*JSON/);
  assert.match((await wrong(JSON.stringify([{ kind: "a", model: "", id: "b" }]))) ?? "", /paths/);
  const outside = [{ kind: "a", model: "", id: "b", paths: ["/etc/shadow"] }];
  assert.match((await wrong(JSON.stringify(outside))) ?? "", /paths/);
  const twin = { kind: "a", model: "", id: "b", paths: [] };
  assert.match((await wrong(JSON.stringify([twin, twin]))) ?? "", /a b is there twice/);
});

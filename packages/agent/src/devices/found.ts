/**
 * Devices that the kernel's tables tell of: graphics processors of NVIDIA by its driver's files, others by the
 * tables of direct rendering. No tool of a vendor is run.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeDevice } from "@berth/protocol";

/** Where the tables lie; others in tests. */
export interface DeviceRoots {
  readonly proc: string;
  readonly sys: string;
}

export const DEVICE_ROOTS: DeviceRoots = { proc: "/proc", sys: "/sys" };

/** PCI vendors whose graphics processors are for computing. Others only draw, or are emulated. */
const COMPUTING = new Map([["0x1002", "AMD"]]);
/** Told of by its own driver, which knows more. */
const NVIDIA = "0x10de";
const DRAWING = new Map([
  ["0x8086", "Intel"],
  ["0x1af4", "virtio"],
]);

/** In a stable order. Nothing where the host has none, or does not tell. */
export async function foundDevices(roots: DeviceRoots = DEVICE_ROOTS): Promise<NodeDevice[]> {
  return [...(await nvidiaDevices(roots.proc)), ...(await renderDevices(roots.sys))];
}

async function nvidiaDevices(proc: string): Promise<NodeDevice[]> {
  const folder = join(proc, "driver/nvidia/gpus");
  const addresses = await names(folder);
  const found = await Promise.all(
    addresses.map(async (address): Promise<NodeDevice[]> => {
      const fields = fieldsOf(await text(join(folder, address, "information")));
      const uuid = fields.get("GPU UUID");
      if (uuid === undefined || uuid.includes("?")) return [];
      const model = `NVIDIA ${fields.get("Model") ?? ""}`.replace("NVIDIA NVIDIA", "NVIDIA").trim();
      return [{ kind: "gpu", model, id: uuid, paths: [], driver: "nvidia" }];
    }),
  );
  return found.flat();
}

async function renderDevices(sys: string): Promise<NodeDevice[]> {
  const folder = join(sys, "class/drm");
  const nodes = (await names(folder)).filter((name) => /^renderD\d+$/.test(name));
  const found = await Promise.all(
    nodes.map(async (name): Promise<NodeDevice[]> => {
      const device = join(folder, name, "device");
      const vendor = (await text(join(device, "vendor"))).trim();
      if (vendor === NVIDIA) return [];
      const product = (await text(join(device, "device"))).trim();
      const kind = COMPUTING.has(vendor) ? "gpu" : "render";
      const maker = COMPUTING.get(vendor) ?? DRAWING.get(vendor) ?? vendor;
      const slot = /^PCI_SLOT_NAME=(.+)$/m.exec(await text(join(device, "uevent")))?.[1] ?? name;
      const computes = COMPUTING.has(vendor) ? ["/dev/kfd"] : [];
      const paths = [...computes, `/dev/dri/${name}`];
      return [{ kind, model: `${maker} ${product}`.trim(), id: slot, paths }];
    }),
  );
  return found.flat();
}

/** `Model: \t\t Tesla T4`, a line each. */
function fieldsOf(information: string): ReadonlyMap<string, string> {
  return new Map(
    [...information.matchAll(/^([^:]+):[ \t]*(.*)$/gm)].map(([, name = "", value = ""]) => [
      name.trim(),
      value.trim(),
    ]),
  );
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

async function text(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

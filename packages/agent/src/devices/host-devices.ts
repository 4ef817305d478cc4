/** The devices of a host: found ones, with what its operator declares in place of whole kinds. */

import { DEVICES_MAX, type NodeDevice } from "@berth/protocol";
import { declaredDevices } from "./declared.ts";
import { DEVICE_ROOTS, type DeviceRoots, foundDevices } from "./found.ts";

/** Name of the file in the data folder. */
export const DEVICES_FILE = "devices.json";

export interface HostDevices {
  readonly devices: readonly NodeDevice[];
  readonly problem?: string;
}

/** A kind that is declared is what the file says: so some can be held back, or shown under another name. */
export async function hostDevices(
  file: string | undefined,
  roots: DeviceRoots = DEVICE_ROOTS,
): Promise<HostDevices> {
  const declared = file === undefined ? { devices: [] } : await declaredDevices(file);
  const kinds = new Set(declared.devices.map(({ kind }) => kind));
  const found = (await foundDevices(roots)).filter(({ kind }) => !kinds.has(kind));
  return { ...declared, devices: [...declared.devices, ...found].slice(0, DEVICES_MAX) };
}

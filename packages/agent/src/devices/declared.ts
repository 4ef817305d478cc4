/**
 * Devices that the operator of a host declares in a file: what no table of the kernel tells, or tells otherwise.
 *
 *     [{"kind": "fpga", "model": "U250", "id": "slot-0", "paths": ["/dev/xclmgmt0"]}]
 */

import { readFile } from "node:fs/promises";
import { type NodeDevice, NodeDevices, ProtocolError, parseAs } from "@berth/protocol";

export interface DeclaredDevices {
  readonly devices: readonly NodeDevice[];
  /** Why the file is not used, for people. */
  readonly problem?: string;
}

/** Reads the file; nothing is declared when there is none. */
export async function declaredDevices(path: string): Promise<DeclaredDevices> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    return "";
  });
  if (text === undefined) return { devices: [] };
  try {
    const devices = parseAs(NodeDevices, JSON.parse(text), path);
    const twin = devices.find(
      ({ kind, id }, at) => devices.findIndex((each) => each.kind === kind && each.id === id) < at,
    );
    if (twin === undefined) return { devices };
    return { devices: [], problem: `${path}: ${twin.kind} ${twin.id} is there twice` };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof ProtocolError)) throw error;
    return { devices: [], problem: `${path}: ${error.message}` };
  }
}

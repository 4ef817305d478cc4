/** Where an ask went, as a line of a trace (`docs/reference/sim.md`): read for `--initial`, written by `--out`. */

import type { DeviceAssignment } from "../model.ts";
import { Fields } from "./fields.ts";

/** A task of an initial placement. A refused or displaced ask has no node. */
export interface TracePlacement {
  readonly ask: string;
  readonly node: string | undefined;
  /** Without shares: those are the ask's. */
  readonly devices: readonly Pick<DeviceAssignment, "kind" | "indexes">[];
}

/** Reads the parsed JSON of one line; what only the writer adds (`atMs`, `from`, `step`) is ignored. */
export function readPlacement(value: unknown): TracePlacement {
  const fields = new Fields(value);
  const ask = fields.text("ask");
  const hasNone = fields.has("refused") || fields.has("displaced");
  const node = hasNone ? undefined : fields.text("node");
  const devices = fields.list("devices").map(({ value: item, path }) => {
    const device = new Fields(item, path);
    const kind = device.text("kind");
    const indexes = device.wholes("indexes");
    device.end();
    return { kind, indexes };
  });
  for (const name of ["atMs", "from", "step", "untilMs", "why"]) fields.has(name);
  fields.end();
  return { ask, node, devices };
}

/** Which kinds of devices a node reports, as a term by which nodes are found. */

import type { NodeStatus } from "@berth/protocol";

/** In no name of a kind that anybody would write. */
export const KINDS_SEPARATOR = "\n";

/** The kinds, each once, in order; `undefined` where the node reports no devices. */
export function deviceKindsTerm({ devices = [] }: NodeStatus): string | undefined {
  if (devices.length === 0) return undefined;
  return [...new Set(devices.map(({ kind }) => kind))].sort().join(KINDS_SEPARATOR);
}

/**
 * Requests with nothing left open, and the room that they leave on a node.
 *
 * A resource is addressed by its name: `cpu`, `memory`, `disk`, `pids`, or a name of the node's own. All
 * quantities are whole numbers, so adding and taking away again restores the exact value.
 */

import { assert } from "@berth/base";
import type { DeviceRequest, NodeModel, Requests } from "./model.ts";
import type { Unit } from "./plan.ts";

/** Requests after defaults: a list of needs larger than 0, built-in ones first, then by name. */
export interface Needs {
  readonly resources: readonly Need[];
  readonly devices: readonly DeviceNeed[];
}

export interface Need {
  readonly name: string;
  readonly amount: number;
}

export interface DeviceNeed {
  readonly kind: string;
  readonly count: number;
  readonly shareMillis: number;
  /** Empty: any model. */
  readonly models: readonly string[];
}

/** Fills `requests` up with `defaults` and checks that every quantity is a whole number of at least 0. */
export function needsOf(requests: Requests, defaults: Requests): Needs {
  const named = { ...defaults.resources, ...requests.resources };
  const amounts: Need[] = [
    { name: "cpu", amount: requests.cpuMillis ?? defaults.cpuMillis ?? 0 },
    { name: "memory", amount: requests.memoryBytes ?? defaults.memoryBytes ?? 0 },
    { name: "disk", amount: requests.diskBytes ?? defaults.diskBytes ?? 0 },
    { name: "pids", amount: requests.pids ?? defaults.pids ?? 0 },
    ...Object.keys(named)
      .sort()
      .map((name) => ({ name, amount: named[name] ?? 0 })),
  ];
  for (const need of amounts) assertQuantity(need.amount, need.name);
  return {
    resources: amounts.filter((need) => need.amount > 0),
    devices: (requests.devices ?? defaults.devices ?? []).map(deviceNeed),
  };
}

function deviceNeed(request: DeviceRequest): DeviceNeed {
  const need = {
    kind: request.kind,
    count: request.count ?? 1,
    shareMillis: request.shareMillis ?? WHOLE_MILLIS,
    models: request.models ?? [],
  };
  assertQuantity(need.count, `count of ${need.kind}`);
  assert(
    Number.isInteger(need.shareMillis) && need.shareMillis > 0 && need.shareMillis <= WHOLE_MILLIS,
    `share of ${need.kind} is not within 1 and ${WHOLE_MILLIS}`,
  );
  return need;
}

/** A whole device in thousandths. */
export const WHOLE_MILLIS = 1_000;

/** What a node can give away in all: capacity less the reserve; a resource it lacks is absent. */
export function allocatable(node: NodeModel): Map<string, number> {
  const room = new Map<string, number>([
    ["cpu", node.cpuMillis - node.reserved.cpuMillis],
    ["memory", node.memoryBytes - node.reserved.memoryBytes],
    ["disk", node.diskBytes - node.reserved.diskBytes],
    ["pids", node.pidsMax ?? Number.POSITIVE_INFINITY],
  ]);
  for (const name of Object.keys(node.resources).sort()) {
    assert(
      !BUILT_IN.has(name),
      `resource ${name} of node ${node.id} has the name of a built-in one`,
    );
    room.set(name, node.resources[name] ?? 0);
  }
  for (const [name, amount] of room) {
    // A reserve larger than the machine leaves nothing, not less than nothing.
    room.set(name, Math.max(0, amount));
    if (amount !== Number.POSITIVE_INFINITY)
      assertQuantity(Math.max(0, amount), `${name} of ${node.id}`);
  }
  return room;
}

/** Unit in which people read a resource. */
export function unitOf(resource: string): Unit {
  if (resource === "cpu") return "millis";
  return resource === "memory" || resource === "disk" ? "bytes" : "count";
}

const BUILT_IN: ReadonlySet<string> = new Set(["cpu", "memory", "disk", "pids"]);

function assertQuantity(value: number, what: string): void {
  assert(Number.isSafeInteger(value) && value >= 0, `${what} is not a whole number of at least 0`);
}

/**
 * Which devices of a node does a task get?
 *
 * Best fit: among the devices that have the share free, the one with the least left over, lowest index
 * first, so that whole devices stay whole. A task that makes several requests of one kind may need another
 * choice than the greedy one, so choices are tried in order until all requests are met; one request never
 * needs a second try. Cost: O(devices log devices) for one request, at most `DEVICE_TRIALS_MAX` steps.
 */

import type { DeviceAssignment, NodeModel } from "./model.ts";
import { type DeviceNeed, WHOLE_MILLIS } from "./resources.ts";

/** One device of a node. */
export interface DeviceState {
  readonly kind: string;
  readonly model: string;
  /** Position among the node's devices of its kind. */
  readonly index: number;
  freeMillis: number;
}

/**
 * Steps of the search for one task on one node. Real tasks make one to three requests on at most 16
 * devices and end within a few dozen; the limit stops a hostile mix from taking exponential time.
 */
export const DEVICE_TRIALS_MAX = 1_000;

/** The devices of a node, all free. */
export function devicesOf(node: NodeModel): DeviceState[] {
  const nextIndex = new Map<string, number>();
  return node.devices.flatMap(({ kind, model, count }) => {
    const first = nextIndex.get(kind) ?? 0;
    nextIndex.set(kind, first + count);
    return Array.from({ length: count }, (_, offset) => ({
      kind,
      model,
      index: first + offset,
      freeMillis: WHOLE_MILLIS,
    }));
  });
}

/** Has the device the kind and one of the models that are asked for? */
export function suits(device: DeviceState, need: DeviceNeed): boolean {
  if (device.kind !== need.kind) return false;
  return need.models.length === 0 || need.models.includes(device.model);
}

/** Assignments in the order of `needs`, or `undefined` when the devices do not suffice. Changes nothing. */
export function chooseDevices(
  devices: readonly DeviceState[],
  needs: readonly DeviceNeed[],
): readonly DeviceAssignment[] | undefined {
  if (needs.length === 0) return NO_DEVICES;
  const free = devices.map((device) => device.freeMillis);
  const search = { devices, free, picks: picksOf(devices, needs), chosen: [], trials: 0 };
  if (!pick(search, 0, 0)) return undefined;
  return needs.map((need, index) => assignment(search, need, index));
}

/** One for all: most tasks have none. */
const NO_DEVICES: readonly DeviceAssignment[] = [];

interface Pick {
  readonly need: DeviceNeed;
  /** Position of the request. */
  readonly request: number;
}

interface Search {
  readonly devices: readonly DeviceState[];
  /** Free thousandths by device while the search goes on. */
  readonly free: number[];
  /** One device each; those of a request stand together. */
  readonly picks: readonly Pick[];
  /** Device by pick, as far as the search has come. */
  readonly chosen: number[];
  trials: number;
}

/** The requests with the fewest suitable devices first, larger shares first: fails early. */
function picksOf(devices: readonly DeviceState[], needs: readonly DeviceNeed[]): readonly Pick[] {
  return needs
    .map((need, request) => ({ need, request, suitable: countSuitable(devices, need) }))
    .sort(
      (a, b) =>
        a.suitable - b.suitable || b.need.shareMillis - a.need.shareMillis || a.request - b.request,
    )
    .flatMap(({ need, request }) => Array.from({ length: need.count }, () => ({ need, request })));
}

function countSuitable(devices: readonly DeviceState[], need: DeviceNeed): number {
  return devices.filter((device) => suits(device, need)).length;
}

/**
 * Chooses a device for pick `at` and all after it. `skip` counts the candidates that earlier picks of the
 * same request have passed by: a request takes a set of devices, so their order is not tried.
 */
function pick(search: Search, at: number, skip: number): boolean {
  const current = search.picks[at];
  if (current === undefined) return true;
  const order = candidates(search, current, at);
  for (let choice = skip; choice < order.length; choice++) {
    if (++search.trials > DEVICE_TRIALS_MAX) return false;
    const device = order[choice] ?? 0;
    const same = search.picks[at + 1]?.request === current.request;
    search.free[device] = (search.free[device] ?? 0) - current.need.shareMillis;
    search.chosen[at] = device;
    // The next pick of this request sees the same list without this device.
    if (pick(search, at + 1, same ? choice : 0)) return true;
    search.free[device] = (search.free[device] ?? 0) + current.need.shareMillis;
  }
  return false;
}

/** Devices that can take the pick, tightest first, without those that its request has already. */
function candidates(search: Search, current: Pick, at: number): readonly number[] {
  const taken = new Set<number>();
  for (let before = at - 1; search.picks[before]?.request === current.request; before--) {
    taken.add(search.chosen[before] ?? -1);
  }
  const able: number[] = [];
  search.devices.forEach((device, index) => {
    const free = search.free[index] ?? 0;
    if (suits(device, current.need) && free >= current.need.shareMillis && !taken.has(index)) {
      able.push(index);
    }
  });
  return able.sort((a, b) => (search.free[a] ?? 0) - (search.free[b] ?? 0) || a - b);
}

function assignment(search: Search, need: DeviceNeed, request: number): DeviceAssignment {
  const indexes = search.picks
    .map((each, at) => (each.request === request ? (search.chosen[at] ?? -1) : -1))
    .filter((device) => device >= 0)
    .map((device) => search.devices[device]?.index ?? 0)
    .sort((a, b) => a - b);
  return { kind: need.kind, indexes, shareMillis: need.shareMillis };
}

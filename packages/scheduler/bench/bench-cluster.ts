/** Nodes and asks of the benchmarks: a cluster with room to spare, and services of a hundred copies. */

import { GIB, MIB } from "@berth/base";
import type { Ask, NodeModel } from "../src/model.ts";
import { DEFAULT_REQUESTS, type ScheduleOptions } from "../src/options.ts";

export const ZONES = 8;
export const COPIES = 100;
export const OPTIONS: ScheduleOptions = {
  seed: 1,
  strategy: "balanced",
  defaults: DEFAULT_REQUESTS,
};

/** Bytes of the image that one node in three has. */
const IMAGE_BYTES = 200 * MIB;

/** Nodes with room for `tasks` of the default size, and a third more, so that nothing ends early nor everywhere. */
export function nodesFor(count: number, tasks: number, spare = 1.34): readonly NodeModel[] {
  const perNode = Math.ceil((tasks / count) * spare) + 1;
  return Array.from({ length: count }, (_, index) => ({
    id: `node-${index}`,
    cpuMillis: 500 + perNode * 100,
    memoryBytes: GIB + perNode * 128 * MIB,
    diskBytes: 100 * GIB,
    resources: {},
    devices: [],
    labels: { disk: index % 2 === 0 ? "ssd" : "hdd" },
    topology: { zone: `zone-${index % ZONES}` },
    taints: [],
    platform: { os: "linux", architecture: "amd64" },
    reserved: { cpuMillis: 500, memoryBytes: GIB, diskBytes: 0 },
    ready: true,
    draining: false,
    images: index % 3 === 0 ? { "sha256:app": IMAGE_BYTES } : {},
    volumes: [],
    addresses: [],
  }));
}

/** One copy; what all copies of a service share is one object, as a caller that compiles a service once has it. */
export function copyOf(
  service: string,
  slot: number,
  more: Partial<Ask> = REQUESTING_NOTHING,
): Ask {
  return { id: `${service}.${slot}`, service, slot, requests: {}, ...more };
}

const REQUESTING_NOTHING: Partial<Ask> = {};

/** `count` asks in services of `COPIES`; `more` says what the copies of one service want beside. */
export function asksOf(
  count: number,
  more: (service: number) => Partial<Ask> = () => REQUESTING_NOTHING,
): readonly Ask[] {
  const asks: Ask[] = [];
  for (let service = 0; asks.length < count; service++) {
    const wanted = more(service);
    for (let slot = 0; slot < COPIES && asks.length < count; slot++) {
      asks.push(copyOf(`service-${service}`, slot, wanted));
    }
  }
  return asks;
}

export const IMAGES = [{ digest: "sha256:app", bytes: IMAGE_BYTES }];

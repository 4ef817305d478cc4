/** Nodes, tasks and asks for tests: only what matters is stated. */

import { assert, GIB } from "@berth/base";
import type { Constraint } from "../constraint-form.ts";
import { parseConstraint } from "../constraint-grammar.ts";
import type { Ask, NodeModel, RunningTask } from "../model.ts";
import type { ScheduleOptions } from "../options.ts";

/** A ready Linux host of 4 processors, 8 GiB of memory and 100 GiB of disk, with nothing reserved. */
export function makeNode(id: string, over: Partial<NodeModel> = {}): NodeModel {
  return {
    id,
    cpuMillis: 4_000,
    memoryBytes: 8 * GIB,
    diskBytes: 100 * GIB,
    resources: {},
    devices: [],
    labels: {},
    topology: {},
    taints: [],
    platform: { os: "linux", architecture: "amd64" },
    reserved: { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 },
    ready: true,
    draining: false,
    images: {},
    volumes: [],
    addresses: [],
    ...over,
  };
}

/** Of the service before the first dot: `web.1` is a copy of `web`. */
export function makeAsk(id: string, over: Partial<Ask> = {}): Ask {
  return { id, service: serviceOf(id), requests: {}, ...over };
}

export function makeTask(id: string, node: string, over: Partial<RunningTask> = {}): RunningTask {
  return { id, node, service: serviceOf(id), requests: {}, ...over };
}

/** The constraint that `text` must be. */
export function constraint(text: string): Constraint {
  const result = parseConstraint(text);
  assert(result.kind === "constraint", `${text} is no constraint`);
  return result.constraint;
}

/** Seed 1, the emptiest node, nothing by default. */
export function makeOptions(over: Partial<ScheduleOptions> = {}): ScheduleOptions {
  return { seed: 1, strategy: "room", defaults: {}, ...over };
}

function serviceOf(id: string): string {
  return id.split(".")[0] ?? id;
}

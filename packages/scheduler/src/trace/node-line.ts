/** A node as a line of a trace (`docs/reference/sim.md`). */

import type { NodeModel, Requests, Taint, TaintEffect } from "../model.ts";
import { readPort } from "./ask-line.ts";
import { Fields } from "./fields.ts";
import { readTaint } from "./taint-text.ts";

/** A node of a trace: what the scheduler knows of it, and what only whole-cluster operations read. */
export interface TraceNode {
  readonly model: NodeModel;
  /** Use above these is what rebalancing mends (resource by name); capacity where absent. */
  readonly soft: Readonly<Record<string, number>>;
}

/** Reads the parsed JSON of one line. Throws `TraceError`. O(size of the line). */
export function readNode(value: unknown): TraceNode {
  const fields = new Fields(value);
  const id = fields.text("id");
  const pidsMax = fields.optionalWhole("pidsMax");
  const maxTasks = fields.optionalWhole("maxTasks");
  const costPerHourMillis = fields.optionalWhole("costPerHourMillis");
  const model: NodeModel = {
    id,
    cpuMillis: fields.whole("cpuMillis", 0),
    memoryBytes: fields.whole("memoryBytes", 0),
    diskBytes: fields.whole("diskBytes", 0),
    ...(pidsMax === undefined ? {} : { pidsMax }),
    resources: fields.quantities("resources"),
    devices: fields.list("devices").map(({ value: device, path }) => readDevice(device, path)),
    labels: fields.labels("labels"),
    topology: fields.labels("topology"),
    taints: fields.list("taints").map(({ value: taint, path }) => nodeTaint(taint, path)),
    platform: { os: "linux", architecture: fields.optionalText("architecture") ?? "amd64" },
    reserved: readReserve(fields),
    ready: fields.flag("ready", true),
    draining: fields.flag("draining", false),
    ...(maxTasks === undefined ? {} : { maxTasks }),
    images: fields.quantities("images"),
    volumes: fields.texts("volumes"),
    addresses: [],
    ...(costPerHourMillis === undefined ? {} : { costPerHourMillis }),
  };
  const portsTaken = fields.list("portsTaken").map(({ value: port, path }) => readPort(port, path));
  const soft = fields.quantities("soft");
  fields.end();
  return {
    model: portsTaken.length === 0 ? model : { ...model, portsTaken },
    soft: Object.fromEntries(Object.entries(soft).map(resourceName)),
  };
}

/** `cpuMillis` → `cpu`, as resources are called inside. */
export function resourceName<T>([name, value]: readonly [string, T]): readonly [string, T] {
  return [RESOURCE_OF_FIELD.get(name) ?? name, value];
}

const RESOURCE_OF_FIELD: ReadonlyMap<string, string> = new Map<keyof Requests, string>([
  ["cpuMillis", "cpu"],
  ["memoryBytes", "memory"],
  ["diskBytes", "disk"],
]);

function readDevice(value: unknown, path: string) {
  const fields = new Fields(value, path);
  const device = {
    kind: fields.text("kind"),
    model: fields.optionalText("model") ?? "",
    count: fields.whole("count", 1),
  };
  fields.end();
  return device;
}

function readReserve(fields: Fields): NodeModel["reserved"] {
  const stated = fields.quantities("reserved");
  const { cpuMillis = 0, memoryBytes = 0, diskBytes = 0 } = stated;
  return { cpuMillis, memoryBytes, diskBytes };
}

function nodeTaint(value: unknown, path: string): Taint {
  const { key, value: taintValue, effect } = readTaint(value, path);
  const stated: TaintEffect = effect ?? "no-schedule";
  return {
    key: key ?? "",
    ...(taintValue === undefined ? {} : { value: taintValue }),
    effect: stated,
  };
}

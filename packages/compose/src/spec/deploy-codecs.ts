/**
 * `deploy` and `gpus` of a service.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { list, texts, textTable } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import {
  bytes,
  cpuMillis,
  durationMs,
  float32,
  integer,
  isUnexpanded,
  oneOf,
  text,
} from "../codec/scalar-codecs.ts";
import type {
  Deploy,
  DeployRestartPolicy,
  DeviceRequest,
  DiscreteResource,
  GenericResource,
  Placement,
  PlacementPreference,
  ResourceAmounts,
  Resources,
  UpdateConfig,
} from "../model/deploy-model.ts";
import { kindName, type Tree } from "../tree/tree.ts";

/** A number of devices, -1 for all. */
const deviceCount: Codec<number> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && tree.text.toLowerCase() === "all") return -1;
    const value =
      tree.kind === "scalar" && tree.type !== "float" && /^(-1|\d{1,9})$/.test(tree.text)
        ? Number(tree.text)
        : undefined;
    if (value !== undefined || isUnexpanded(tree, reading)) return value ?? 0;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: '"all" or a number',
    });
  },
  print: (value) => (value === 0 ? undefined : value),
  schema: { type: ["string", "integer"] },
};

const deviceRequestFields = record<DeviceRequest>({
  capabilities: field("capabilities", texts),
  driver: field("driver", text),
  count: field("count", deviceCount),
  deviceIds: field("device_ids", texts),
  options: field("options", textTable),
});

/** A request for devices; without count and ids all of them are meant. */
const deviceRequest: Codec<DeviceRequest> = {
  ...deviceRequestFields,
  read(tree, path, reading) {
    const read = deviceRequestFields.read(tree, path, reading);
    if (read === undefined) return undefined;
    if (read.count !== undefined && read.deviceIds !== undefined) {
      return reading.problems.error(tree, path, "count and device_ids exclude each other");
    }
    return read.count === undefined && read.deviceIds === undefined ? { ...read, count: -1 } : read;
  },
};

const deviceRequests = list(deviceRequest);

/** Devices of a reservation must say what they can do; `gpus` implies it. */
const reservedDevices = list<DeviceRequest>({
  ...deviceRequest,
  read(tree, path, reading) {
    const read = deviceRequest.read(tree, path, reading);
    if (read === undefined || read.capabilities !== undefined) return read;
    return reading.problems.error(tree, path, "the key capabilities is missing", {
      absence: true,
    });
  },
});

/** `gpus`: `all`, or a list of requests. */
export const gpus: Codec<readonly DeviceRequest[]> = {
  read(tree: Tree, path, reading) {
    if (tree.kind === "scalar" && tree.text === "all") return [{ count: -1 }];
    return deviceRequests.read(tree, path, reading);
  },
  print: (value, format) => deviceRequests.print(value, format),
  schema: { oneOf: [{ const: "all" }, deviceRequests.schema] },
};

const discreteResource = record<DiscreteResource>({
  kind: field("kind", text, { keepZero: true }),
  value: field("value", integer(), { keepZero: true }),
});

const genericResource = record<GenericResource>({
  discreteResourceSpec: field("discrete_resource_spec", discreteResource),
});

const limits = record<ResourceAmounts>(
  {
    cpuMillis: field("cpus", cpuMillis),
    memoryBytes: field("memory", bytes({ textOnly: true })),
    pids: field("pids", integer({ min: -1 })),
    devices: field("devices", reservedDevices),
    genericResources: field("generic_resources", list(genericResource)),
  },
  { misplaced: { cpu: "cpus", mem: "memory" } },
);

const resources = record<Resources>({
  limits: field("limits", limits),
  reservations: field("reservations", limits),
});

const updateConfig = record<UpdateConfig>({
  parallelism: field("parallelism", integer({ min: 0 }), { keepZero: true }),
  delayMs: field("delay", zeroableDuration()),
  failureAction: field("failure_action", text),
  monitorMs: field("monitor", zeroableDuration()),
  maxFailureRatio: field("max_failure_ratio", float32({ min: 0, max: 1 })),
  order: field("order", oneOf(["start-first", "stop-first"])),
});

/** A duration that is left out when it is nothing, as the reference does here. */
function zeroableDuration(): Codec<number> {
  return {
    ...durationMs,
    print: (ms, format) => (ms === 0 ? undefined : durationMs.print(ms, format)),
  };
}

const restartPolicy = record<DeployRestartPolicy>({
  condition: field("condition", text),
  delayMs: field("delay", durationMs),
  maxAttempts: field("max_attempts", integer({ min: 0 }), { keepZero: true }),
  windowMs: field("window", durationMs),
});

const preference = record<PlacementPreference>({ spread: field("spread", text) });

const placement = record<Placement>({
  constraints: field("constraints", texts),
  preferences: field("preferences", list(preference)),
  maxReplicasPerNode: field("max_replicas_per_node", integer({ min: 0 })),
});

/** `deploy`. */
export const deploy = record<Deploy>({
  mode: field("mode", text),
  replicas: field("replicas", integer({ min: 0 }), { keepZero: true }),
  labels: field("labels", textTable),
  updateConfig: field("update_config", updateConfig),
  rollbackConfig: field("rollback_config", updateConfig),
  resources: field("resources", resources, { jsonAbsent: new Map() }),
  restartPolicy: field("restart_policy", restartPolicy),
  placement: field("placement", placement, { jsonAbsent: new Map() }),
  endpointMode: field("endpoint_mode", text),
});

/**
 * Nodes and asks as lines of a trace (`docs/reference/sim.md`): what the readers beside this file read back.
 *
 * Only what a trace can say: volumes and fixed addresses have no field, and whoever has them states `pinnedNode`
 * first. What is absent or empty is left out. Cost: O(size of the line).
 */

import type { Constraint } from "../constraint-form.ts";
import type { Ask, NodeAffinity, NodeModel, ServiceAffinity } from "../model.ts";

/** The line of a node, as `readNode` takes it. */
export function nodeLine(node: NodeModel): Record<string, unknown> {
  const { cpuMillis, memoryBytes, diskBytes, pidsMax, maxTasks, costPerHourMillis } = node;
  return stated({
    id: node.id,
    cpuMillis,
    memoryBytes,
    diskBytes,
    pidsMax,
    maxTasks,
    costPerHourMillis,
    resources: node.resources,
    devices: node.devices,
    labels: node.labels,
    topology: node.topology,
    taints: node.taints,
    architecture: node.platform.architecture,
    reserved: node.reserved,
    ready: node.ready ? undefined : false,
    draining: node.draining ? true : undefined,
    images: node.images,
    volumes: node.volumes,
    portsTaken: node.portsTaken,
  });
}

/** The line of an ask, as `readAsk` takes it. */
export function askLine(ask: Ask): Record<string, unknown> {
  const { cpuMillis, memoryBytes, diskBytes, pids, resources, devices } = ask.requests;
  return stated({
    id: ask.id,
    service: ask.service,
    slot: ask.slot,
    cpuMillis,
    memoryBytes,
    diskBytes,
    pids,
    resources,
    devices,
    constraints: [...(ask.constraints ?? []).map(textOf), ...platformTexts(ask)],
    affinity: ask.affinities?.map(affinityField),
    antiAffinity: ask.antiAffinities?.map(neighbourField),
    spread: ask.spread,
    maxPerNode: ask.maxPerNode,
    priority: ask.priority,
    gang: ask.gang,
    pod: ask.pod,
    node: ask.pinnedNode,
    tolerations: ask.tolerations,
    images: ask.images,
    ports: ask.ports,
    strategy: ask.strategy,
    weights: ask.weights,
    overcommit: ask.overcommit,
    limits: ask.limits,
    measured: ask.measured,
  });
}

function textOf({ text }: Constraint): string {
  return text;
}

/** The platforms of the image as a constraint: a trace has no field for them. */
function platformTexts({ platforms = [] }: Ask): readonly string[] {
  const architectures = platforms.map(({ architecture }) => architecture);
  return architectures.length === 0 ? [] : [`node.platform.arch in (${architectures.join(", ")})`];
}

function affinityField(affinity: ServiceAffinity | NodeAffinity): object {
  if (affinity.kind === "service") return neighbourField(affinity);
  return stated({ constraint: textOf(affinity.constraint), weight: affinity.weight });
}

function neighbourField({ kind: _, ...rest }: ServiceAffinity): object {
  return rest;
}

/** Without what is absent or empty. */
function stated(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined) return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

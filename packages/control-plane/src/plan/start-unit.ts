/**
 * The writes that make a placed start a task: the task with its addresses and volumes, and the claims that
 * keep anybody else from the same slot, address or volume. One unit, all or nothing.
 */

import { SECOND_MS } from "@berth/base";
import {
  type Attachment,
  keys,
  type ServiceScope,
  type ServiceSpec,
  serviceKey,
  stackKey,
  type Task,
  type Verdict,
} from "@berth/protocol";
import type { DeviceAssignment } from "@berth/scheduler";
import { fixedAddress } from "../addresses/fixed-address.ts";
import { embedAddress } from "../addresses/ipv6.ts";
import { macOfAddress } from "../addresses/mac.ts";
import { type FenceWord, fencedBy } from "../reconcile/fenced.ts";
import { liveHolders } from "../reconcile/resource-waits.ts";
import type { TaskRecord } from "../reconcile/service-input.ts";
import { networkRoot } from "../release/network-root.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import { encode } from "../state/decode.ts";
import { requestsOf, type WantedStart } from "./asks.ts";
import { planDevices } from "./device-plan.ts";
import { ensureNetwork } from "./network-plan.ts";
import { ensureOverlay, moveNodeAddress } from "./overlay-plan.ts";
import { type Obstacle, obstacle, type PlanContext } from "./plan-context.ts";
import { ensureServiceAddress } from "./service-address-plan.ts";
import type { Unit } from "./unit.ts";
import { planVolumes } from "./volume-plan.ts";

export interface PlacedStart {
  readonly wanted: WantedStart;
  readonly node: string;
  /** The task that holds the pod: an existing one, or one that is started in the same unit. */
  readonly podTask: string | undefined;
  /** As the scheduler chose them. */
  readonly devices: readonly DeviceAssignment[];
}

/** Adds a start to `unit`. An obstacle leaves the unit unusable: the caller drops it. */
export function addStart(
  context: PlanContext,
  placed: PlacedStart,
  unit: Unit,
): Obstacle | undefined {
  const { wanted, node, podTask } = placed;
  const { input, start, id } = wanted;
  const { view, stack, release, now, settings } = context.input;
  const target = input.target;
  if (target === undefined) return undefined;
  const { spec, template } = target;
  const givenUp = new Set(start.givesUp.map((record) => record.task.id));
  const user = { task: id, slot: start.place.slot, node, podTask, givenUp };
  const volumes = planVolumes(context, spec, user, unit);
  if ("message" in volumes) return volumes;
  const copy = { spec, service: input.scope.service, id, slot: start.place.slot, node };
  const attachments = planAttachments(context, copy, unit);
  if ("message" in attachments) return attachments;
  const devices = planDevices(context, placed.devices, node);
  if ("message" in devices) return devices;
  const task: Task = {
    id,
    project: input.scope.project,
    environment: input.scope.environment,
    stack: input.scope.stack,
    service: input.scope.service,
    slot: start.place.slot,
    release: release.number,
    template,
    restartCount: input.restartCount,
    node,
    createdAt: now,
    desired: "running",
    attachments,
    volumes,
    exclusive: input.exclusive,
    ...isolationOf(spec, input.exclusive, settings),
    ...(podTask === undefined ? {} : { podTask }),
    requests: requestsOf(spec, settings.defaultRequests),
    ...(devices.length === 0 ? {} : { devices: [...devices] }),
  };
  const key = keys.task(stack.value, id);
  unit.expect(key, undefined);
  unit.put(key, encode(task));
  unit.tasks.push(task);
  context.planned.add(task);
  unit.expect(keys.node(node), view.nodes.get(keys.node(node))?.revision);
  for (const record of start.givesUp) addGivingUp(context, record, unit);
  claimSlot(context, task, start.givesUp, unit);
  return undefined;
}

/** For the engine to end a process after its grace, and for the agent to notice that its time is over. */
const ISOLATION_SLACK_MS = 15 * SECOND_MS;
/** Two clocks that count boot time differ by less than this share. */
const DRIFT_SHARE = 0.01;

function isolationOf(
  { failover, stopGraceMs }: ServiceSpec,
  exclusive: boolean,
  { isolationMs: deadlineMs }: Pick<ControlPlaneSettings, "isolationMs">,
): Pick<Task, "isolation"> {
  if (failover !== "fence" || !exclusive) return {};
  const leastMs = deadlineMs + stopGraceMs + ISOLATION_SLACK_MS;
  return { isolation: { deadlineMs, waitMs: Math.ceil(leastMs * (1 + DRIFT_SHARE)) } };
}

interface Copy {
  readonly spec: ServiceSpec;
  readonly service: string;
  readonly id: string;
  readonly slot: number;
  readonly node: string;
}

function planAttachments(context: PlanContext, copy: Copy, unit: Unit): Attachment[] | Obstacle {
  const { spec, service, id, slot, node } = copy;
  const { stack } = context.input;
  const shared = spec.podWith !== undefined && (spec.podShares ?? ["network"]).includes("network");
  if (shared) {
    return (
      planServiceAddresses(context, copy, networkRoot(context.input.release, spec), unit) ?? []
    );
  }
  if (spec.networkMode !== "networks") return [];
  const attachments: Attachment[] = [];
  for (const [name, use] of Object.entries(spec.networks)) {
    const network = ensureNetwork(context, name, unit);
    if ("message" in network) return network;
    const wish = fixedAddress(use, slot);
    const found =
      wish === undefined
        ? context.addresses.take(network)
        : context.addresses.fixed(network.id, wish);
    if (found === undefined) {
      const range = network.ipRange ?? network.subnet;
      return obstacle("address", `network ${name} has no free address left in ${range}`);
    }
    unit.expect(found.claimKey, found.claimRevision);
    unit.put(found.claimKey, encode({ stack: stackKey(stack.value), service, tasks: [id] }));
    const unreachable =
      moveNodeAddress(context, { network, claimKey: found.claimKey }, unit) ??
      ensureOverlay(context, { network, node }, unit);
    if (unreachable !== undefined) return unreachable;
    const mac = use.macAddress ?? macOfAddress(found.address);
    const { subnet6 } = network;
    const address6 = subnet6 && (use.ipv6Address ?? embedAddress(subnet6, found.address));
    attachments.push({
      ...{ networkId: network.id, address: found.address, mac },
      ...(address6 === undefined ? {} : { address6 }),
      ...(use.interfaceName === undefined ? {} : { interfaceName: use.interfaceName }),
    });
  }
  return planServiceAddresses(context, copy, spec, unit) ?? attachments;
}

/** The addresses of the service itself, taken with its first task on each network. */
function planServiceAddresses(
  context: PlanContext,
  { spec, service }: Copy,
  root: ServiceSpec | undefined,
  unit: Unit,
): Obstacle | undefined {
  if (spec.endpointMode !== "vip" || root?.networkMode !== "networks") return undefined;
  for (const name of Object.keys(root.networks)) {
    const network = ensureNetwork(context, name, unit);
    if ("message" in network) return network;
    const found = ensureServiceAddress(context, { service, network }, unit);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The slot's claim changes with every start in it: of two plans that start a copy, one fails. */
function claimSlot(
  context: PlanContext,
  task: Task,
  givenUp: readonly TaskRecord[],
  unit: Unit,
): void {
  const { view } = context.input;
  const scope: ServiceScope = task;
  const key = keys.claim({ kind: "slot", service: serviceKey(scope), slot: task.slot });
  const known = view.claims.get(key);
  const gone = new Set(givenUp.map((record) => record.task.id));
  const live = liveHolders(view, known?.value).filter(({ id }) => !gone.has(id));
  unit.expect(key, known?.revision);
  const tasks = [...live.map(({ id }) => id), task.id];
  unit.put(key, encode({ stack: stackKey(scope), service: task.service, tasks }));
}

const WORDS: Readonly<Record<FenceWord, string>> = {
  hook: ", which was fenced by its hook",
  person: ", which a person says is dead",
  deadline: ", whose agent had to end it by now",
};

/** Writes a verdict beside a task whose node is lost; not when the node has come back meanwhile. */
export function addGivingUp(context: PlanContext, record: TaskRecord, unit: Unit): void {
  const { view, now } = context.input;
  const { task } = record;
  const key = keys.node(task.node);
  const node = view.nodes.get(key);
  unit.expect(key, node?.revision);
  const word = task.exclusive ? fencedBy(node?.value, task) : undefined;
  const reason = `no contact with ${task.node}${word === undefined ? "" : WORDS[word]}`;
  const verdict: Verdict = { kind: "lost", reason, at: now };
  unit.expect(record.key, record.revision);
  unit.put(record.key, encode({ ...task, desired: "stopped", stopReason: reason, verdict }));
}

/**
 * From decisions to transactions: finds a node for each start, gives it addresses and volumes, and packs
 * everything of a service into as few transactions as possible.
 *
 * Everything that was read is compared: the stack (and so the release), the scale, each task that is
 * changed, each claim that is taken, the node. A plan that was overtaken fails as a whole transaction and
 * is made anew. Cost: the scheduler's, plus O(starts + stops).
 *
 * Design page: docs/design/control-plane.md.
 */

import { keys, serviceKey, type Wait } from "@berth/protocol";
import {
  explainHints,
  explainRefusal,
  explainRules,
  type Placement,
  type Refusal,
} from "@berth/scheduler";
import type { DecidedService } from "../reconcile/reconcile-stack.ts";
import type { Stop } from "../reconcile/service-input.ts";
import { placeName } from "../reconcile/waits.ts";
import { unchangedSince } from "../release/refusal.ts";
import { encode } from "../state/decode.ts";
import type { Compare } from "../store/port.ts";
import type { WantedStart } from "./asks.ts";
import { planIngress } from "./ingress-plan.ts";
import { placeStarts, quotaWait } from "./place-starts.ts";
import { type Obstacle, PlanContext, type PlanInput } from "./plan-context.ts";
import { addGivingUp, addStart, type PlacedStart } from "./start-unit.ts";
import { type PlannedTxn, packUnits, Unit } from "./unit.ts";

export interface StackPlan {
  /** In order; each leaves the store consistent. */
  readonly txns: readonly PlannedTxn[];
  /** Why copies have no place, by service. */
  readonly waits: ReadonlyMap<string, readonly Wait[]>;
}

/** The plan of everything that was decided for one stack. */
export function makePlan(
  input: PlanInput,
  services: readonly DecidedService[],
  leadership: readonly Compare[],
): StackPlan {
  const context = new PlanContext(input);
  const wanted = wantedStarts(services, input);
  const groups = podGroups(wanted);
  const { placements, refusals, excesses } = placeStarts(groups, input);
  const units = new Map<string, Unit[]>();
  const waits = new Map<string, Wait[]>();
  for (const { service, decision } of services) {
    units.set(
      service,
      decision.stops.map((stop) => stopUnit(context, stop)),
    );
  }
  for (const group of groups) {
    const { owner, unit, obstacles } = startUnit(context, group, placements);
    if (unit !== undefined) units.get(owner)?.push(unit);
    for (const [start, found] of obstacles) addWait(waits, start, obstacleWait(start, found));
  }
  for (const start of wanted) {
    const refusal = refusals.get(start.id);
    if (refusal !== undefined) addWait(waits, start, placeWait(start, refusal, input));
    const excess = excesses.get(start.id);
    if (excess !== undefined) {
      addWait(waits, start, quotaWait(start, excess, input.stack.value.project));
    }
  }
  const txns = services.flatMap(({ service }) =>
    packUnits(units.get(service) ?? [], [...leadership, ...readConditions(input, service)]),
  );
  const forRoutes = packUnits(planIngress(context), [
    ...leadership,
    unchangedSince(input.stack.key, input.stack.revision),
  ]);
  return { txns: [...txns, ...forRoutes], waits };
}

/** The release and the number of copies by which the service was decided. */
function readConditions(input: PlanInput, service: string): Compare[] {
  const { stack, view } = input;
  const scale = keys.scale({ ...stack.value, service });
  return [
    unchangedSince(stack.key, stack.revision),
    unchangedSince(scale, view.scales.get(scale)?.revision),
  ];
}

/** Every start with an identifier; those of one pod under one key. */
function wantedStarts(services: readonly DecidedService[], input: PlanInput): WantedStart[] {
  const holders = new Set(services.flatMap(({ input: { target } }) => target?.spec.podWith ?? []));
  return services.flatMap(({ service, decision, input: serviceInput }) =>
    decision.starts.map((start): WantedStart => {
      const { place } = start;
      const id = input.ids.identifier();
      const holder = place.pod?.task === undefined ? place.pod?.holder : undefined;
      const pod = holder ?? (holders.has(service) ? service : undefined);
      const podKey = pod === undefined ? undefined : `${stackPrefix(input)}/${pod}/${place.slot}`;
      return { id, service, start, input: serviceInput, podKey };
    }),
  );
}

function stackPrefix({ stack }: PlanInput): string {
  return stack.key;
}

/** Starts that must be written together: all of a new pod, each other one alone. The holder comes first. */
function podGroups(wanted: readonly WantedStart[]): WantedStart[][] {
  const groups = new Map<string, WantedStart[]>();
  for (const start of wanted) {
    const key = start.podKey ?? start.id;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    if (start.start.place.pod === undefined) group.unshift(start);
    else group.push(start);
  }
  return [...groups.values()];
}

interface StartUnit {
  readonly owner: string;
  readonly unit: Unit | undefined;
  readonly obstacles: readonly (readonly [WantedStart, Obstacle])[];
}

function startUnit(
  context: PlanContext,
  group: readonly WantedStart[],
  placements: ReadonlyMap<string, Placement>,
): StartUnit {
  const [first] = group;
  const owner = first?.service ?? "";
  const unit = new Unit();
  for (const wanted of group) {
    const placement = placements.get(wanted.id);
    if (placement === undefined) {
      context.forget(unit);
      return { owner, unit: undefined, obstacles: [] };
    }
    const { node, devices } = placement;
    const placed: PlacedStart = { wanted, node, devices, podTask: podTaskOf(wanted, first) };
    if (placed.podTask !== undefined && placed.podTask !== first?.id) {
      const [holder] = context.input.view.tasks.by("id", placed.podTask);
      if (holder !== undefined) unit.expect(holder.key, holder.revision);
    }
    const found = addStart(context, placed, unit);
    if (found !== undefined) {
      context.forget(unit);
      return { owner, unit: undefined, obstacles: [[wanted, found]] };
    }
  }
  return { owner, unit, obstacles: [] };
}

function podTaskOf(wanted: WantedStart, first: WantedStart | undefined): string | undefined {
  const { pod } = wanted.start.place;
  if (pod === undefined) return undefined;
  return pod.task ?? first?.id;
}

function stopUnit(context: PlanContext, stop: Stop): Unit {
  const unit = new Unit();
  const { record, reason, giveUp } = stop;
  if (giveUp) {
    addGivingUp(context, record, unit);
    return unit;
  }
  unit.expect(record.key, record.revision);
  unit.put(record.key, encode({ ...record.task, desired: "stopped", stopReason: reason }));
  return unit;
}

function addWait(waits: Map<string, Wait[]>, { service }: WantedStart, wait: Wait): void {
  const list = waits.get(service) ?? [];
  waits.set(service, list);
  list.push(wait);
}

function obstacleWait({ service, start }: WantedStart, { wait, message }: Obstacle): Wait {
  const { place } = start;
  const name = placeName(service, place);
  return { kind: wait, message: `${name} waits: ${message}`, slot: place.slot };
}

/** A refusal of the scheduler as data and words. */
function placeWait(wanted: WantedStart, refusal: Refusal, { reservations }: PlanInput): Wait {
  const { service, start } = wanted;
  const { place } = start;
  const words = explainRules(refusal);
  const byCount = [...refusal.rules].sort((a, b) => b.count - a.count);
  return {
    kind: "place",
    message: `${placeName(service, place)} waits for a place: ${explainRefusal(refusal)}`,
    slot: place.slot,
    refusals: byCount.map((rule, index) => ({
      rule: rule.rule,
      count: rule.count,
      ...(rule.need === undefined ? {} : { need: rule.need }),
      ...(rule.bestAvailable === undefined ? {} : { bestAvailable: rule.bestAvailable }),
      ...(rule.unit === undefined ? {} : { unit: rule.unit }),
      detail: words[index]?.words ?? rule.about,
      nodes: [...rule.nodes],
    })),
    hints: [...explainHints(refusal), ...heldHints(wanted, reservations?.held ?? new Map())],
  };
}

/** Where something is held for others, and so looks fuller than it is. */
function heldHints(
  { input, start }: WantedStart,
  held: ReadonlyMap<string, string>,
): readonly string[] {
  const own = `${serviceKey(input.scope)}#${start.place.slot}`;
  return [...held]
    .filter(([key]) => key !== own)
    .map(([key, node]) => {
      const [service, slot] = key.split("#");
      return `copy ${slot} of ${service} had its place: it waited long, and ${node} is held for it`;
    });
}

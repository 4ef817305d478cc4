/**
 * Finds nodes for units and groups in a cluster state, and applies what it decides.
 *
 * A single ask takes the best node of the pipeline, found by turns (`turns.ts`) where they can tell, else by a look
 * at every node. A pod is tried on each node as a whole: every member must be accepted beside all the others. The
 * units of a gang take their best nodes one after the other; where that leaves one without a place, a search
 * goes depth first in the order of the scores, so that an unlucky choice is taken back. It is bounded, so among many
 * unlike members a fit can be missed (never a wrong one made). What does not succeed leaves no trace.
 * Cost: that of turns or O(nodes × rules) per ask, times the members of a pod, times the trials of a gang.
 */

import { assert, present } from "@berth/base";
import type { Group, Unit, Wanted } from "./batch.ts";
import type { ClusterState } from "./cluster-state.ts";
import { chooseDevices } from "./devices.ts";
import type { Subject } from "./filter.ts";
import { type Held, heldTask } from "./held.ts";
import type { Ask } from "./model.ts";
import type { NodeState } from "./node-state.ts";
import type { ScheduleOptions } from "./options.ts";
import { MEASURED_RESOURCES, percentOf } from "./overcommit.ts";
import {
  type Candidate,
  compareCandidates,
  firstFinding,
  prepareChecks,
  type Scorer,
  scorerOf,
} from "./pipeline.ts";
import type { Placement } from "./plan.ts";
import { Displacing } from "./preemption/displacing.ts";
import { Turns, turnsLimits } from "./turns.ts";

/** Where and how to decide. */
export interface Site {
  readonly cluster: ClusterState;
  readonly options: ScheduleOptions;
  /** What is remembered of the nodes; holds for this cluster and these options only. */
  readonly turns: Pick<Turns, "find" | "nodesFor" | "looks">;
  /** Absent: nobody is displaced. */
  readonly displacing?: Displacing;
}

/** Begins to decide in `cluster`, with nothing remembered. */
export function siteOf(cluster: ClusterState, options: ScheduleOptions): Site {
  const turns = new Turns(options, turnsLimits(cluster.nodes.length));
  if (options.preemption === undefined) return { cluster, options, turns };
  return { cluster, options, turns, displacing: new Displacing() };
}

/**
 * Choices that the search for one gang may take back. Gangs are mostly equal copies, for which the first
 * choices are as good as any; unlike members rarely need more than a few tries. At 1,000 nodes the limit
 * costs some tens of milliseconds for a gang that does not fit.
 */
export const GANG_TRIALS_MAX = 200;

/** Places the whole group and adds its placements to `placements`, or does neither and returns false. */
export function placeGroup({ units }: Group, site: Site, placements: Placement[]): boolean {
  const [unit, second] = units;
  if (unit === undefined) return true;
  if (second !== undefined) return placeUnits(units, site, placements);
  return placeLast(unit, site, placements);
}

/**
 * The units one after the other, each on its best node. Where that leaves one without a place, the search begins
 * anew and takes choices back.
 */
function placeUnits(units: readonly Unit[], site: Site, placements: Placement[]): boolean {
  const mark = site.cluster.mark();
  const count = placements.length;
  if (units.every((unit) => placeLast(unit, site, placements))) return true;
  site.cluster.undoTo(mark);
  placements.length = count;
  return searchUnits(units, site, placements, { trialsLeft: GANG_TRIALS_MAX });
}

function searchUnits(
  units: readonly Unit[],
  site: Site,
  placements: Placement[],
  budget: { trialsLeft: number },
): boolean {
  const [unit, ...rest] = units;
  if (unit === undefined) return true;
  if (rest.length === 0) return placeLast(unit, site, placements);
  const { candidates, scorers } = candidatesFor(unit, site);
  const found = { count: candidates.length, scorers };
  for (const candidate of [...candidates].sort(compareCandidates)) {
    const mark = site.cluster.mark();
    const count = placements.length;
    settle(unit, candidate, found, site, placements);
    if (searchUnits(rest, site, placements, budget)) return true;
    site.cluster.undoTo(mark);
    placements.length = count;
    if (--budget.trialsLeft <= 0) return false;
  }
  return false;
}

/** A unit by itself takes its best node; false when it has none. */
export function placeLast(unit: Unit, site: Site, placements: Placement[]): boolean {
  const [member, companion] = unit.members;
  const single = companion === undefined ? member : undefined;
  const answer = single && site.turns.find(subjectOf(single, unit, site.cluster));
  if (single !== undefined && answer !== undefined) {
    const { best, count, scorer } = answer;
    if (best === undefined) return false;
    placements.push(settleOne(single, best, { count, scorer }, site.cluster));
    return true;
  }
  const { candidates, scorers } = candidatesFor(unit, site);
  const best = bestOf(candidates);
  const found = { count: candidates.length, scorers };
  if (best !== undefined) settle(unit, best, found, site, placements);
  return best !== undefined;
}

/** What a placement tells about the choice. */
interface Found {
  /** Nodes that would have done. */
  readonly count: number;
  /** By member. */
  readonly scorers: readonly Scorer[];
}

/** Nodes that will do for a unit, unordered, and the scores by member by which they were judged. */
function candidatesFor(unit: Unit, site: Site) {
  const subjects = unit.members.map((member) => subjectOf(member, unit, site.cluster));
  const checks = subjects.map(prepareChecks);
  const scorers = subjects.map((subject) => scorerOf(subject, site.options));
  const total = (node: NodeState) => scorers.reduce((sum, scorer) => sum + scorer.total(node), 0);
  const candidates: Candidate[] = [];
  for (const node of site.turns.nodesFor(subjects)) {
    // What a member alone cannot have, it cannot have with the others; this spares most trials.
    if (checks.some((each) => firstFinding(each, node) !== undefined)) continue;
    if (unit.members.length > 1 && !acceptsAll(unit, node, site.cluster)) continue;
    candidates.push({ node, score: total(node) });
  }
  return { candidates, scorers };
}

/** Is each member accepted on the node beside all the others? */
function acceptsAll(unit: Unit, node: NodeState, cluster: ClusterState): boolean {
  const tasks = tasksOn(unit, node);
  if (tasks === undefined) return false;
  const mark = cluster.mark();
  for (const task of tasks) cluster.add(task);
  const fits = unit.members.every((member, index) => {
    cluster.remove(member.ask.id);
    const checks = prepareChecks(subjectOf(member, unit, cluster));
    const accepted = firstFinding(checks, node) === undefined;
    cluster.add(present(tasks[index], "task"));
    return accepted;
  });
  cluster.undoTo(mark);
  return fits;
}

/** A member of a unit as the filters see it. */
export function subjectOf(member: Wanted, { members }: Unit, cluster: ClusterState): Subject {
  const { ask, needs } = member;
  if (members.length === 1) return { ask, needs, cluster, companions: NOBODY };
  const companions = members.filter((other) => other !== member);
  return { ask, needs, cluster, companions: new Set(companions.map((other) => other.ask.service)) };
}

const NOBODY: ReadonlySet<string> = new Set();

/**
 * The tasks that the members become on the node, devices handed out to all of them at once; `undefined`
 * when the devices do not suffice. No other rule is asked.
 */
export function tasksOn({ members }: Unit, node: NodeState): readonly Held[] | undefined {
  const needs = members.flatMap((member) => member.needs.devices);
  const devices = chooseDevices(node.devices, needs);
  if (devices === undefined) return undefined;
  let next = 0;
  return members.map(({ ask, needs }) => {
    const own = devices.slice(next, next + needs.devices.length);
    next += needs.devices.length;
    return heldTask({ claims: ask, needs, node: node.model.id, devices: own, leaving: false });
  });
}

function bestOf(candidates: readonly Candidate[]): Candidate | undefined {
  let best = candidates[0];
  for (const candidate of candidates) {
    if (best !== undefined && compareCandidates(candidate, best) < 0) best = candidate;
  }
  return best;
}

/** Applies the choice and says what it was. */
function settle(
  unit: Unit,
  { node, score }: Candidate,
  { count, scorers }: Found,
  site: Site,
  placements: Placement[],
): void {
  // The reasons first: they are those of the state in which was chosen.
  const reasons = scorers.map((scorer) => scorer.reasons(node));
  const tasks = present(tasksOn(unit, node), `devices on ${node.model.id}`);
  for (const [index, task] of tasks.entries()) {
    site.cluster.add(task);
    const chosen = { node: node.model.id, score, reasons: reasons[index] ?? [], candidates: count };
    const more = overcommittedBy(unit.members[index]?.ask ?? {}, node, site.cluster);
    placements.push({ ask: task.claims.id, ...chosen, devices: task.devices, ...more });
  }
}

/** The same for a single ask, which most are. */
export function settleOne(
  { ask, needs }: Wanted,
  { node, score }: Candidate,
  found: { readonly count: number; readonly scorer: Scorer },
  cluster: ClusterState,
): Placement {
  const reasons = found.scorer.reasons(node);
  const { id } = node.model;
  const devices = chooseDevices(node.devices, needs.devices);
  assert(devices !== undefined, "the rule holds, so there are devices on the best node");
  cluster.add(heldTask({ claims: ask, needs, node: id, devices, leaving: false }));
  const placement = { ask: ask.id, node: id, score, reasons, candidates: found.count, devices };
  if (ask.overcommit === undefined) return placement;
  return { ...placement, ...overcommittedBy(ask, node, cluster) };
}

/** How far the requests on the node go beyond what it can give, where the ask allows it. */
function overcommittedBy(
  { overcommit }: Pick<Ask, "overcommit">,
  { total, free }: NodeState,
  { columns }: ClusterState,
): Pick<Placement, "overcommitted"> {
  const beyond = MEASURED_RESOURCES.flatMap((name) => {
    const column = columns.of(name);
    const [all, left] = [total[column] ?? 0, free[column] ?? 0];
    if (percentOf(overcommit, name) === 100 || left >= 0 || all === 0) return [];
    return [[name, Math.ceil((100 * (all - left)) / all)] as const];
  });
  return beyond.length === 0 ? {} : { overcommitted: Object.fromEntries(beyond) };
}

/**
 * Why does a group have no place, and what would give it one?
 *
 * Every node counts for the first rule that refuses it, so the counts add up to the nodes. A hint is only
 * given where it is true: a single finding stands between the ask and the node, or a node like an existing
 * one, empty, would take it. Cost: O(nodes × rules) per refused ask.
 */

import { present } from "@berth/base";
import type { Group, Unit, Wanted } from "./batch.ts";
import { type ClusterState, compareText } from "./cluster-state.ts";
import type { Subject } from "./filter.ts";
import { type Held, heldTask } from "./held.ts";
import { book, NO_PLACE, type NodeState, nodeState } from "./node-state.ts";
import { type MeasuredResource, strictest } from "./overcommit.ts";
import { allFindings, distinct, prepareChecks, type RuleFinding } from "./pipeline.ts";
import { placeGroup, type Site, subjectOf, tasksOn } from "./placing.ts";
import {
  HINTS_MAX,
  type Hint,
  NODES_NAMED_MAX,
  type Refusal,
  RULES,
  type RuleCount,
  type RuleName,
  type Together,
} from "./plan.ts";
import type { Needs } from "./resources.ts";

/** The refusals of all asks of a group that does not fit into the cluster as it is now. */
export function refuseGroup(group: Group, site: Site): readonly Refusal[] {
  const { cluster } = site;
  const mark = cluster.mark();
  const unit = blockingUnit(group, site);
  const verdicts = cluster.nodes.map((node) => ({
    node: node.model.id,
    findings: findingsAt(node, unit, cluster),
  }));
  const rules = countRules(verdicts);
  const hints = [...ruleHints(verdicts, unit), ...anotherNode(unit, cluster)].slice(0, HINTS_MAX);
  cluster.undoTo(mark);
  const members = group.units.flatMap((each) => each.members);
  const together = togetherOf(group, unit, members.length);
  return members.map(({ ask }) => ({
    ask: ask.id,
    nodesTotal: cluster.nodes.length,
    rules,
    hints,
    ...(together === undefined ? {} : { together }),
  }));
}

/** Places the units of a gang one by one and returns the first that finds no node. */
function blockingUnit({ units, priority }: Group, site: Site): Unit {
  const unit = units.find(
    (each) => !placeGroup({ gang: undefined, priority, units: [each] }, site, []),
  );
  // The search for a gang begins with just these choices, so one of them must have failed.
  return present(unit, "the unit that has no place");
}

function togetherOf(group: Group, unit: Unit, size: number): Together | undefined {
  if (size < 2) return undefined;
  if (group.gang === undefined) return { kind: "pod", key: unit.pod ?? "", size };
  const blocking = present(unit.members[0], "member").ask.id;
  return { kind: "gang", key: group.gang, size, blocking };
}

/** All that is wrong with one node, in the order of the rules. */
interface NodeVerdict {
  readonly node: string;
  readonly findings: readonly RuleFinding[];
}

/**
 * Everything that speaks against the node. Of a pod: what speaks against any member beside the others, which
 * are booked even where they do not fit, so that no hint is given for one of several things amiss; of
 * resources, what all of them need together.
 */
function findingsAt(node: NodeState, unit: Unit, cluster: ClusterState): readonly RuleFinding[] {
  const [first, ...others] = unit.members;
  if (first === undefined) return [];
  if (others.length === 0) {
    return allFindings(prepareChecks(subjectOf(first, unit, cluster)), node);
  }
  const whole = wholeOf(subjectOf(first, unit, cluster), unit.members);
  const findings = [...allFindings(prepareChecks(whole), node).filter(isOfSum)];
  const mark = cluster.mark();
  const tasks = unit.members.map((member): Held => {
    const { ask: claims, needs } = member;
    return heldTask({ claims, needs, node: node.model.id, devices: [], leaving: false });
  });
  for (const task of tasks) cluster.add(task);
  for (const [index, member] of unit.members.entries()) {
    cluster.remove(member.ask.id);
    const own = allFindings(prepareChecks(subjectOf(member, unit, cluster)), node);
    findings.push(...own.filter((finding) => !isOfSum(finding)));
    cluster.add(present(tasks[index], "task"));
  }
  cluster.undoTo(mark);
  const place = ({ rule }: RuleFinding) => RULES.indexOf(rule);
  return [...distinct(findings)].sort((a, b) => place(a) - place(b));
}

/** The rules that look at the needs alone: for a pod they are asked once, about its sum. */
function isOfSum({ rule }: RuleFinding): boolean {
  return rule === "resources" || rule === "devices";
}

/** The pod as one ask; where more may be promised than there is, by the strictest of those that need it. */
function wholeOf(subject: Subject, members: readonly Wanted[]): Subject {
  const needing = (name: MeasuredResource) => {
    const those = members.filter(({ needs }) => needs.resources.some((need) => need.name === name));
    return strictest(those.map(({ ask }) => ask.overcommit))[name] ?? 100;
  };
  const overcommit = { cpu: needing("cpu"), memory: needing("memory") };
  return { ...subject, ask: { ...subject.ask, overcommit }, needs: sumOf(members) };
}

function sumOf(members: readonly Wanted[]): Needs {
  const amounts = new Map<string, number>();
  for (const { needs } of members) {
    for (const { name, amount } of needs.resources) {
      amounts.set(name, (amounts.get(name) ?? 0) + amount);
    }
  }
  return {
    resources: [...amounts].map(([name, amount]) => ({ name, amount })),
    devices: members.flatMap(({ needs }) => needs.devices),
  };
}

function countRules(verdicts: readonly NodeVerdict[]): readonly RuleCount[] {
  const groups = new Map<string, { finding: RuleFinding; nodes: NodeVerdict[] }>();
  for (const verdict of verdicts) {
    const finding = verdict.findings[0];
    if (finding === undefined) continue;
    const { about, beyond = "", need = null } = finding;
    const key = JSON.stringify([RULES.indexOf(finding.rule), about, need, beyond]);
    const group = groups.get(key);
    if (group !== undefined) group.nodes.push(verdict);
    else groups.set(key, { finding, nodes: [verdict] });
  }
  return [...groups.values()]
    .map(({ finding, nodes }) => ruleCount(finding, nodes))
    .sort(
      (a, b) =>
        RULES.indexOf(a.rule) - RULES.indexOf(b.rule) ||
        compareText(a.about, b.about) ||
        (a.need ?? 0) - (b.need ?? 0) ||
        compareText(a.beyond ?? "", b.beyond ?? ""),
    );
}

function ruleCount(finding: RuleFinding, nodes: readonly NodeVerdict[]): RuleCount {
  const available = (verdict: NodeVerdict) => verdict.findings[0]?.available ?? 0;
  const ordered = [...nodes].sort(
    (a, b) => available(b) - available(a) || compareText(a.node, b.node),
  );
  const holdings = nodes.map(({ findings }) => JSON.stringify(holding(findings[0])));
  const { rule, about, beyond, need, unit } = finding;
  const most = Math.max(...ordered.slice(0, 1).map(available));
  return {
    rule,
    about,
    ...(beyond === undefined ? {} : { beyond }),
    count: nodes.length,
    ...(need === undefined ? {} : { need }),
    ...(finding.available === undefined ? {} : { bestAvailable: most }),
    ...(unit === undefined ? {} : { unit }),
    ...(new Set(holdings).size > 1 ? {} : holding(finding)),
    nodes: ordered.slice(0, NODES_NAMED_MAX).map((verdict) => verdict.node),
  };
}

/**
 * Would the change alter which domains there are? Under a required spread, a rule that is lifted for all
 * nodes may bring in domains with fewer copies; a node that is put into a domain takes its tasks along.
 * Either may close again what it opened, so no hint is given.
 */
function movesDomains({ rule, need }: RuleFinding, spreads: boolean): boolean {
  return spreads && (RULES_OF_ASK.has(rule) || (rule === "spread" && need === undefined));
}

/** Who is in the way, and how many. */
function holding(finding: RuleFinding | undefined): Pick<RuleFinding, "holder" | "holders"> {
  const { holder, holders } = finding ?? {};
  if (holder === undefined) return {};
  return holders === undefined ? { holder } : { holder, holders };
}

/** Rules that a change of the ask lifts for all nodes at once. */
const RULES_OF_ASK: ReadonlySet<RuleName> = new Set([
  "pinned",
  "platform",
  "constraints",
  "taints",
]);

/** The nodes that a single finding keeps out, by that finding; the smallest lack first. */
function ruleHints(verdicts: readonly NodeVerdict[], unit: Unit): readonly Hint[] {
  const spreads = unit.members.some(({ ask }) => (ask.spread ?? []).some((each) => each.required));
  const groups = new Map<string, { finding: RuleFinding; node: string; nodes: number }>();
  for (const { node, findings } of verdicts) {
    const [finding, second] = findings;
    if (finding === undefined || second !== undefined) continue;
    if (movesDomains(finding, spreads)) continue;
    const { rule, about, beyond = "", need = null } = finding;
    const key = JSON.stringify([rule, about, need, beyond]);
    const group = groups.get(key);
    const nearer = group === undefined || missingShare(finding) < missingShare(group.finding);
    const nodes = (group?.nodes ?? 0) + 1;
    groups.set(key, nearer ? { finding, node, nodes } : { ...group, nodes });
  }
  return [...groups.values()]
    .sort(
      (a, b) =>
        missingShare(a.finding) - missingShare(b.finding) ||
        RULES.indexOf(a.finding.rule) - RULES.indexOf(b.finding.rule) ||
        b.nodes - a.nodes ||
        compareText(a.finding.about, b.finding.about) ||
        compareText(a.finding.beyond ?? "", b.finding.beyond ?? ""),
    )
    .map(ruleHint);
}

/** 0 (nearly there) to 1 (all is missing, or it is not a matter of amounts). */
function missingShare({ need, missing }: RuleFinding): number {
  return need === undefined || missing === undefined ? 1 : missing / need;
}

function ruleHint(group: { finding: RuleFinding; node: string; nodes: number }): Hint {
  const { rule, about, beyond, need, missing, unit } = group.finding;
  return {
    kind: "rule",
    rule,
    about,
    ...(beyond === undefined ? {} : { beyond }),
    nodes: group.nodes,
    node: group.node,
    ...(need === undefined ? {} : { need }),
    ...(missing === undefined ? {} : { missing }),
    ...(unit === undefined ? {} : { unit }),
    ...holding(group.finding),
  };
}

/** Would an empty node of the same make do? The first by id that would. */
function anotherNode(unit: Unit, cluster: ClusterState): readonly Hint[] {
  const found = cluster.nodes.find(({ model }) =>
    takesAll(emptyCopy(model, cluster), unit, cluster),
  );
  return found === undefined ? [] : [{ kind: "another-node", node: found.model.id }];
}

/** A node of the same make that has just joined: no tasks, no volumes, ready, with a name of its own. */
export function emptyCopy(model: NodeState["model"], { columns }: ClusterState): NodeState {
  const id = `another ${model.id}`;
  const fresh = { id, name: id, ready: true, draining: false, volumes: [], images: {} };
  return nodeState({ ...model, ...fresh, portsTaken: [] }, NO_PLACE, columns);
}

function takesAll(node: NodeState, unit: Unit, cluster: ClusterState): boolean {
  const tasks = tasksOn(unit, node);
  if (tasks === undefined) return false;
  return unit.members.every((member, index) => {
    const checks = prepareChecks(subjectOf(member, unit, cluster));
    if (allFindings(checks, node).length > 0) return false;
    const task = tasks[index];
    if (task !== undefined) book(node, task, 1, cluster.columns);
    return true;
  });
}

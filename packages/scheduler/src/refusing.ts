/**
 * Why does a group have no place, and what would give it one?
 *
 * Every node counts for the first rule that refuses it, so the counts add up to the nodes. A hint is only
 * given where it is true: a single finding stands between the ask and the node, or a node like an existing
 * one, empty, would take it. Cost: O(nodes × rules) per refused ask.
 */

import type { Group, Unit, Wanted } from "./batch.ts";
import {
  book,
  type ClusterState,
  compareText,
  type Held,
  type NodeState,
  nodeState,
} from "./cluster-state.ts";
import { allFindings, prepareChecks, type RuleFinding } from "./pipeline.ts";
import { placeGroup, type Site, subjectOf, tasksOn } from "./placing.ts";
import {
  HINTS_MAX,
  type Hint,
  NODES_NAMED_MAX,
  type Refusal,
  RULES,
  type RuleCount,
  type Together,
} from "./plan.ts";

/** The refusals of all asks of a group that does not fit into the cluster as it is now. */
export function refuseGroup(group: Group, site: Site): readonly Refusal[] {
  const mark = site.cluster.mark();
  const blocking = blockingUnit(group, site);
  const verdict = judge(blocking, site.cluster);
  site.cluster.undoTo(mark);
  const members = group.units.flatMap((unit) => unit.members);
  const together = togetherOf(group, blocking, members.length, verdict.blocking);
  return members.map(({ ask }) => ({
    ask: ask.id,
    nodesTotal: site.cluster.nodes.length,
    rules: verdict.rules,
    hints: verdict.hints,
    ...(together === undefined ? {} : { together }),
  }));
}

/** Places the units of a gang one by one and returns the first that finds no node. */
function blockingUnit(group: Group, site: Site): Unit {
  let last: Unit | undefined;
  for (const unit of group.units) {
    last = unit;
    if (placeGroup({ gang: undefined, units: [unit] }, site) === undefined) return unit;
  }
  // Each was placed greedily where the search did not get so far: cannot be, for it starts greedily.
  return last ?? { pod: undefined, members: [] };
}

function togetherOf(
  group: Group,
  unit: Unit,
  size: number,
  blocking: string,
): Together | undefined {
  if (size < 2) return undefined;
  if (group.gang !== undefined) return { kind: "gang", key: group.gang, size, blocking };
  return { kind: "pod", key: unit.pod ?? "", size, blocking };
}

/** All that is wrong with one node, in the order of members and rules. */
interface NodeVerdict {
  readonly node: string;
  readonly findings: readonly MemberFinding[];
}

interface MemberFinding extends RuleFinding {
  /** Ask that it refuses. */
  readonly ask: string;
}

interface Verdict {
  readonly rules: readonly RuleCount[];
  readonly hints: readonly Hint[];
  readonly blocking: string;
}

function judge(unit: Unit, cluster: ClusterState): Verdict {
  const verdicts = cluster.nodes.map((node) => ({
    node: node.model.id,
    findings: findingsAt(node, unit, cluster),
  }));
  return {
    rules: countRules(verdicts),
    hints: [...ruleHints(verdicts), ...anotherNode(unit, cluster)].slice(0, HINTS_MAX),
    blocking: mostRefused(verdicts, unit),
  };
}

/**
 * Findings of all members. Each is looked at beside the ones before it, booked even where they are refused,
 * so that no hint is given for the first of several things amiss; then beside all the others, which finds
 * what only the later ones bring about.
 */
function findingsAt(node: NodeState, unit: Unit, cluster: ClusterState): readonly MemberFinding[] {
  const mark = cluster.mark();
  const tasks = tasksOn(unit, node);
  const taskOf = ({ ask, needs }: Wanted, index: number): Held =>
    tasks?.[index] ?? { claims: ask, needs, node: node.model.id, devices: [], leaving: false };
  const look = (member: Wanted): readonly MemberFinding[] =>
    allFindings(prepareChecks(subjectOf(member, unit, cluster)), node).map((finding) => ({
      ...finding,
      ask: member.ask.id,
    }));
  const findings = unit.members.flatMap((member, index) => {
    const found = look(member);
    cluster.add(taskOf(member, index));
    return found;
  });
  const later = unit.members.flatMap((member, index) => {
    cluster.remove(member.ask.id);
    const found = look(member);
    cluster.add(taskOf(member, index));
    return found;
  });
  cluster.undoTo(mark);
  const known = new Set(findings.map(({ rule, about }) => `${rule} ${about}`));
  return [...findings, ...later.filter(({ rule, about }) => !known.has(`${rule} ${about}`))];
}

function countRules(verdicts: readonly NodeVerdict[]): readonly RuleCount[] {
  const groups = new Map<string, { finding: RuleFinding; nodes: NodeVerdict[] }>();
  for (const verdict of verdicts) {
    const finding = verdict.findings[0];
    if (finding === undefined) continue;
    const key = JSON.stringify([RULES.indexOf(finding.rule), finding.about, finding.need ?? null]);
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
        (a.need ?? 0) - (b.need ?? 0),
    );
}

function ruleCount(finding: RuleFinding, nodes: readonly NodeVerdict[]): RuleCount {
  const available = (verdict: NodeVerdict) => verdict.findings[0]?.available ?? 0;
  const ordered = [...nodes].sort(
    (a, b) => available(b) - available(a) || compareText(a.node, b.node),
  );
  const holders = new Set(nodes.map((verdict) => verdict.findings[0]?.holder));
  const { rule, about, need, unit, holder } = finding;
  const most = Math.max(...ordered.slice(0, 1).map(available));
  return {
    rule,
    about,
    count: nodes.length,
    ...(need === undefined ? {} : { need }),
    ...(finding.available === undefined ? {} : { bestAvailable: most }),
    ...(unit === undefined ? {} : { unit }),
    ...(holder === undefined || holders.size > 1 ? {} : { holder }),
    nodes: ordered.slice(0, NODES_NAMED_MAX).map((verdict) => verdict.node),
  };
}

/** The nodes that a single finding keeps out, by that finding; the smallest lack first. */
function ruleHints(verdicts: readonly NodeVerdict[]): readonly Hint[] {
  const groups = new Map<string, { finding: RuleFinding; node: string; nodes: number }>();
  for (const { node, findings } of verdicts) {
    const [finding, second] = findings;
    if (finding === undefined || second !== undefined) continue;
    const key = JSON.stringify([finding.rule, finding.about]);
    const group = groups.get(key);
    const nearer = group === undefined || missingShare(finding) < missingShare(group.finding);
    const nodes = (group?.nodes ?? 0) + 1;
    groups.set(key, nearer ? { finding, node, nodes } : { ...group, nodes });
  }
  return [...groups.values()]
    .sort(
      (a, b) =>
        missingShare(a.finding) - missingShare(b.finding) ||
        b.nodes - a.nodes ||
        RULES.indexOf(a.finding.rule) - RULES.indexOf(b.finding.rule) ||
        compareText(a.finding.about, b.finding.about),
    )
    .map(ruleHint);
}

/** 0 (nearly there) to 1 (all is missing, or it is not a matter of amounts). */
function missingShare({ need, available }: RuleFinding): number {
  return need === undefined || available === undefined ? 1 : (need - available) / need;
}

function ruleHint(group: { finding: RuleFinding; node: string; nodes: number }): Hint {
  const { rule, about, need, available, unit, holder } = group.finding;
  const missing = need === undefined || available === undefined ? undefined : need - available;
  return {
    kind: "rule",
    rule,
    about,
    nodes: group.nodes,
    node: group.node,
    ...(missing === undefined ? {} : { missing }),
    ...(unit === undefined ? {} : { unit }),
    ...(holder === undefined ? {} : { holder }),
  };
}

/** Would an empty node of the same make do? The first by id that would. */
function anotherNode(unit: Unit, cluster: ClusterState): readonly Hint[] {
  const found = cluster.nodes.find(({ model }) => takesAll(emptyCopy(model), unit, cluster));
  return found === undefined ? [] : [{ kind: "another-node", node: found.model.id }];
}

/** A node of the same make that has just joined: no tasks, no volumes, ready, with a name of its own. */
function emptyCopy(model: NodeState["model"]): NodeState {
  const id = `another ${model.id}`;
  const fresh = { id, name: id, ready: true, draining: false, volumes: [], images: {} };
  return nodeState({ ...model, ...fresh, portsTaken: [] }, 0);
}

function takesAll(node: NodeState, unit: Unit, cluster: ClusterState): boolean {
  const tasks = tasksOn(unit, node);
  if (tasks === undefined) return false;
  return unit.members.every((member, index) => {
    const checks = prepareChecks(subjectOf(member, unit, cluster));
    if (allFindings(checks, node).length > 0) return false;
    const task = tasks[index];
    if (task !== undefined) book(node, task, 1);
    return true;
  });
}

/** The member that most nodes refuse first; the first of them where several tie. */
function mostRefused(verdicts: readonly NodeVerdict[], unit: Unit): string {
  const counts = new Map(unit.members.map(({ ask }) => [ask.id, 0]));
  for (const { findings } of verdicts) {
    const ask = findings[0]?.ask;
    if (ask !== undefined) counts.set(ask, (counts.get(ask) ?? 0) + 1);
  }
  let most = unit.members[0]?.ask.id ?? "";
  for (const [ask, count] of counts) if (count > (counts.get(most) ?? 0)) most = ask;
  return most;
}

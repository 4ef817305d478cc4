/**
 * On which node would an ask have a place soonest, if room came back there? Where room alone is missing, an empty node
 * of the same make would do, and the least of what it needs is missing. O(nodes × rules).
 */

import type { Subject } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import { allFindings, firstFinding, prepareChecks, type RuleFinding } from "./pipeline.ts";
import type { RuleName } from "./plan.ts";
import { emptyCopy } from "./refusing.ts";

/** Rules that time heals: tasks leave. */
const ROOM: ReadonlySet<RuleName> = new Set(["devices", "resources", "max-tasks"]);

/** Does nothing but room stand between the ask and the node, and would an empty one have it? */
export function lacksRoomOnly(subject: Subject, node: NodeState): boolean {
  return missingRoom(subject, node) !== undefined;
}

/** The nearest of the nodes; the lower place among equals. */
export function nearestNode(subject: Subject, except: ReadonlySet<string>): NodeState | undefined {
  let nearest: NodeState | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const node of subject.cluster.nodesByPlace) {
    if (except.has(node.model.id)) continue;
    const missing = missingRoom(subject, node);
    if (missing === undefined || missing >= least) continue;
    nearest = node;
    least = missing;
  }
  return nearest;
}

/** What is missing as parts of what is needed, summed up; `undefined` where it is not only room. */
function missingRoom(subject: Subject, node: NodeState): number | undefined {
  const checks = prepareChecks(subject);
  const findings = allFindings(checks, node);
  if (findings.length === 0 || !findings.every(({ rule }) => ROOM.has(rule))) return undefined;
  const ofRoom = checks.filter(({ rule }) => ROOM.has(rule));
  if (firstFinding(ofRoom, emptyCopy(node.model, subject.cluster)) !== undefined) return undefined;
  return findings.reduce((sum, finding) => sum + share(finding), 0);
}

/** A device that is taken, or one task too many, counts as all that is needed. */
function share({ need, missing }: RuleFinding): number {
  return need === undefined || missing === undefined || need === 0 ? 1 : missing / need;
}

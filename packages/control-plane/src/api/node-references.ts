/**
 * Which blobs the work of a node refers to: all that its agent may fetch. A pure function of the view.
 * Cost: O(tasks and open operations of the node).
 */

import type { Assignment, Operation } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { assignmentOf } from "./assignment.ts";

/** Whether a task or operation of `node` refers to `digest`. */
export function refersTo(view: ClusterView, node: string, digest: string): boolean {
  for (const { value: task } of view.tasks.by("node", node)) {
    const assignment = assignmentOf(view, task);
    if (assignment !== undefined && digestsOfAssignment(assignment).has(digest)) return true;
  }
  for (const { value: operation } of view.operations.by("node", node)) {
    if (digestsOfOperation(operation).includes(digest)) return true;
  }
  return false;
}

function digestsOfAssignment({ spec, volumes, configs }: Assignment): Set<string> {
  const digests = new Set<string>();
  for (const mount of spec.mounts) if (mount.kind === "object") digests.add(mount.digest);
  for (const { seedDigest } of Object.values(volumes)) {
    if (seedDigest !== undefined) digests.add(seedDigest);
  }
  for (const { digest } of Object.values(configs)) digests.add(digest);
  if (spec.build !== undefined) digests.add(spec.build.contextDigest);
  return digests;
}

function digestsOfOperation({ input }: Operation): string[] {
  if (input.kind !== "resolve-images") return [];
  return input.images.flatMap(({ build }) => (build === undefined ? [] : [build.contextDigest]));
}

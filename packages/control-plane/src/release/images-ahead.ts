/**
 * Which images a node should have before a deployment becomes a release: those of services whose old copy ends
 * before the new one starts. Otherwise the service is away for as long as the image takes to come, or for ever if it
 * does not. Pure. Cost: O(tasks of the stack).
 */

import {
  type Deployment,
  isFinal,
  keys,
  type PinnedImage,
  type ServiceSpec,
  stackKey,
} from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { specOfTask } from "./spec-of-task.ts";

/** Missing images by node, each once; nodes without contact are left out. */
export function imagesAhead(
  view: ClusterView,
  { spec, ...scope }: Pick<Deployment, "project" | "environment" | "stack" | "spec">,
  images: Readonly<Record<string, PinnedImage>>,
): ReadonlyMap<string, PinnedImage[]> {
  const wanted = new Map<string, PinnedImage[]>();
  for (const { value: task } of view.tasks.by("stack", stackKey(scope))) {
    const next = spec.services[task.service];
    const image = next === undefined ? undefined : images[next.image];
    if (next === undefined || image === undefined || !endsFirst(next)) continue;
    const state = statusOf(view, task.id)?.state;
    const isGone = task.desired === "stopped" || task.verdict !== undefined;
    if (isGone || (state !== undefined && isFinal(state))) continue;
    const current = specOfTask(view, task)?.service.image;
    if (current !== undefined && nameOf(current) === nameOf(image)) continue;
    if (!isUp(view, task.node) || has(view, task.node, image)) continue;
    const missing = wanted.get(task.node) ?? [];
    if (!missing.some((known) => nameOf(known) === nameOf(image))) missing.push(image);
    wanted.set(task.node, missing);
  }
  return wanted;
}

/** Exclusive services are stop-first as well: their specs say so. */
function endsFirst({ update, podWith }: ServiceSpec): boolean {
  return update.order === "stop-first" || podWith !== undefined;
}

function nameOf({ imageId, repoDigest, reference }: PinnedImage): string {
  return imageId ?? repoDigest ?? reference;
}

function isUp(view: ClusterView, node: string): boolean {
  const isInContact = view.nodes.get(keys.node(node))?.value.contact === "up";
  const status = view.nodeStatuses.get(keys.nodeStatus(node))?.value;
  return isInContact && status?.engine.reachable === true;
}

function has(view: ClusterView, node: string, { imageId, repoDigest }: PinnedImage): boolean {
  const local = view.nodeStatuses.get(keys.nodeStatus(node))?.value.images ?? [];
  return local.some(
    ({ id, names }) => id === imageId || (repoDigest !== undefined && names.includes(repoDigest)),
  );
}

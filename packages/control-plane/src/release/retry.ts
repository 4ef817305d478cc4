/**
 * Deploying again after a failure is how people say that they have removed its cause. Where the file is the
 * same, the copies that failed are the same, too: they would go on in their back-off, and the new rollout
 * would wait for them without being able to blame them. So they are replaced, as by `berth restart`.
 *
 * Only services that are not well: what is ready in a failed release is left alone.
 */

import { isFinal, keys, type Release, type Stack, serviceKey } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";

/** `stack.restarts`, with one more for each service of `release` that failed with the same template. */
export function restartsOfRetry(
  view: ClusterView,
  stack: Stack,
  release: Release,
): Stack["restarts"] {
  const state = stack.rollout?.state;
  if (state !== "failed" && state !== "paused") return stack.restarts;
  const failed = view.releases.get(keys.release(stack, stack.release))?.value;
  const restarts = { ...stack.restarts };
  for (const [service, { template }] of Object.entries(release.services)) {
    if (failed?.services[service]?.template !== template) continue;
    if (!isUnwell(view, stack, { service, template })) continue;
    restarts[service] = (restarts[service] ?? 0) + 1;
  }
  return restarts;
}

/** A copy of this template is wanted, exists, and is not ready. */
function isUnwell(
  view: ClusterView,
  stack: Stack,
  { service, template }: { readonly service: string; readonly template: string },
): boolean {
  return view.tasks.by("service", serviceKey({ ...stack, service })).some(({ value: task }) => {
    if (task.template !== template || task.desired !== "running") return false;
    const status = view.statuses.by("task", task.id)[0]?.value;
    return status !== undefined && !status.ready && !isFinal(status.state);
  });
}

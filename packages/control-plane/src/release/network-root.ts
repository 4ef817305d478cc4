/** Whose network a service is on: its own, or that of the pod that it joins. Pure. */

import type { Release, ServiceSpec } from "@berth/protocol";

/**
 * The service whose networks `spec` answers on. A chain of pods is as long as the stack at most; a circle is
 * refused when the release is made.
 */
export function networkRoot(
  release: Pick<Release, "services">,
  spec: ServiceSpec,
): ServiceSpec | undefined {
  let root: ServiceSpec | undefined = spec;
  for (let hops = Object.keys(release.services).length; hops >= 0; hops--) {
    const shares = (root?.podShares ?? ["network"]).includes("network");
    if (root?.podWith === undefined || !shares) return root;
    root = release.services[root.podWith]?.spec;
  }
  return undefined;
}

/** Host ports for `ports` without a published number: the first of a range that nobody has claimed. */

import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { claimNameOf } from "./claims.ts";

/** A function that gives a free port, each time another one; `undefined` when none is left. */
export function chooseHostPorts(
  view: ClusterView,
  settings: Pick<ControlPlaneSettings, "publishedPorts" | "portsReserved">,
): (protocol: "tcp" | "udp") => number | undefined {
  const taken = new Set<string>();
  for (const { key } of view.claims.by("kind", "host-port")) {
    const [, protocol, , port] = claimNameOf(key);
    taken.add(`${protocol}/${port}`);
  }
  return (protocol) => {
    const { min, max } = settings.publishedPorts;
    for (let port = min; port <= max; port++) {
      const name = `${protocol}/${port}`;
      if (taken.has(name) || settings.portsReserved.includes(port)) continue;
      taken.add(name);
      return port;
    }
    return undefined;
  };
}

/**
 * Host ports of a release: which ones are new, so that its node looks whether a foreign program has them; and
 * one of a range for each of `ports` without a published number.
 */

import type { Claim, Deployment, HostPortWish, PublishedPort } from "@berth/protocol";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { claimNameOf, claimsOfServices, HTTPS_PORT } from "./claims.ts";

/** From `wish`, else from the platform's own range; `undefined` when none is left there. */
export type ChoosePort = (
  protocol: PublishedPort["protocol"],
  wish?: PublishedPort["publishedRange"],
) => number | undefined;

/** A function that gives a free port, each time another one; `undefined` when none is left. */
export function chooseHostPorts(
  view: ClusterView,
  settings: Pick<ControlPlaneSettings, "publishedPorts" | "portsReserved">,
): ChoosePort {
  const taken = new Set<string>();
  for (const { key } of view.claims.by("kind", "host-port")) {
    const [, protocol, , port] = claimNameOf(key);
    taken.add(`${protocol}/${port}`);
  }
  return (protocol, wish) => {
    const { first, last } = wish ?? {
      first: settings.publishedPorts.min,
      last: settings.publishedPorts.max,
    };
    for (let port = first; port <= last; port++) {
      const name = `${protocol}/${port}`;
      if (taken.has(name) || settings.portsReserved.includes(port)) continue;
      taken.add(name);
      return port;
    }
    return undefined;
  };
}

/** What listens for everybody in an address family that has no address of its own. */
const ANY_ADDRESS = "0.0.0.0";

/**
 * Ports that no stack has claimed yet and `deployment` needs: those of others are refused by their claims,
 * its own are in use. The port of HTTP routes counts while there is no route in the cluster.
 */
export function newHostPorts(
  view: ClusterView,
  deployment: Pick<Deployment, "spec">,
  settings: Pick<ControlPlaneSettings, "portsReserved" | "ingressHttpPort">,
): readonly HostPortWish[] {
  const wishes: HostPortWish[] = [];
  const specs = Object.entries(deployment.spec.services);
  const services = Object.fromEntries(specs.map(([name, spec]) => [name, { spec }]));
  let hasRoutes = view.claims.by("kind", "http-route" satisfies Claim["kind"]).length > 0;
  const named = view.claims.by("kind", "tls-name" satisfies Claim["kind"]);
  const namedPorts = new Set(named.map(({ key }) => Number(claimNameOf(key)[1])));
  for (const { key, claim, path } of claimsOfServices(services)) {
    if (claim.kind === "http-route") {
      if (hasRoutes) continue;
      hasRoutes = true;
      const port = settings.ingressHttpPort;
      wishes.push({ protocol: "tcp", address: ANY_ADDRESS, port, path });
    } else if (claim.kind === "tls-name") {
      // The HTTPS port is the platform's; another one is HAProxy's already where somebody has a name on it.
      const { port } = claim;
      if (port === HTTPS_PORT || namedPorts.has(port)) continue;
      namedPorts.add(port);
      wishes.push({ protocol: "tcp", address: ANY_ADDRESS, port, path });
    } else if (view.claims.get(key) === undefined && !settings.portsReserved.includes(claim.port)) {
      const { address, port } = claim;
      const protocol = claim.protocol === "udp" ? "udp" : "tcp";
      wishes.push({ protocol, address: address === "*" ? ANY_ADDRESS : address, port, path });
    }
  }
  return wishes;
}

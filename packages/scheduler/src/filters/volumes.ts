/**
 * Volumes lie on nodes. A volume with a home takes its users there; one that is used by somebody already
 * has its home where that one runs; an exclusive one has at most one user in the whole cluster.
 *
 * An exclusive use conflicts with every other use, also one that leaves: two writers on one volume is the
 * failure that no retry mends. Only the members of one pod, which share one life, count as one user.
 */

import { type ClusterState, compareText, type Held } from "../cluster-state.ts";
import { type Check, type Filter, type Finding, verb } from "../filter.ts";
import type { VolumeUse } from "../model.ts";

export const volumes: Filter = {
  rule: "volumes",
  prepare: ({ ask, cluster }) => (ask.volumes ?? []).map((use) => checkOf(use, ask.pod, cluster)),
  describe: ({ count, about, holder }) =>
    holder === undefined
      ? `${verb(count, "does", "do")} not have volume ${about}`
      : `cannot use volume ${about} (${holder} holds it)`,
  remedy: ({ about, holder, node }) =>
    holder === undefined
      ? `volume ${about} were on ${node}`
      : `${holder} let go of volume ${about}`,
};

function checkOf(use: VolumeUse, pod: string | undefined, cluster: ClusterState): Check {
  const users = [...cluster.volumeUsers(use.key)].sort(byId);
  const rival = users.find(
    (user) =>
      (pod === undefined || user.claims.pod !== pod) &&
      (use.mode === "exclusive" || modeOf(user, use.key) === "exclusive"),
  );
  if (rival !== undefined) {
    const held: Finding = { about: use.key, holder: rival.claims.id };
    return () => held;
  }
  if (use.reach === "cluster") return () => undefined;
  const home =
    use.node ?? cluster.volumeHome(use.key) ?? users.find((user) => isLocal(user, use.key))?.node;
  const absent: Finding = { about: use.key };
  return (node) => (home === undefined || node.model.id === home ? undefined : absent);
}

/** Does the task show where the volume lies? One that reaches it over the network does not. */
function isLocal(user: Held, key: string): boolean {
  return (user.claims.volumes ?? []).some((use) => use.key === key && use.reach !== "cluster");
}

/** A task that mounts a volume twice holds it exclusively if it does so once. */
function modeOf(user: Held, key: string): VolumeUse["mode"] {
  const uses = (user.claims.volumes ?? []).filter((use) => use.key === key);
  return uses.some((use) => use.mode === "exclusive") ? "exclusive" : "shared";
}

function byId(a: Held, b: Held): number {
  return compareText(a.claims.id, b.claims.id);
}

/**
 * Volumes lie on nodes. A volume with a home takes its users there; one that is used by somebody already
 * has its home where that one runs; an exclusive one has at most one user in the whole cluster.
 *
 * An exclusive use conflicts with every other use, also one that leaves: two writers on one volume is the
 * failure that no retry mends. Only the members of one pod, which share one life, count as one user.
 */

import { type ClusterState, compareText } from "../cluster-state.ts";
import { type Check, type Filter, type Finding, holdersOf, verb, whoHolds } from "../filter.ts";
import type { Held } from "../held.ts";
import type { VolumeUse } from "../model.ts";

export const volumes: Filter = {
  rule: "volumes",
  prepare: ({ ask, cluster }) =>
    (ask.volumes ?? []).flatMap((use) => checksOf(use, ask.pod, cluster)),
  looksBeyond: ({ ask }) => (ask.volumes ?? []).length > 0,
  only: ({ ask, cluster }) => {
    for (const use of ask.volumes ?? []) {
      const { rivals, home } = stateOf(use, ask.pod, cluster);
      if (rivals.length > 0) return [];
      if (home !== undefined) return [home];
    }
    return undefined;
  },
  // Volumes that are nowhere yet refuse nothing.
  reaches: () => [],
  describe: ({ count, about, holder, holders }) =>
    holder === undefined
      ? `${verb(count, "does", "do")} not have volume ${about}`
      : `cannot use volume ${about} (${whoHolds(holder, holders)} ${verb(holders ?? 1, "holds", "hold")} it)`,
  remedy: ({ about, holder, holders, node }) =>
    holder === undefined
      ? `volume ${about} were on ${node}`
      : `${whoHolds(holder, holders)} let go of volume ${about}`,
};

/** Two checks: nobody is in the way, and the volume is here once they have let go. */
function checksOf(
  use: VolumeUse,
  pod: string | undefined,
  cluster: ClusterState,
): readonly Check[] {
  const { rivals, home } = stateOf(use, pod, cluster);
  const held: Finding = { about: use.key, ...holdersOf(rivals.map((user) => user.claims.id)) };
  const free: Check = () => (rivals.length === 0 ? undefined : held);
  if (use.reach === "cluster") return [free];
  const absent: Finding = { about: use.key };
  const here: Check = (node) => {
    return home === undefined || node.model.id === home ? undefined : absent;
  };
  return [free, here];
}

/** Who is in the way, and the only node where the volume can be used; `undefined` where any will do. */
function stateOf(use: VolumeUse, pod: string | undefined, cluster: ClusterState) {
  const users = [...cluster.volumeUsers(use.key)].sort(byId);
  const rivals = users.filter((user) => isRival(user, use, pod));
  if (use.reach === "cluster") return { rivals, home: undefined };
  const local = users.find((user) => !rivals.includes(user) && isLocal(user, use.key));
  return { rivals, home: use.node ?? cluster.volumeHome(use.key) ?? local?.node };
}

function isRival(user: Held, use: VolumeUse, pod: string | undefined): boolean {
  if (pod !== undefined && user.claims.pod === pod) return false;
  return use.mode === "exclusive" || modeOf(user, use.key) === "exclusive";
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

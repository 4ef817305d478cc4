/**
 * What becomes of a node that falls silent, is heard of again, or of which a time is over: the next version of
 * its row. Pure; the lease controller and the API (a node's own report) write what this says, in a transaction
 * that compares the row, so that nobody acts upon a version that is not the newest.
 *
 * Everything is in the row, nothing in a server's memory: a server that takes over knows what was held back.
 */

import type { Node } from "@berth/protocol";
import type { ControlPlaneSettings } from "../settings.ts";

export type ContactSettings = Pick<
  ControlPlaneSettings,
  "massOutageShare" | "massOutagePauseMs" | "flapCount" | "flapWindowMs" | "heldBackMs"
>;

/** Whether so many of `total` nodes are silent that the fault is more likely ours or the network's. */
export function isMassOutage(
  silent: number,
  total: number,
  { massOutageShare }: Pick<ContactSettings, "massOutageShare">,
): boolean {
  return silent > Math.max(1, total * massOutageShare);
}

/**
 * The node is silent for longer than its lease. In a mass outage nothing of it is given up for a while, and it
 * counts for no flapping: it is not the node that fails.
 */
export function becomeSilent(
  node: Node,
  now: number,
  settings: ContactSettings,
  isMass: boolean,
): Node {
  const recent = recentSilences(node, now, settings);
  const silences = isMass ? recent : [...recent, now].slice(-settings.flapCount);
  const { silences: _before, ...rest } = node;
  const silent: Node = { ...rest, contact: "down", contactChangedAt: now };
  return {
    ...silent,
    ...(silences.length === 0 ? {} : { silences }),
    ...(isMass ? { evictionPausedUntil: now + settings.massOutagePauseMs } : {}),
  };
}

/** The node was heard of. What was decided for the time of its silence is over. */
export function becomeHeard(node: Node, now: number, settings: ContactSettings): Node {
  const { evictionPausedUntil: _paused, silences: _before, ...known } = node;
  const { fence: _fence, silentForMs: _silent, ...rest } = known;
  const silences = recentSilences(node, now, settings);
  const isFlapping = silences.length >= settings.flapCount;
  return {
    ...rest,
    contact: "up",
    contactChangedAt: now,
    ...(silences.length === 0 ? {} : { silences }),
    ...(isFlapping ? { heldBackUntil: now + settings.heldBackMs } : {}),
  };
}

/** A time of the node that is over is taken away; `undefined` when none is. */
export function afterTime(node: Node, now: number): Node | undefined {
  const { evictionPausedUntil, heldBackUntil, ...rest } = node;
  const isPaused = evictionPausedUntil !== undefined && evictionPausedUntil > now;
  // Held back until it was in contact for a while: silence does not count towards it.
  const isHeldBack =
    heldBackUntil !== undefined && (heldBackUntil > now || node.contact === "down");
  if (isPaused === (evictionPausedUntil !== undefined)) {
    if (isHeldBack === (heldBackUntil !== undefined)) return undefined;
  }
  return {
    ...rest,
    ...(isPaused ? { evictionPausedUntil } : {}),
    ...(isHeldBack ? { heldBackUntil } : {}),
  };
}

function recentSilences(node: Node, now: number, { flapWindowMs }: ContactSettings): number[] {
  return (node.silences ?? []).filter((at) => now - at < flapWindowMs);
}

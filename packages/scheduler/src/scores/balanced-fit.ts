/**
 * `balanced`: more room is better, and so is a node whose processor and memory are used evenly, because
 * what one of them leaves over is worth nothing without the other.
 */

import type { Subject } from "../filter.ts";
import type { Points } from "../score.ts";
import { resourceShare, usedShare } from "./used-share.ts";

/** Room counts more than evenness: an even but full node is no better place than an uneven empty one. */
export const ROOM_SHARE = 0.6;

export function balancedFit(subject: Subject): Points {
  const { needs, cluster } = subject;
  const amount = (name: string) => needs.resources.find((need) => need.name === name)?.amount ?? 0;
  const used = usedShare(subject);
  const cpu = resourceShare(cluster.columns.of("cpu"), amount("cpu"));
  const memory = resourceShare(cluster.columns.of("memory"), amount("memory"));
  return (node) => {
    const room = 1 - used(node);
    const gap = cpu(node) - memory(node);
    return Math.round(100 * (ROOM_SHARE * room + (1 - ROOM_SHARE) * (1 - Math.abs(gap))));
  };
}

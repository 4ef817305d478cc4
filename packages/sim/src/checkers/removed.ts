/**
 * A removed node can do nothing: no call of its certificate is answered any more, nothing is written as if it were
 * there, no task is given to it; and what it ran has ended at last.
 *
 * A server that follows the store a little late may answer for a moment. Speaks at the answer or the commit.
 */

import { LABEL_TASK } from "@berth/agent/runtime/port";
import { type Member, parseKey, type Task } from "@berth/protocol";
import type { Checker, Scene } from "./checker.ts";

/** How far a server's picture may be behind, with an answer that was on its way. */
const LATE_MS = 10_000;
/** Kinds that say that a node is there, by the first part of their name. */
const OF_NODE = new Set(["node", "node-status"]);

export function removedChecker(): Checker {
  /** When each membership ended, by its identifier; monotonic milliseconds. */
  const endedAt = new Map<string, number>();
  /** Nodes without a membership, since when. */
  const awayAt = new Map<string, number>();
  const isAway = (node: string, nowMs: number) =>
    nowMs - (awayAt.get(node) ?? Number.POSITIVE_INFINITY) > LATE_MS;
  return {
    name: "removed",
    onWritten(written, { nowMs }, speak) {
      for (const each of written) {
        const { kind = "", key, value } = each;
        const node = parseKey(key)?.name[0] ?? "";
        if (kind === "member" && value === undefined) {
          endedAt.set(each.before<Member>()?.id ?? "", nowMs);
          awayAt.set(node, nowMs);
        }
        if (kind === "member" && value !== undefined) awayAt.delete(node);
        if (value === undefined) continue;
        if (OF_NODE.has(kind) && isAway(node, nowMs)) speak(`${key} was written after its removal`);
        if (kind !== "task" || each.previous !== undefined) continue;
        const task = each.now<Task>();
        if (task !== undefined && isAway(task.node, nowMs)) {
          speak(`task ${task.id} was given to ${task.node}, which was removed`);
        }
      }
    },
    onAnswered({ member, route }, { nowMs }, speak) {
      const since = endedAt.get(member);
      if (since === undefined || nowMs - since <= LATE_MS) return;
      speak(`${route} of removed member ${member} was answered`);
    },
    pending: (scene) => stillRunning(scene, awayAt),
  };
}

function stillRunning({ cluster }: Scene, awayAt: ReadonlyMap<string, number>): string | undefined {
  for (const { name, host } of cluster.machines) {
    if (!awayAt.has(name)) continue;
    const running = [...host.containers.values()].find((container) => container.running);
    if (running === undefined) continue;
    return `${name} was removed and runs ${running.request.labels[LABEL_TASK]}`;
  }
  return undefined;
}

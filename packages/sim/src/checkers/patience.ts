/**
 * While too many nodes are silent at once nothing is given up: for five minutes after the last of them vanished,
 * or until it is back, or somebody or something vouches that it is dead.
 *
 * Counts silence itself, from the rows' contact; what the server notes of pauses is not looked at.
 */

import { DEFAULT_SETTINGS } from "@berth/control-plane/settings";
import type { Node, Task } from "@berth/protocol";
import type { Written } from "../store-journal.ts";
import type { Checker, Scene } from "./checker.ts";

export function patienceChecker(): Checker {
  /** Until when a node's copies may not be given up; wall time. */
  const pausedUntil = new Map<string, number>();
  return {
    name: "patience",
    onWritten(written, scene, speak) {
      for (const node of written.flatMap(nodeOf)) {
        // A hook that was on its way before the outage may have switched it off meanwhile: then it is dead.
        if (node.contact === "up" || node.fence?.state === "done") pausedUntil.delete(node.name);
      }
      // Removed by force: somebody vouches for it.
      for (const name of written.flatMap(removedOf)) pausedUntil.delete(name);
      if (written.some(fellSilent)) notePauses(scene, pausedUntil);
      for (const task of written.flatMap(givenUp)) {
        const { node, verdict } = task;
        const until = pausedUntil.get(node);
        if (until === undefined || verdict === undefined || verdict.at >= until) continue;
        speak(`${task.service}-${task.slot} was given up with ${node} in a mass outage`);
      }
    },
  };
}

function notePauses({ cluster: { facts } }: Scene, pausedUntil: Map<string, number>): void {
  const nodes = [...facts.node.values()];
  const silent = nodes.filter(({ contact }) => contact === "down");
  const { massOutageShare, massOutagePauseMs } = DEFAULT_SETTINGS;
  if (silent.length <= Math.max(1, nodes.length * massOutageShare)) return;
  const last = Math.max(...silent.map(({ contactChangedAt }) => contactChangedAt));
  for (const { name, fence } of silent) {
    if (fence?.state !== "done") pausedUntil.set(name, last + massOutagePauseMs);
  }
}

function nodeOf(written: Written): Node[] {
  const node = written.kind === "node" ? written.now<Node>() : undefined;
  return node === undefined ? [] : [node];
}

function removedOf(written: Written): string[] {
  if (written.kind !== "node" || written.now<Node>() !== undefined) return [];
  return [written.before<Node>()?.name ?? ""];
}

function fellSilent(written: Written): boolean {
  const [node] = nodeOf(written);
  return node?.contact === "down" && written.before<Node>()?.contact === "up";
}

/** Tasks that got the verdict `lost` with this write. */
function givenUp(written: Written): Task[] {
  if (written.kind !== "task") return [];
  const task = written.now<Task>();
  const before = written.before<Task>();
  if (task === undefined || before === undefined || before.verdict !== undefined) return [];
  return task.verdict?.kind === "lost" ? [task] : [];
}

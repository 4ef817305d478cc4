/**
 * May a copy that only one may run of be taken for ended, although its agent has not said so? Only by one of three
 * words: a fence hook's, a person's, or that its agent had to end it by itself (`failover: fence`) and the time
 * for that is over. Pure.
 *
 * All three stand in the node's row and end with the node's return. Who gives such a copy up compares the row in
 * the same transaction, so the word cannot be out of date; and a node is in contact again by the write of its
 * report, which comes before its agent lists what it is to run. Decision: docs/adr/0044-fencing.md
 */

import { isFinal, keys, type Node, type Task } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

export type FenceWord = "hook" | "person" | "deadline";

/** By whose word nothing of `task` runs on `node`; `undefined`: it may still run there. */
export function fencedBy(node: Node | undefined, task: Task): FenceWord | undefined {
  if (node === undefined || node.contact === "up") return undefined;
  if (node.fence?.state === "done") return node.fence.by;
  const { isolation } = task;
  if (isolation === undefined || (node.silentForMs ?? 0) < isolation.waitMs) return undefined;
  return "deadline";
}

/** A volume with a home keeps its tasks there. */
export function isMovable(view: ClusterView, task: Task): boolean {
  return task.volumes.every(({ engineName }) => {
    const [volume] = view.volumes.by("engineName", engineName);
    return volume?.value.node === undefined;
  });
}

/** Tasks that count: not given up, and their end not confirmed. */
export function liveTasks(view: ClusterView, node: string): Task[] {
  return view.tasks
    .by("node", node)
    .map(({ value }) => value)
    .filter(({ id, verdict }) => {
      const status = statusOf(view, id);
      return verdict === undefined && (status === undefined || !isFinal(status.state));
    });
}

/** Live copies of a node that wait for a word: they could run elsewhere, and only one may run. */
export function waitsForWord(view: ClusterView, name: string): Task[] {
  const node = view.nodes.get(keys.node(name))?.value;
  return liveTasks(view, name).filter(
    (task) => task.exclusive && isMovable(view, task) && fencedBy(node, task) === undefined,
  );
}

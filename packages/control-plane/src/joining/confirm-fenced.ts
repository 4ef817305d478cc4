/**
 * A person's word that a host is dead: of a node that is silent, or of one that was removed while copies that only
 * one may run of were on it. Pure.
 *
 * Of a silent node the word goes into its row, and ends with its return. A removed node has no row and cannot
 * return: its copies are given up at once, a bounded number with each call.
 */

import { type FencedNode, keys, type Task, type Verdict } from "@berth/protocol";
import { fencedBy, isMovable, liveTasks } from "../reconcile/fenced.ts";
import { accept, type Decision, refuse, unchangedSince } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";

/** Copies of a removed node that go with one call: each is a condition and a write of the 128. */
export const FREED_PER_CALL_MAX = 50;

export interface FencedWord {
  readonly node: string;
  readonly who: string;
  readonly now: number;
}

export function confirmFenced(view: ClusterView, word: FencedWord): Decision<FencedNode> {
  const { node: name, who, now } = word;
  const entity = view.nodes.get(keys.node(name));
  if (entity === undefined) return giveUpRemoved(view, word);
  const { key, revision, value: node } = entity;
  if (node.contact === "up") {
    const message = `node ${name} is in contact: its agent would go on running what is started elsewhere; drain it, or switch it off first`;
    return refuse("conflict", message, { node: name });
  }
  const freed = waiting(view, name).filter((task) => fencedBy(node, task) === undefined);
  const answer: FencedNode = { node: name, freed: freed.map(copyName) };
  if (node.fence?.state === "done") return accept(answer, [], []);
  const attempts = node.fence?.attempts ?? 0;
  const fence = { state: "done", by: "person", who, at: now, attempts } as const;
  const put = { kind: "put", key, value: encode({ ...node, fence }) } as const;
  return accept(answer, [unchangedSince(key, revision)], [put]);
}

function giveUpRemoved(view: ClusterView, { node, who, now }: FencedWord): Decision<FencedNode> {
  const tasks = waiting(view, node).slice(0, FREED_PER_CALL_MAX);
  if (tasks.length === 0) {
    return refuse("not_found", `there is no node ${node}, and nothing waits for it`);
  }
  const reason = `${node} was removed, and ${who} says that it is dead`;
  const verdict: Verdict = { kind: "lost", reason, at: now };
  const absent = unchangedSince(keys.node(node), undefined);
  const given = tasks.flatMap((task) => {
    const entity = view.tasks.get(keys.task(task, task.id));
    if (entity === undefined) return [];
    const value = encode({ ...task, desired: "stopped", stopReason: reason, verdict });
    const { key, revision } = entity;
    return [{ compare: unchangedSince(key, revision), put: { kind: "put", key, value } as const }];
  });
  return accept(
    { node, freed: tasks.map(copyName) },
    [absent, ...given.map(({ compare }) => compare)],
    given.map(({ put }) => put),
  );
}

/** Copies that only one may run of and that could run elsewhere. */
function waiting(view: ClusterView, node: string): Task[] {
  return liveTasks(view, node).filter((task) => task.exclusive && isMovable(view, task));
}

function copyName({ stack, service, slot }: Task): string {
  return `${stack}/${service}-${slot}`;
}

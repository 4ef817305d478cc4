/** What stands at the end of a run of `cluster.bench.ts`, and what becomes of the copies of nodes that are lost. */

import { assert } from "@berth/base";
import type { WatchEvent } from "@berth/protocol";
import type { HttpClient } from "@berth/protocol/client/http-client";
import type { Shape } from "./cluster-seed.ts";

interface TaskFacts {
  readonly id: string;
  readonly node: string;
  readonly stack: string;
  readonly service: string;
  readonly slot: number;
  readonly attachments: readonly { readonly address: string }[];
}

interface StatusFacts {
  readonly task: string;
  readonly ready?: boolean;
}

export function tasksOf(shapes: readonly Shape[]): number {
  return shapes.reduce((sum, { stacks, services, copies }) => sum + stacks * services * copies, 0);
}

/** What was asked for is there: one task a slot, spread over zones, with an address of its own each. */
export async function checkTasks(client: HttpClient, shapes: readonly Shape[]): Promise<void> {
  const body = { selectors: [{ kind: "task" as const }] };
  const ended = new AbortController();
  const events = await client.call("watch", { params: {}, body, signal: ended.signal });
  const addresses = new Set<string>();
  const slots = new Set<string>();
  const zones = new Map<string, number>();
  for await (const event of events as AsyncIterable<WatchEvent>) {
    if (event.type === "synced") break;
    if (event.type !== "put") continue;
    const task = event.value as TaskFacts;
    for (const { address } of task.attachments) {
      assert(!addresses.has(address), `${address} is used once`);
      addresses.add(address);
    }
    assert(!slots.has(slotOf(task)), `${slotOf(task)} has one task`);
    slots.add(slotOf(task));
    const zone = `${task.stack}/${task.service} ${Number(task.node.slice(5)) % 10}`;
    zones.set(zone, (zones.get(zone) ?? 0) + 1);
  }
  ended.abort();
  assert(slots.size === tasksOf(shapes), `${slots.size} tasks of ${tasksOf(shapes)}`);
  for (const { name, copies } of shapes) {
    const most = Math.ceil(copies / 10) + 1;
    for (const [zone, there] of zones) {
      assert(!zone.startsWith(`${name}-`) || there <= most, `${there} copies in ${zone}`);
    }
  }
}

function slotOf({ stack, service, slot }: TaskFacts): string {
  return `${stack}/${service}/${slot}`;
}

/** Resolves when every slot has a ready copy on a node that is not `lost`. Returns how many had none. */
export async function untilReplaced(
  client: HttpClient,
  lost: ReadonlySet<string>,
  slots: number,
): Promise<number> {
  const body = { selectors: [{ kind: "task" as const }, { kind: "status" as const }] };
  const ended = new AbortController();
  const events = await client.call("watch", { params: {}, body, signal: ended.signal });
  const tasks = new Map<string, TaskFacts>();
  const standing = new Set<string>();
  let missing = 0;
  for await (const event of events as AsyncIterable<WatchEvent>) {
    if (event.type === "synced") missing = slots - standing.size;
    if (event.type === "put" && event.kind === "task") {
      const task = event.value as TaskFacts;
      tasks.set(task.id, task);
    }
    if (event.type === "put" && event.kind === "status") {
      const { task: id, ready } = event.value as StatusFacts;
      const task = tasks.get(id);
      if (ready && task !== undefined && !lost.has(task.node)) standing.add(slotOf(task));
    }
    if (standing.size === slots) break;
  }
  ended.abort();
  return missing;
}

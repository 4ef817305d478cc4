/** What a project holds against its quota, from the tasks that there are and those on their way into the store. */

import {
  isFinal,
  keys,
  type Quota as QuotaRow,
  type ServiceScope,
  serviceKey,
  type Task,
} from "@berth/protocol";
import { type Quota, QuotaBook, type Requests } from "@berth/scheduler";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { quotaCountables } from "./countables.ts";

/** The copy that tasks of one slot are. */
export function copyKey(scope: ServiceScope, slot: number): string {
  return `${serviceKey(scope)}/${slot}`;
}

/** The project's quota; `undefined` where it has none. */
export function quotaOf(view: ClusterView, project: string): Quota | undefined {
  const quota = view.policies.get(keys.policy(project))?.value.quota;
  return quota === undefined ? undefined : limitsOf(quota);
}

/** Absent and undefined are told apart in the scheduler's model. */
function limitsOf(quota: QuotaRow): Quota {
  const stated = Object.entries(quota).filter(([, value]) => value !== undefined);
  return Object.fromEntries(stated);
}

/** A book of what the project's live tasks hold. O(tasks). */
export function quotaBook(
  view: ClusterView,
  project: string,
  quota: Quota,
  inFlight: readonly Task[],
): QuotaBook {
  const book = new QuotaBook(quota);
  for (const { value: task } of view.tasks.all()) {
    if (task.project === project && isLive(view, task)) hold(book, view, task);
  }
  for (const task of inFlight) if (task.project === project) hold(book, view, task);
  return book;
}

function isLive(view: ClusterView, task: Task): boolean {
  const state = statusOf(view, task.id)?.state;
  return task.verdict === undefined && (state === undefined || !isFinal(state));
}

function hold(book: QuotaBook, view: ClusterView, task: Task): void {
  const spec = specOfTask(view, task)?.service.spec;
  const requests: Requests = {
    ...task.requests,
    ...(spec === undefined ? {} : quotaCountables(spec)),
  };
  book.hold({ id: task.id, copy: copyKey(task, task.slot), requests });
}

/** What the project holds, in the form of its quota; resources of `named` only. O(tasks). */
export function quotaUse(view: ClusterView, project: string, quota: QuotaRow = {}): QuotaRow {
  const book = quotaBook(view, project, {}, []);
  const named = Object.keys(quota.resources ?? {}).sort();
  return {
    cpuMillis: book.used("cpu"),
    memoryBytes: book.used("memory"),
    tasks: book.used("tasks"),
    ...(named.length === 0
      ? {}
      : { resources: Object.fromEntries(named.map((name) => [name, book.used(name)])) }),
  };
}

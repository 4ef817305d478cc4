/**
 * Sets of tasks by something that they share (a place, a node, an address), kept up to date from the changes of
 * tasks and of their reports alone. For checkers that look only at what a commit changed.
 *
 * Cost: O(keys of a task) a change.
 */

import type { Task, TaskStatus } from "@berth/protocol";
import type { StoreFacts } from "./store-facts.ts";
import type { Written } from "./store-journal.ts";

export class TaskGroups {
  /** What a task is found by; none while it does not count. Asked again whenever the task or its report changed. */
  readonly #keysOf: (task: Task, facts: StoreFacts) => readonly string[];
  readonly #groups = new Map<string, Map<string, Task>>();
  readonly #keys = new Map<string, readonly string[]>();

  constructor(keysOf: (task: Task, facts: StoreFacts) => readonly string[]) {
    this.#keysOf = keysOf;
  }

  /** The tasks of one key. */
  of(key: string): Iterable<Task> {
    return this.#groups.get(key)?.values() ?? [];
  }

  /** Takes a commit in; returns the keys of groups that got a task, or whose tasks changed. */
  follow(written: readonly Written[], facts: StoreFacts): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const each of written) {
      const id = taskIdOf(each);
      if (id === undefined) continue;
      for (const key of this.put(id, facts)) touched.add(key);
    }
    return touched;
  }

  /** Looks at one task anew; returns the keys that it now has. */
  put(id: string, facts: StoreFacts): readonly string[] {
    const task = facts.taskOf(id);
    for (const key of this.#keys.get(id) ?? []) this.#take(key, id);
    const keys = task === undefined ? [] : this.#keysOf(task, facts);
    if (task === undefined || keys.length === 0) {
      this.#keys.delete(id);
      return [];
    }
    this.#keys.set(id, keys);
    for (const key of keys) {
      const group = this.#groups.get(key) ?? new Map<string, Task>();
      this.#groups.set(key, group.set(id, task));
    }
    return keys;
  }

  #take(key: string, id: string): void {
    const group = this.#groups.get(key);
    group?.delete(id);
    if (group?.size === 0) this.#groups.delete(key);
  }
}

/** The task that a change is about, if any. */
function taskIdOf(written: Written): string | undefined {
  if (written.kind === "task") return (written.now<Task>() ?? written.before<Task>())?.id;
  if (written.kind !== "status") return undefined;
  return (written.now<TaskStatus>() ?? written.before<TaskStatus>())?.task;
}

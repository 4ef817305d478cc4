/**
 * Who may use an exclusive volume on this node. At most one task holds a volume; a task holds all of its
 * volumes or none. A lock is freed only after the holder's containers are confirmed gone.
 *
 * The lock is in memory the moment it is taken and on disk before anything is created, so that it holds
 * over a restart of the agent. Where the database was lost, the labels of living containers take its
 * place: `holderAmong`. O(volumes of the task).
 */

import type { Task } from "@berth/protocol";
import type { ContainerState } from "../runtime/port.ts";
import { LABEL_TASK } from "../runtime/port.ts";
import type { LockFact } from "../task/step-input.ts";
import type { Change, LocalDb } from "./local-db.ts";

/** Names of the exclusive volumes that a container mounts, comma separated; volume names have no comma. */
export const LABEL_EXCLUSIVE = "berth.exclusive";

export function exclusiveVolumes(task: Task): readonly string[] {
  return task.volumes.filter((volume) => volume.exclusive).map((volume) => volume.engineName);
}

export class VolumeLocks {
  readonly #holders = new Map<string, string>();

  constructor(db: Pick<LocalDb, "read">) {
    for (const [engineName, holder] of db.read("lock")) {
      if (typeof holder === "string") this.#holders.set(engineName, holder);
    }
  }

  /** Whether `task` could take its volumes now. */
  factOf(task: Task): LockFact {
    for (const engineName of exclusiveVolumes(task)) {
      const holder = this.#holders.get(engineName);
      if (holder !== undefined && holder !== task.id) return { kind: "held", engineName, holder };
    }
    return { kind: "free" };
  }

  /** Takes all volumes of `task` if nobody else has one; the changes are to be committed before use. */
  take(task: Task): { readonly fact: LockFact; readonly changes: readonly Change[] } {
    const fact = this.factOf(task);
    if (fact.kind === "held") return { fact, changes: [] };
    const changes: Change[] = [];
    for (const engineName of exclusiveVolumes(task)) {
      this.#holders.set(engineName, task.id);
      changes.push({ table: "lock", key: engineName, value: task.id });
    }
    return { fact, changes };
  }

  /** Whether `task` holds every exclusive volume that it uses. */
  holds(task: Task): boolean {
    return exclusiveVolumes(task).every((engineName) => this.#holders.get(engineName) === task.id);
  }

  /** What `task` holds, as changes that free it; call `freed` once they are committed. */
  release(taskId: string): readonly Change[] {
    return this.held(taskId).map((key) => ({ table: "lock" as const, key, value: undefined }));
  }

  /** After the commit of `release`: only now others may take the volumes. */
  freed(taskId: string): void {
    for (const engineName of this.held(taskId)) this.#holders.delete(engineName);
  }

  held(taskId: string): readonly string[] {
    return [...this.#holders].filter(([, holder]) => holder === taskId).map(([name]) => name);
  }

  /** Volume → holding task, for `berth debug`. */
  all(): ReadonlyMap<string, string> {
    return this.#holders;
  }
}

/** Another task's container that mounts one of `task`'s exclusive volumes and is not surely dead. */
export function holderAmong(task: Task, containers: Iterable<ContainerState>): LockFact {
  const wanted = new Set(exclusiveVolumes(task));
  if (wanted.size === 0) return { kind: "free" };
  for (const container of containers) {
    const holder = container.labels[LABEL_TASK];
    if (holder === undefined || holder === task.id) continue;
    if (container.phase !== "running" && container.phase !== "paused") continue;
    const mounted = (container.labels[LABEL_EXCLUSIVE] ?? "").split(",");
    const engineName = mounted.find((name) => wanted.has(name));
    if (engineName !== undefined) return { kind: "held", engineName, holder };
  }
  return { kind: "free" };
}

/**
 * What the store holds, decoded: kept up to date from the journal, read by checkers. Independent of the
 * server's own tables, which are what is being checked.
 */

import type { ClaimHolder } from "@berth/control-plane/state/claim-holder";
import {
  type Deployment,
  type Kind,
  type Node,
  type NodeStatus,
  type Operation,
  parseKey,
  type Release,
  type Scale,
  type Stack,
  type Task,
  type TaskStatus,
  type Volume,
} from "@berth/protocol";
import type { Written } from "./store-journal.ts";

/** Values by store key, of the kinds that checkers look at. */
export class StoreFacts {
  readonly stack = new Map<string, Stack>();
  readonly release = new Map<string, Release>();
  readonly scale = new Map<string, Scale>();
  readonly deployment = new Map<string, Deployment>();
  readonly task = new Map<string, Task>();
  readonly status = new Map<string, TaskStatus>();
  readonly volume = new Map<string, Volume>();
  readonly node = new Map<string, Node>();
  readonly nodeStatus = new Map<string, NodeStatus>();
  readonly operation = new Map<string, Operation>();
  readonly claim = new Map<string, ClaimHolder>();
  readonly #taskById = new Map<string, Task>();
  readonly #statusById = new Map<string, TaskStatus>();
  /** Releases that were ever made, also those that are not kept any more. */
  readonly #releasesEver = new Map<string, Release>();

  taskOf(id: string): Task | undefined {
    return this.#taskById.get(id);
  }

  statusOf(id: string): TaskStatus | undefined {
    return this.#statusById.get(id);
  }

  /** The release that a task was made from. */
  releaseOf(task: Task): Release | undefined {
    return this.#releasesEver.get(releaseName(task, task.release));
  }

  nodeOf(name: string): Node | undefined {
    return [...this.node.values()].find((node) => node.name === name);
  }

  apply(written: Written): void {
    const kind = parseKey(written.key)?.kind;
    const table = kind === undefined ? undefined : this.#tables()[kind];
    if (table === undefined) return;
    if (written.value === undefined) table.delete(written.key);
    else table.set(written.key, JSON.parse(written.value));
    if (kind === "task") index(this.#taskById, written, (task: Task) => task.id);
    if (kind === "status") index(this.#statusById, written, (status: TaskStatus) => status.task);
    if (kind === "release" && written.value !== undefined) {
      const release = JSON.parse(written.value) as Release;
      this.#releasesEver.set(releaseName(release, release.number), release);
    }
  }

  #tables(): Partial<Record<Kind, Map<string, unknown>>> {
    const { stack, release, scale, deployment, task, status, volume, node, operation, claim } =
      this;
    const own = { stack, release, scale, deployment, task, status, volume, node, operation, claim };
    return { ...own, "node-status": this.nodeStatus };
  }
}

function index<T>(table: Map<string, T>, written: Written, idOf: (value: T) => string): void {
  if (written.value !== undefined) {
    const value = JSON.parse(written.value) as T;
    table.set(idOf(value), value);
  } else if (written.previous !== undefined) {
    table.delete(idOf(JSON.parse(written.previous) as T));
  }
}

function releaseName(scope: { readonly stack: string }, number: number): string {
  return `${scope.stack}/${number}`;
}

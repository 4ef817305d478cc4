/**
 * What the store holds, decoded: kept up to date from the journal, read by checkers. Independent of the
 * server's own tables, which are what is being checked.
 */

import type { ClaimHolder } from "@berth/control-plane/state/claim-holder";
import {
  type Deployment,
  type Kind,
  keys,
  type Network,
  type Node,
  type NodeStatus,
  type Operation,
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
  readonly network = new Map<string, Network>();
  readonly volume = new Map<string, Volume>();
  readonly node = new Map<string, Node>();
  readonly nodeStatus = new Map<string, NodeStatus>();
  readonly operation = new Map<string, Operation>();
  readonly claim = new Map<string, ClaimHolder>();
  readonly #taskById = new Map<string, Task>();
  readonly #statusById = new Map<string, TaskStatus>();
  /** Releases that were ever made, also those that are not kept any more. */
  readonly #releasesEver = new Map<string, Release>();
  readonly #tables: Partial<Record<Kind, Map<string, unknown>>> = {
    ...{ stack: this.stack, release: this.release, scale: this.scale, task: this.task },
    ...{ deployment: this.deployment, status: this.status, volume: this.volume, node: this.node },
    ...{
      network: this.network,
      "node-status": this.nodeStatus,
      operation: this.operation,
      claim: this.claim,
    },
  };

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
    return this.node.get(keys.node(name));
  }

  apply(written: Written): void {
    const { key, kind } = written;
    const table = kind === undefined ? undefined : this.#tables[kind];
    if (table === undefined) return;
    const now = written.now();
    if (now === undefined) table.delete(key);
    else table.set(key, now);
    if (kind === "task") index(this.#taskById, written, (task: Task) => task.id);
    if (kind === "status") index(this.#statusById, written, (status: TaskStatus) => status.task);
    if (kind === "release" && now !== undefined) {
      const release = now as Release;
      this.#releasesEver.set(releaseName(release, release.number), release);
    }
  }
}

function index<T>(table: Map<string, T>, written: Written, idOf: (value: T) => string): void {
  const [now, before] = [written.now<T>(), written.before<T>()];
  if (now !== undefined) table.set(idOf(now), now);
  else if (before !== undefined) table.delete(idOf(before));
}

function releaseName(scope: { readonly stack: string }, number: number): string {
  return `${scope.stack}/${number}`;
}

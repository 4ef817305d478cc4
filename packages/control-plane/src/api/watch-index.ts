/**
 * Which watchers may care about an object: found by the narrowest condition of each selector instead of
 * asking every watcher. With 5,000 agents that each watch their own node, a changed task concerns one.
 *
 * Cost: adding O(selectors); finding O(5 + candidates).
 */

import type { WatchKind, WatchSelector } from "@berth/protocol";
import type { Facets } from "./watch-facets.ts";

/** What the index needs of a watcher. */
export interface Selecting {
  readonly selectors: readonly WatchSelector[];
  /** Kinds that somebody else finds it for. */
  readonly sharedKinds: ReadonlySet<WatchKind>;
}

const NOBODY: readonly never[] = [];

export class WatchIndex<W extends Selecting> {
  readonly #buckets = new Map<string, Set<W>>();

  add(watcher: W): void {
    for (const selector of watcher.selectors) {
      if (watcher.sharedKinds.has(selector.kind)) continue;
      const name = bucketOf(selector);
      const bucket = this.#buckets.get(name) ?? new Set<W>();
      bucket.add(watcher);
      this.#buckets.set(name, bucket);
    }
  }

  remove(watcher: W): void {
    for (const selector of watcher.selectors) {
      const name = bucketOf(selector);
      const bucket = this.#buckets.get(name);
      bucket?.delete(watcher);
      if (bucket?.size === 0) this.#buckets.delete(name);
    }
  }

  /** Watchers with a selector that may match; each may come several times. */
  *candidates(kind: WatchKind, facets: Facets): Iterable<W> {
    for (const name of bucketsOf(kind, facets)) yield* this.#buckets.get(name) ?? [];
  }

  /** Those who select `kind` on `node` by name: asked for thousands of nodes of one object. */
  ofNode(kind: WatchKind, node: string): Iterable<W> {
    return this.#buckets.get(`${kind}|node|${node}`) ?? NOBODY;
  }

  /** Those who select all of `kind`. */
  ofAll(kind: WatchKind): Iterable<W> {
    return this.#buckets.get(`${kind}|all`) ?? NOBODY;
  }

  /** Whether anybody selects `kind` at all: without, nothing need be made. */
  get size(): number {
    return this.#buckets.size;
  }
}

/** The bucket of the narrowest condition. Names of projects and the like have no "/" and no "|". */
function bucketOf({ kind, project, environment, stack, node }: WatchSelector): string {
  if (node !== undefined) return `${kind}|node|${node}`;
  if (stack !== undefined) return `${kind}|stack|${stack}`;
  if (environment !== undefined) return `${kind}|environment|${environment}`;
  if (project !== undefined) return `${kind}|project|${project}`;
  return `${kind}|all`;
}

function bucketsOf(kind: WatchKind, facets: Facets): string[] {
  const names = [`${kind}|all`];
  for (const [facet, value] of [
    ["node", facets.node],
    ["stack", facets.stack],
    ["environment", facets.environment],
    ["project", facets.project],
  ] as const) {
    if (value !== undefined) names.push(`${kind}|${facet}|${value}`);
  }
  return names;
}

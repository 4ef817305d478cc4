/**
 * One kind of object in memory, by store key and by its indices.
 *
 * A bucket of an index is sorted by key, whatever the order in which its objects came: who iterates gets
 * the same order after a restart. Buckets are sorted when they are first read after a change. Cost: a
 * change is O(indices), reading an unchanged bucket O(1), reading a changed one O(k log k).
 */

/** An object as the store has it. */
export interface Entity<T> {
  readonly key: string;
  /** The transaction that wrote it: what `If-Match` and `compare` refer to. */
  readonly revision: number;
  readonly value: T;
}

/** What a value is found by; `undefined` leaves it out of the index. Computed from value and key alone. */
export type Indices<T, Index extends string> = Readonly<
  Record<Index, (value: T, key: string) => string | undefined>
>;

/** Reading side of a table: all that decisions and handlers need. */
export interface ReadTable<T, Index extends string = never> {
  readonly size: number;
  get(key: string): Entity<T> | undefined;
  /** All objects whose `index` is `term`, in order of key. The array must not be changed. */
  by(index: Index, term: string): readonly Entity<T>[];
  /** Terms of an index that have objects, in no particular order. */
  terms(index: Index): Iterable<string>;
  /** All objects, in order of key. */
  all(): readonly Entity<T>[];
}

/** Objects of one term, with their sorted form when it is up to date. */
class Bucket<T> {
  readonly #entities = new Map<string, Entity<T>>();
  #sorted: readonly Entity<T>[] | undefined = [];

  get size(): number {
    return this.#entities.size;
  }

  get(key: string): Entity<T> | undefined {
    return this.#entities.get(key);
  }

  set(entity: Entity<T>): void {
    this.#entities.set(entity.key, entity);
    this.#sorted = undefined;
  }

  delete(key: string): void {
    if (this.#entities.delete(key)) this.#sorted = undefined;
  }

  sorted(): readonly Entity<T>[] {
    this.#sorted ??= [...this.#entities.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return this.#sorted;
  }
}

const NOTHING: readonly never[] = [];

export class EntityTable<T, Index extends string = never> implements ReadTable<T, Index> {
  readonly #all = new Bucket<T>();
  readonly #indices: readonly {
    readonly term: (value: T, key: string) => string | undefined;
    readonly buckets: Map<string, Bucket<T>>;
  }[];
  readonly #byName: ReadonlyMap<Index, Map<string, Bucket<T>>>;

  constructor(indices: Indices<T, Index>) {
    const names = Object.keys(indices) as Index[];
    this.#byName = new Map(names.map((name) => [name, new Map<string, Bucket<T>>()]));
    this.#indices = names.map((name) => ({
      term: indices[name],
      buckets: this.#byName.get(name) ?? new Map(),
    }));
  }

  get size(): number {
    return this.#all.size;
  }

  get(key: string): Entity<T> | undefined {
    return this.#all.get(key);
  }

  by(index: Index, term: string): readonly Entity<T>[] {
    return this.#byName.get(index)?.get(term)?.sorted() ?? NOTHING;
  }

  terms(index: Index): Iterable<string> {
    return this.#byName.get(index)?.keys() ?? NOTHING;
  }

  all(): readonly Entity<T>[] {
    return this.#all.sorted();
  }

  /** Puts or replaces an object. Returns what was there before. */
  set(entity: Entity<T>): Entity<T> | undefined {
    const previous = this.#all.get(entity.key);
    this.#all.set(entity);
    for (const { term, buckets } of this.#indices) {
      const now = term(entity.value, entity.key);
      const before = previous === undefined ? undefined : term(previous.value, previous.key);
      if (before !== undefined && before !== now) removeFrom(buckets, before, entity.key);
      if (now !== undefined) bucketOf(buckets, now).set(entity);
    }
    return previous;
  }

  /** Takes an object out. Returns what was there. */
  delete(key: string): Entity<T> | undefined {
    const previous = this.#all.get(key);
    if (previous === undefined) return undefined;
    this.#all.delete(key);
    for (const { term, buckets } of this.#indices) {
      const before = term(previous.value, previous.key);
      if (before !== undefined) removeFrom(buckets, before, key);
    }
    return previous;
  }
}

function bucketOf<T>(buckets: Map<string, Bucket<T>>, term: string): Bucket<T> {
  const known = buckets.get(term);
  if (known !== undefined) return known;
  const made = new Bucket<T>();
  buckets.set(term, made);
  return made;
}

function removeFrom<T>(buckets: Map<string, Bucket<T>>, term: string, key: string): void {
  const bucket = buckets.get(term);
  bucket?.delete(key);
  // Terms come and go with tasks: an empty bucket left behind would be a leak.
  if (bucket?.size === 0) buckets.delete(term);
}

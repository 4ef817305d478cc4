/**
 * One kind of things in the store, parsed and indexed, in memory: what reconcilers and the API read.
 *
 * Invariants: an index holds exactly the entries that its function names; a listener is told of each
 * change once, after the change can be read everywhere. An entry that cannot be parsed is reported and
 * skipped; when an older value of it was good, that one stays: a thing must not seem deleted because
 * somebody wrote it wrongly, and a write on top of the old value fails its comparison.
 *
 * Cost: O(changed) an event, O(1) to get, O(found) by index. Order is that of arrival, not of keys.
 */

import type { Logger } from "@berth/base";
import type { Mirror, MirrorSink } from "./mirror.ts";
import type { Revision, StoredEntry, WatchEvent } from "./port.ts";

/** A stored entry with its value parsed. */
export interface Entry<T> {
  readonly key: string;
  readonly value: T;
  readonly createRevision: Revision;
  /** What an optimistic write compares with. */
  readonly modRevision: Revision;
  readonly version: number;
}

export type CollectionChange<T> =
  | {
      readonly type: "put";
      readonly key: string;
      readonly entry: Entry<T>;
      readonly previous?: Entry<T>;
    }
  | { readonly type: "delete"; readonly key: string; readonly previous: Entry<T> };

/** Is called with all changes of a batch, in order; when everything was listed again, the difference. */
export type CollectionListener<T> = (
  changes: readonly CollectionChange<T>[],
  revision: Revision,
) => void;

/** Under which texts an entry is found; none: it is not in the index. */
export type IndexOf<T> = (value: T, key: string) => readonly string[];

export interface CollectionOptions<T, Index extends string> {
  readonly mirror: Mirror;
  readonly log: Logger;
  /** Keys that begin with it belong here; all by default. */
  readonly prefix?: string;
  /** And of these only keys for which it holds; for kinds that are not told by a prefix. */
  readonly select?: (key: string) => boolean;
  /** Makes a value of parsed JSON, or throws. */
  readonly parse: (json: unknown, key: string) => T;
  readonly indices?: Readonly<Record<Index, IndexOf<T>>>;
}

/** An entry that is skipped, and why. */
export interface ParseFailure {
  readonly key: string;
  readonly modRevision: Revision;
  readonly reason: string;
}

export class Collection<T, Index extends string = never> implements MirrorSink {
  readonly #mirror: Mirror;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #select: ((key: string) => boolean) | undefined;
  readonly #parse: (json: unknown, key: string) => T;
  readonly #indices: readonly { name: string; of: IndexOf<T>; keys: Map<string, Set<string>> }[];
  readonly #entries = new Map<string, Entry<T>>();
  readonly #failures = new Map<string, ParseFailure>();
  readonly #listeners = new Set<CollectionListener<T>>();

  /** Joins `mirror`, which has not started yet. */
  constructor(options: CollectionOptions<T, Index>) {
    this.#mirror = options.mirror;
    this.#log = options.log;
    this.#prefix = options.prefix ?? "";
    this.#select = options.select;
    this.#parse = options.parse;
    const indices: Readonly<Record<string, IndexOf<T>>> = options.indices ?? {};
    this.#indices = Object.entries(indices).map(([name, of]) => ({ name, of, keys: new Map() }));
    options.mirror.add(this);
  }

  /** What the collection shows; that of its mirror. */
  get revision(): Revision {
    return this.#mirror.revision;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry<T> | undefined {
    return this.#entries.get(key);
  }

  /** All entries, without a copy: do not keep the iterator over an `await`. */
  all(): IterableIterator<Entry<T>> {
    return this.#entries.values();
  }

  byIndex(name: Index, text: string): readonly Entry<T>[] {
    const index = this.#indices.find((other) => other.name === name);
    const found: Entry<T>[] = [];
    for (const key of index?.keys.get(text) ?? []) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  /** Entries that are not shown as they are stored. Empty in health. */
  failures(): readonly ParseFailure[] {
    return [...this.#failures.values()];
  }

  /** Returns what ends it. A listener that throws is reported; the others are still called. */
  onChange(listener: CollectionListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Starts the mirror, unless it runs; resolves when everything has been listed. */
  start(signal?: AbortSignal): Promise<void> {
    return this.#mirror.start(signal);
  }

  /** As `Mirror.waitFor`: afterwards the collection shows `revision` or later. */
  waitFor(revision: Revision, signal?: AbortSignal): Promise<void> {
    return this.#mirror.waitFor(revision, signal);
  }

  /** @internal Called by the mirror. */
  reset(stored: readonly StoredEntry[], newLife: boolean): () => void {
    const changes: CollectionChange<T>[] = [];
    const present = new Set<string>();
    for (const entry of stored) {
      if (!this.#owns(entry.key)) continue;
      present.add(entry.key);
      const known = this.#entries.get(entry.key);
      // In another life of the store revisions agree by chance: then everything counts as changed.
      if (!newLife && known !== undefined && isSame(known, entry)) continue;
      this.#put(entry, changes);
    }
    for (const key of [...this.#entries.keys(), ...this.#failures.keys()]) {
      if (!present.has(key)) this.#delete(key, changes);
    }
    return () => this.#tell(changes);
  }

  /** @internal Called by the mirror. */
  apply(events: readonly WatchEvent[]): () => void {
    const changes: CollectionChange<T>[] = [];
    for (const event of events) {
      if (!this.#owns(event.key)) continue;
      if (event.type === "put") this.#put(event.entry, changes);
      else this.#delete(event.key, changes);
    }
    return () => this.#tell(changes);
  }

  #owns(key: string): boolean {
    return key.startsWith(this.#prefix) && (this.#select?.(key) ?? true);
  }

  #put(stored: StoredEntry, changes: CollectionChange<T>[]): void {
    const { key, createRevision, modRevision, version } = stored;
    const value = this.#parsed(stored);
    if (value === undefined) return;
    const previous = this.#entries.get(key);
    const entry: Entry<T> = { key, value: value.parsed, createRevision, modRevision, version };
    this.#failures.delete(key);
    if (previous !== undefined) this.#unindex(previous);
    this.#entries.set(key, entry);
    this.#index(entry);
    changes.push({ type: "put", key, entry, ...(previous === undefined ? {} : { previous }) });
  }

  #delete(key: string, changes: CollectionChange<T>[]): void {
    this.#failures.delete(key);
    const previous = this.#entries.get(key);
    if (previous === undefined) return;
    this.#unindex(previous);
    this.#entries.delete(key);
    changes.push({ type: "delete", key, previous });
  }

  /** Boxed, so that a value may be anything; `undefined` when it cannot be parsed. */
  #parsed(stored: StoredEntry): { readonly parsed: T } | undefined {
    const { key, modRevision } = stored;
    try {
      const json: unknown = JSON.parse(stored.value);
      return { parsed: this.#parse(json, key) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#failures.set(key, { key, modRevision, reason });
      // The value itself is not logged: it may be a secret.
      this.#log.error("a stored entry cannot be parsed and is skipped", {
        key,
        modRevision,
        reason,
      });
      return undefined;
    }
  }

  #index(entry: Entry<T>): void {
    for (const index of this.#indices) {
      for (const text of index.of(entry.value, entry.key)) {
        const keys = index.keys.get(text);
        if (keys === undefined) index.keys.set(text, new Set([entry.key]));
        else keys.add(entry.key);
      }
    }
  }

  #unindex(entry: Entry<T>): void {
    for (const index of this.#indices) {
      for (const text of index.of(entry.value, entry.key)) {
        const keys = index.keys.get(text);
        keys?.delete(entry.key);
        if (keys?.size === 0) index.keys.delete(text);
      }
    }
  }

  #tell(changes: readonly CollectionChange<T>[]): void {
    if (changes.length === 0) return;
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes, this.#mirror.revision);
      } catch (error) {
        this.#log.error("a listener of a collection failed", { prefix: this.#prefix, error });
      }
    }
  }
}

function isSame<T>(known: Entry<T>, stored: StoredEntry): boolean {
  return known.modRevision === stored.modRevision && known.createRevision === stored.createRevision;
}

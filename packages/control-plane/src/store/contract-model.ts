/**
 * The slow, obvious store that random operations are compared with: it keeps every state as a whole and
 * finds the events of a revision by comparing two states.
 */

import type {
  Compare,
  Operation,
  OperationResult,
  StoredEntry,
  Txn,
  TxnResult,
  WatchEvent,
} from "./port.ts";

type State = ReadonlyMap<string, StoredEntry>;

export class ModelStore {
  /** Index r is the state at revision `base + r`. */
  readonly #states: State[] = [new Map()];
  readonly #base: number;
  compactRevision: number;

  /** Begins with an empty state at revision `base`, before which nothing is asked. */
  constructor(base: number) {
    this.#base = base;
    this.compactRevision = base;
  }

  get revision(): number {
    return this.#base + this.#states.length - 1;
  }

  stateAt(revision: number): State {
    return this.#states[revision - this.#base] ?? new Map();
  }

  list(prefix: string, revision: number): StoredEntry[] {
    const found = [...this.stateAt(revision).values()].filter(({ key }) => key.startsWith(prefix));
    return found.sort(byKey);
  }

  txn(txn: Txn): TxnResult {
    const next = new Map(this.stateAt(this.revision));
    const succeeded = txn.compare.every((compare) => holds(compare, next.get(compare.key)));
    const operations = succeeded ? txn.then : (txn.otherwise ?? []);
    const changed = new Set<string>();
    const results = operations.map((operation) => this.#apply(next, operation, changed));
    if (changed.size > 0) this.#states.push(next);
    return { succeeded, revision: this.revision, results };
  }

  /** What a watch of everything from `fromRevision` on shows, by revision and key. */
  eventsFrom(fromRevision: number): WatchEvent[] {
    const events: WatchEvent[] = [];
    for (let revision = fromRevision; revision <= this.revision; revision++) {
      events.push(...difference(revision, this.stateAt(revision - 1), this.stateAt(revision)));
    }
    return events;
  }

  #apply(
    state: Map<string, StoredEntry>,
    operation: Operation,
    changed: Set<string>,
  ): OperationResult {
    const revision = this.revision + 1;
    const matching = (prefix: string) =>
      [...state.values()].filter(({ key }) => key.startsWith(prefix)).sort(byKey);
    if (operation.kind === "get") return { kind: "get", entry: state.get(operation.key) };
    if (operation.kind === "list") {
      return { kind: "list", entries: matching(operation.prefix), more: false };
    }
    if (operation.kind === "put") {
      const { key, value } = operation;
      const before = state.get(key);
      const createRevision = before?.createRevision ?? revision;
      const version = (before?.version ?? 0) + 1;
      state.set(key, { key, value, createRevision, modRevision: revision, version });
      changed.add(key);
      return { kind: "put" };
    }
    const doomed =
      operation.kind === "delete"
        ? [...state.keys()].filter((key) => key === operation.key)
        : matching(operation.prefix).map(({ key }) => key);
    for (const key of doomed) {
      state.delete(key);
      changed.add(key);
    }
    return { kind: operation.kind, deleted: doomed.length };
  }
}

function difference(revision: number, before: State, after: State): WatchEvent[] {
  const events: WatchEvent[] = [];
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const previous = before.get(key);
    const entry = after.get(key);
    if (entry === previous) continue;
    if (entry !== undefined) {
      const was = previous === undefined ? {} : { previous };
      events.push({ type: "put", key, revision, entry, ...was });
    } else if (previous !== undefined) {
      events.push({ type: "delete", key, revision, previous });
    }
  }
  return events;
}

function holds(compare: Compare, entry: StoredEntry | undefined): boolean {
  if (compare.target === "value" && entry === undefined) return false;
  const found = compare.target === "value" ? (entry?.value ?? "") : (entry?.[compare.target] ?? 0);
  if (compare.op === "=") return found === compare.value;
  if (compare.op === "!=") return found !== compare.value;
  return compare.op === "<" ? found < compare.value : found > compare.value;
}

function byKey(a: StoredEntry, b: StoredEntry): number {
  return a.key < b.key ? -1 : 1;
}

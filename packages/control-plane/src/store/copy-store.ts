/**
 * Copies everything of one store into another, empty one: moving a cluster between SQLite and etcd, and a
 * snapshot of etcd as a file.
 *
 * Keys and values are copied, revisions are not: the copy is another life, with another epoch. What hangs
 * on a lease is left out, since it says that somebody is alive now. A copy that was interrupted bears a
 * mark until it is whole; `refuseHalfCopy` keeps servers from it. Nothing may write to `from` meanwhile, or
 * that is missing from the copy: it shows `from` at one revision.
 *
 * Cost: O(everything), one transaction for each 128 entries or half a megabyte.
 */

import { createHash } from "node:crypto";
import { StoreError } from "./errors.ts";
import { LIST_LIMIT_MAX, TXN_BYTES_MAX, TXN_OPERATIONS_MAX } from "./limits.ts";
import type { Operation, Revision, Store, StoredEntry } from "./port.ts";

/** Above all keys of the cluster, which begin with a project's name or "-". */
const MARK = "~copying";

export interface CopiedStore {
  readonly entries: number;
  /** The revision of the source that the copy shows. */
  readonly revision: Revision;
}

/** Throws `conflict` when `to` is not empty, `internal` when the copy is not equal to the source. */
export async function copyStore(
  from: Store,
  to: Store,
  signal?: AbortSignal,
): Promise<CopiedStore> {
  const { entries: present } = await to.list("", { limit: 1 });
  if (present.length > 0) {
    throw new StoreError("invalid", "the store to copy into is not empty");
  }
  await to.txn({ compare: [], then: [{ kind: "put", key: MARK, value: "{}" }] });
  const { revision } = await from.list("", { limit: 1 });
  const source = new Sums();
  let puts: Operation[] = [];
  let bytes = 0;
  const write = async () => {
    if (puts.length > 0) await to.txn({ compare: [], then: puts });
    puts = [];
    bytes = 0;
  };
  for await (const entry of everything(from, revision, signal)) {
    const size = entry.key.length + Buffer.byteLength(entry.value);
    if (puts.length >= TXN_OPERATIONS_MAX || bytes + size > TXN_BYTES_MAX) await write();
    puts.push({ kind: "put", key: entry.key, value: entry.value });
    bytes += size;
    source.add(entry);
  }
  await write();
  const target = new Sums();
  const copied = await to.currentRevision();
  for await (const entry of everything(to, copied, signal)) target.add(entry);
  if (source.digest() !== target.digest()) {
    throw new StoreError("corrupt", "the copy differs from its source");
  }
  await to.txn({ compare: [], then: [{ kind: "delete", key: MARK }] });
  return { entries: source.count, revision };
}

/** Throws when a copy into `store` was begun and not ended: it must be made again, into an empty one. */
export async function refuseHalfCopy(store: Store): Promise<void> {
  const { entry } = await store.get(MARK);
  if (entry === undefined) return;
  throw new StoreError("corrupt", "the store is a copy that was interrupted: make it again");
}

/** All entries at one revision, but those that hang on a lease, and the mark. */
export async function* everything(
  store: Store,
  revision: Revision,
  signal?: AbortSignal,
): AsyncGenerator<StoredEntry> {
  let after: string | undefined;
  for (let more = true; more; ) {
    signal?.throwIfAborted();
    const page = await store.list("", {
      limit: LIST_LIMIT_MAX,
      atRevision: revision,
      ...(after === undefined ? {} : { after }),
    });
    for (const entry of page.entries) {
      if (entry.leaseId === undefined && entry.key !== MARK) yield entry;
    }
    after = page.entries.at(-1)?.key;
    more = page.more;
  }
}

/** What was copied, as one digest. */
class Sums {
  count = 0;
  readonly #hash = createHash("sha256");

  add(entry: StoredEntry): void {
    this.count++;
    this.#hash.update(JSON.stringify([entry.key, entry.value]));
  }

  digest(): string {
    return `${this.count} ${this.#hash.digest("hex")}`;
  }
}

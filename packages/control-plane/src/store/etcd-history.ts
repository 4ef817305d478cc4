/**
 * Reads revisions that lie further back than this server's memory: a watch of etcd that begins there and
 * is ended after its first events.
 */

import { StoreCompacted, StoreError } from "./errors.ts";
import type { EtcdClient } from "./etcd-client.ts";
import { revisionsOf } from "./etcd-feed.ts";
import type { EtcdKeyspace } from "./etcd-keyspace.ts";
import { decodeWatch, encodeWatchCreate, METHODS } from "./etcd-messages.ts";
import type { RevisionEvents } from "./event-ring.ts";
import type { Revision } from "./port.ts";

/**
 * Whole revisions from `from` on, at least one, as many as etcd tells at once. Throws `StoreCompacted` when
 * they are forgotten, `io` when the connection breaks.
 */
export async function readEtcdHistory(
  client: EtcdClient,
  keyspace: EtcdKeyspace,
  from: Revision,
): Promise<readonly RevisionEvents[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly RevisionEvents[]>();
  const stream = await client.open(METHODS.watch, {
    onMessage: (message) => {
      const answer = decodeWatch(message);
      if (answer.canceled) {
        const compactRevision = keyspace.fromEtcd(answer.compactRevision);
        reject(
          answer.compactRevision > 0
            ? new StoreCompacted(from, compactRevision)
            : new StoreError("io", `etcd ended the watch: ${answer.cancelReason}`),
        );
        return;
      }
      const changes = revisionsOf(answer.events, keyspace, from);
      if (changes.length > 0) resolve(changes);
    },
    onEnd: (failure) => reject(new StoreError("io", `etcd does not serve: ${failure.message}`)),
  });
  try {
    // One earlier than asked: etcd takes the compacted revision itself for one that it still knows.
    stream.send(encodeWatchCreate(keyspace.start, keyspace.end, keyspace.toEtcd(from - 1)));
    return await promise;
  } finally {
    stream.cancel();
  }
}

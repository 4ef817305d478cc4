/**
 * Keeps one watch of etcd on everything of the store, through reconnects and changes of members, and
 * publishes what it tells to the `WatchHub`, from which all watches of this server are served.
 *
 * Invariants: the hub gets every revision once, in order, without a gap; a revision in which nothing of
 * the store happened is published as empty. etcd tells all events of a revision in one message. When etcd
 * has compacted what was to come next, `onGap` is told: nothing can be published that would be whole.
 */

import { backoffMs, type CancelTimer, type Clock, type Logger, SECOND_MS } from "@berth/base";
import type { GrpcStream } from "./etcd-channel.ts";
import type { EtcdClient } from "./etcd-client.ts";
import type { EtcdKeyspace } from "./etcd-keyspace.ts";
import {
  decodeWatch,
  type EtcdWatchAnswer,
  type EtcdWatchEvent,
  encodeWatchCreate,
  METHODS,
} from "./etcd-messages.ts";
import { bytesOfEvents, type RevisionEvents } from "./event-ring.ts";
import type { Revision, WatchEvent } from "./port.ts";

/** Between attempts to watch again: at once at first, since a member that stopped leaves two others. */
const RECONNECT = { initialMs: 50, maxMs: 2 * SECOND_MS } as const;

export interface EtcdFeedOptions {
  readonly client: EtcdClient;
  readonly keyspace: EtcdKeyspace;
  readonly clock: Clock;
  readonly log: Logger;
  readonly publish: (changes: readonly RevisionEvents[]) => void;
  /** Everything up to `compactRevision` is forgotten by etcd, and more was to be told from there. */
  readonly onGap: (compactRevision: Revision) => void;
}

export class EtcdFeed {
  readonly #options: EtcdFeedOptions;
  /** The last revision that was published. */
  #revision: Revision;
  #stream: GrpcStream | undefined;
  #cancelRetry: CancelTimer | undefined;
  #attempts = 0;
  #closed = false;

  constructor(options: EtcdFeedOptions, revision: Revision) {
    this.#options = options;
    this.#revision = revision;
  }

  start(): void {
    void this.#connect();
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry?.();
    this.#stream?.cancel();
  }

  /** Goes on after a gap: what is up to `revision` will not be told. */
  skipTo(revision: Revision): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  async #connect(): Promise<void> {
    const { client, keyspace } = this.#options;
    const stream = await client.open(METHODS.watch, {
      onMessage: (message) => this.#take(decodeWatch(message)),
      onEnd: () => this.#reconnect(),
    });
    if (this.#closed) return stream.cancel();
    this.#stream = stream;
    // etcd refuses a start before its compaction, but not the compacted revision itself.
    const start = keyspace.toEtcd(this.#revision);
    stream.send(encodeWatchCreate(keyspace.start, keyspace.end, start));
  }

  #reconnect(): void {
    this.#stream = undefined;
    if (this.#closed) return;
    this.#attempts++;
    if (this.#attempts > 1) this.#options.client.leave();
    const delayMs = backoffMs(this.#attempts, RECONNECT);
    this.#cancelRetry = this.#options.clock.setTimer(delayMs, () => void this.#connect());
  }

  #take(answer: EtcdWatchAnswer): void {
    if (answer.created) this.#attempts = 0;
    if (answer.canceled) {
      const { log, keyspace, onGap } = this.#options;
      log.warn("etcd ended the watch", { reason: answer.cancelReason });
      this.#stream?.cancel();
      if (answer.compactRevision > 0) onGap(keyspace.fromEtcd(answer.compactRevision));
      this.#reconnect();
      return;
    }
    const changes = revisionsOf(answer.events, this.#options.keyspace, this.#revision + 1);
    const last = changes.at(-1);
    if (last === undefined) return;
    this.#revision = last.revision;
    this.#options.publish(changes);
  }
}

/**
 * The events by revision, from `first` on without a gap: what is before is left out, and revisions in
 * which nothing of the store happened are there as empty ones.
 */
export function revisionsOf(
  events: readonly EtcdWatchEvent[],
  keyspace: EtcdKeyspace,
  first: Revision,
): RevisionEvents[] {
  const changes: RevisionEvents[] = [];
  let next = first;
  let own: WatchEvent[] = [];
  const close = (revision: Revision) => {
    for (; next < revision; next++) changes.push({ revision: next, events: [], bytes: 0 });
    changes.push({ revision, events: own, bytes: bytesOfEvents(own) });
    next = revision + 1;
    own = [];
  };
  for (const [index, event] of events.entries()) {
    const revision = keyspace.fromEtcd(event.entry.modRevision);
    if (revision < first) continue;
    const told = keyspace.event(event);
    if (told !== undefined) own.push(told);
    const following = events[index + 1]?.entry.modRevision;
    if (following !== event.entry.modRevision) close(revision);
  }
  return changes;
}

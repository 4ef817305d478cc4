/**
 * One client of the watch: what it selects and what it has not been sent yet.
 *
 * Not a queue: of an object only the newest line waits, so a client that reads slowly gets fewer events
 * rather than later ones. Past the limit in bytes it is told to list again and forgotten, never buffered
 * without bound. Cost: O(1) a line.
 */

import { MIB } from "@berth/base";
import type { WatchKind, WatchSelector } from "@berth/protocol";
import { isDirectoryKind } from "../directory/directory.ts";
import type { Actor } from "./actor.ts";
import { type Facets, matches } from "./watch-facets.ts";
import type { WatchTopic } from "./watch-topic.ts";

/**
 * Lines that may wait for one client: what 1,000 to 2,000 changed tasks take. A client so far behind is
 * quicker with a new list.
 */
export const WATCHER_BYTES_MAX = 4 * MIB;

/**
 * Flushes of one stream that may follow each other at once: a chain of decision (an operation, then a task)
 * waits for nothing ...
 */
export const FLUSHES_AT_ONCE_MAX = 4;
/** ... and how far apart they are beyond: in a burst each takes more along, one write instead of ten. */
export const FLUSH_SPACING_MS = 20;

/** Kinds that every agent watches without a condition. */
export const KINDS_FOR_ALL: ReadonlySet<WatchKind> = new Set<WatchKind>(["network", "certificate"]);

/** What a stream does next. */
export type Taken =
  | TakenLines
  | { readonly kind: "resync"; readonly reason: string }
  | { readonly kind: "end" }
  | { readonly kind: "wait" };

/** All that waited: `changes` is every noted line, so a position told after them is true. */
export interface TakenLines {
  readonly kind: "lines";
  readonly urgent: readonly Buffer[];
  readonly changes: readonly Buffer[];
  /** Lines in `changes`: a topic brings many in one piece. */
  readonly count: number;
  /** Say something even if there is nothing to say. */
  readonly beat: boolean;
}

/** What an object is known by among a watcher's lines: made once for all watchers. */
export function noteName(kind: WatchKind, key: string): string {
  return `${kind} ${key}`;
}

function isUnconditional({ project, environment, stack, node }: WatchSelector): boolean {
  return [project, environment, stack, node].every((condition) => condition === undefined);
}

/** Whether a line's name is that of what the directory tells. */
function isOfDirectory(name: string): boolean {
  return isDirectoryKind(name.slice(0, name.indexOf(" ")));
}

export class Watcher {
  readonly selectors: readonly WatchSelector[];
  readonly actor: Actor;
  /** What this watcher shares with others, with the node for which it follows that. */
  readonly topics = new Map<WatchTopic<Watcher>, string>();
  /** Kinds of which it watches everything, as very many do: told by a topic and found by no index. */
  readonly sharedKinds: ReadonlySet<WatchKind>;
  /** Newest line of each object, in order of revision. */
  readonly #pending = new Map<string, Buffer>();
  #pendingBytes = 0;
  #urgent: Buffer[] = [];
  #beat = false;
  #ready = false;
  #wake: (() => void) | undefined;
  #resync: string | undefined;
  #ended = false;
  /** When something was last handed out, on the monotonic clock. */
  sentAt: number;
  /** The revision of the last position that the client was told. */
  toldRevision = 0;
  /** A leaky bucket as one number: when all flushes so far would have been, evenly spaced. */
  #spacedUntil = 0;

  constructor(selectors: readonly WatchSelector[], actor: Actor, now: number) {
    this.selectors = selectors;
    this.actor = actor;
    this.sentAt = now;
    const shared = selectors.filter(
      (each) => KINDS_FOR_ALL.has(each.kind) && isUnconditional(each),
    );
    this.sharedKinds = new Set(shared.map(({ kind }) => kind));
  }

  selects(kind: WatchKind, facets: Facets): boolean {
    return this.selectors.some((selector) => selector.kind === kind && matches(selector, facets));
  }

  /** Notes the newest line of an object (`noteName`), to be handed out at the next flush. */
  note(name: string, line: Buffer): void {
    if (this.#resync !== undefined || this.#ended) return;
    const older = this.#pending.get(name);
    // Taken out first: the newest line stands at the end, where its revision belongs.
    if (older !== undefined) this.#pending.delete(name);
    this.#pending.set(name, line);
    this.#pendingBytes += line.length - (older?.length ?? 0);
    if (this.#pendingBytes > WATCHER_BYTES_MAX) this.resync("the client reads too slowly");
  }

  /** Bytes that wait, about: of a topic all that it holds. 0 when nothing waits. */
  get waitingBytes(): number {
    let bytes = this.#pendingBytes;
    for (const topic of this.topics.keys()) if (topic.isBehind(this)) bytes += topic.bytes + 1;
    return bytes;
  }

  /** Hands `line` out at once, before anything that waits. */
  urge(line: Buffer): void {
    if (this.#ended || this.#resync !== undefined) return;
    this.#urgent.push(line);
    this.flush();
  }

  /** The client is to hear something, be it only that the stream lives. */
  beat(): void {
    this.#beat = true;
    this.flush();
  }

  /** How long what waits has to gather still, at `now` on the monotonic clock; 0 when it may go. */
  restMs(now: number): number {
    const ahead = this.#spacedUntil - now;
    return Math.max(0, ahead - (FLUSHES_AT_ONCE_MAX - 1) * FLUSH_SPACING_MS);
  }

  /** What waits goes out with the changes of others, after `restMs` has passed. */
  flushSpaced(now: number): void {
    this.#spacedUntil = Math.max(this.#spacedUntil, now) + FLUSH_SPACING_MS;
    this.flush();
  }

  /** What waits may go out now. */
  flush(): void {
    this.#ready = true;
    this.#wake?.();
  }

  /** The client has to list again; nothing else will be handed out. */
  resync(reason: string): void {
    this.#resync ??= reason;
    this.#pending.clear();
    this.#urgent = [];
    this.#pendingBytes = 0;
    this.flush();
  }

  /** The stream ends as it is. */
  end(): void {
    this.#ended = true;
    this.flush();
  }

  /** What is to be handed out now; empties it. */
  take(): Taken {
    if (this.#ended) return { kind: "end" };
    if (this.#resync !== undefined) return { kind: "resync", reason: this.#resync };
    if (!this.#ready) return { kind: "wait" };
    const changes: Buffer[] = [];
    const others: Buffer[] = [];
    for (const [name, line] of this.#pending) (isOfDirectory(name) ? changes : others).push(line);
    let count = this.#pending.size;
    // After notes of the same kinds: who came to a network is told first what it is to forget of an earlier time
    // there. Before all others: an assignment comes to a node that knows its networks' other tasks.
    for (const [topic, node] of this.topics) {
      for (const { bytes, lines } of topic.take(this, node)) {
        changes.push(bytes);
        count += lines;
      }
    }
    changes.push(...others);
    const taken = {
      kind: "lines",
      urgent: this.#urgent,
      changes,
      count,
      beat: this.#beat,
    } as const;
    this.#urgent = [];
    this.#pending.clear();
    this.#pendingBytes = 0;
    this.#beat = false;
    this.#ready = false;
    return taken;
  }

  /** Resolves at the next flush. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (this.#ready || this.#ended) this.#wake();
    });
  }
}

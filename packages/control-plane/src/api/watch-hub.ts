/**
 * The watch: one multiplexed stream per client over the cluster in memory.
 *
 * A stream begins with what exists at one revision (or with what changed since the client's position) and
 * goes on from exactly there: the list is captured and the watcher registered in one turn, before which no
 * change is missing and after which none is missed. Changes gather for a short window, each is made into
 * bytes once, and goes to the watchers that an index finds.
 *
 * Cost: a change O(its watchers); an idle watcher nothing but a heartbeat. Design page: docs/design/watch.md.
 */

import { type Clock, SECOND_MS } from "@berth/base";
import {
  type DialRequest,
  ProtocolError,
  type StackScope,
  stackKey,
  type Task,
  type WatchKind,
  type WatchSelector,
} from "@berth/protocol";
import { Directory, type DirectoryChange } from "../directory/directory.ts";
import type { Change, ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import type { Store } from "../store/port.ts";
import type { Actor } from "./actor.ts";
import {
  type FacetPair,
  facetPair,
  type ShownChange,
  shownAs,
  verdict,
  type WatchedChange,
} from "./watch-change.ts";
import { WatchIndex } from "./watch-index.ts";
import {
  bookmarkLine,
  deleteLine,
  dialLine,
  formatPosition,
  HEARTBEAT_LINE,
  listedLine,
  parsePosition,
  putLine,
  resyncLine,
  syncedLine,
} from "./watch-line.ts";
import { LIST_SLICE_OBJECTS, type Listed, lineOf, listSelected } from "./watch-list.ts";
import { isShown, replayedChanges } from "./watch-replay.ts";
import { HEARTBEAT_MS, URGENT_WINDOW_MS, WatchTimers, WINDOW_MS } from "./watch-timers.ts";
import { WatchTopics } from "./watch-topics.ts";
import { noteName, type TakenLines, Watcher } from "./watcher.ts";

/** Streams of one server: each holds a socket and about 26 KB, of 20,000 files that a process may open. */
export const WATCHERS_MAX = 8_000;
/** Streams of one token: a client that forgets to close must not take the place of agents. */
export const WATCHERS_PER_ACTOR_MAX = 1_000;
/** A position further back costs more than a list. */
export const REPLAY_REVISIONS_MAX = 10_000;
/** A position of another server's may be ahead of what this one has applied, by about a round trip. */
const AHEAD_WAIT_MS = 2 * SECOND_MS;

/** A change that more than so many watch is told in rounds: telling each of them at once would hold up all. */
const WATCHERS_FEW_MAX = 50;

const URGENT_KINDS: ReadonlySet<WatchKind> = new Set<WatchKind>([
  "assignment",
  "task",
  "status",
  "operation",
  "deployment",
  "stack",
  "network",
  "service",
  "attachment",
  "peer",
]);

/** Made from several objects, of which history has no joint past: a stream that is taken up lists them. */
const MADE_KINDS: ReadonlySet<WatchKind> = new Set<WatchKind>([
  "assignment",
  "service",
  "attachment",
  "peer",
]);

/** Lines of the stream, ready to be written. */
export type WatchStream = AsyncIterable<readonly Buffer[]>;

export interface WatchOptions {
  readonly selectors: readonly WatchSelector[];
  readonly position?: string;
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

/** Figures for `/metrics`, counted since the start. */
export interface WatchFigures {
  readonly watchers: number;
  readonly linesMade: number;
  readonly linesSent: number;
  readonly resyncs: number;
}

export class WatchHub {
  readonly #state: ClusterState;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #directory: Directory;
  readonly #index = new WatchIndex<Watcher>();
  readonly #watchers = new Set<Watcher>();
  readonly #dirty = new Set<Watcher>();
  /** Streams of each actor. */
  readonly #perActor = new Map<string, number>();
  readonly #topics: WatchTopics;
  readonly #timers: WatchTimers;
  #closed = false;
  #linesMade = 0;
  #linesSent = 0;
  #resyncs = 0;

  constructor(options: {
    readonly state: ClusterState;
    readonly store: Store;
    readonly clock: Clock;
  }) {
    this.#state = options.state;
    this.#directory = new Directory(options.state);
    this.#store = options.store;
    this.#clock = options.clock;
    this.#topics = new WatchTopics({
      directory: this.#directory,
      onNote: (watcher, name, line) => this.#note(watcher, name, line),
      onMade: () => this.#linesMade++,
    });
    this.#timers = new WatchTimers({
      clock: options.clock,
      onFlush: () => this.#flush(),
      onBeat: () => this.#beat(),
    });
    options.state.onChange((batch) => this.#onChange(batch));
  }

  /**
   * Begins a stream. It ends when `signal` aborts, the client is told to list again, or the hub closes.
   *
   * @throws ProtocolError `position_gone`, or `too_many_requests` at a limit of streams.
   */
  async open(options: WatchOptions): Promise<WatchStream> {
    this.#checkLimits(options.actor);
    if (options.position === undefined) return this.#openList(options);
    const revision = await this.#checkPosition(options.position, options.signal);
    return this.#openReplay(options, revision);
  }

  /** Asks the agent of `node` to dial in. False when it has no stream here. */
  dial(node: string, request: DialRequest): boolean {
    // The newest stream: an older one may be a dead connection that has not been noticed yet.
    const agent = [...this.#watchers]
      .filter(({ actor }) => actor.role === "agent" && actor.node === node)
      .at(-1);
    agent?.urge(dialLine(request));
    return agent !== undefined;
  }

  figures(): WatchFigures {
    return {
      watchers: this.#watchers.size,
      linesMade: this.#linesMade,
      linesSent: this.#linesSent,
      resyncs: this.#resyncs,
    };
  }

  /** Ends every stream; clients take them up elsewhere or later. */
  close(): void {
    this.#closed = true;
    this.#timers.close();
    for (const watcher of this.#watchers) watcher.end();
  }

  #checkLimits(actor: Actor): void {
    if (this.#closed) throw new ProtocolError("unavailable", "the server is stopping");
    const own = this.#perActor.get(actor.name) ?? 0;
    for (const [limit, value, maximum] of [
      ["watch streams", this.#watchers.size, WATCHERS_MAX],
      ["watch streams of one token", own, WATCHERS_PER_ACTOR_MAX],
    ] as const) {
      if (value < maximum) continue;
      const details = { limit, value, maximum, retryAfterMs: SECOND_MS };
      throw new ProtocolError("too_many_requests", `there are ${value} ${limit}`, details);
    }
  }

  #openList(options: WatchOptions): WatchStream {
    const watcher = this.#add(options);
    const listed = listSelected(this.#state.view, this.#directory, options.selectors);
    const position = this.#position();
    watcher.toldRevision = this.#state.revision;
    return this.#stream(watcher, this.#listChunks(listed), syncedLine(position));
  }

  async #openReplay(options: WatchOptions, revision: number): Promise<WatchStream> {
    const watcher = this.#add(options);
    const target = this.#state.revision;
    const position = this.#position();
    const made = options.selectors.filter(({ kind }) => MADE_KINDS.has(kind));
    const listed = listSelected(this.#state.view, this.#directory, made);
    const kinds = [...new Set(made.map(({ kind }) => kind))];
    try {
      const replay = replayedChanges(this.#store, { after: revision, target }, options.signal);
      // The first step shows whether history reaches back so far: before the answer has begun.
      const first = await replay.next();
      const chunks = this.#replayChunks(watcher, { listed, kinds }, first, replay);
      return this.#stream(watcher, chunks, bookmarkLine(position));
    } catch (error) {
      this.#remove(watcher);
      throw error;
    }
  }

  async #checkPosition(text: string, signal: AbortSignal): Promise<number> {
    const position = parsePosition(text);
    const epoch = this.#state.epoch;
    if (position === undefined || position.epoch !== epoch) {
      throw gone("the position is of another epoch", { position: text, epoch });
    }
    const { revision } = position;
    if (revision > this.#state.revision) await this.#waitFor(revision, signal);
    if (this.#state.revision - revision > REPLAY_REVISIONS_MAX) {
      const details = { limit: "replayed revisions", maximum: REPLAY_REVISIONS_MAX, revision };
      throw gone("the position is too far back", details);
    }
    return revision;
  }

  async #waitFor(revision: number, signal: AbortSignal): Promise<void> {
    const deadline = new AbortController();
    const cancel = this.#clock.setTimer(AHEAD_WAIT_MS, () => {
      deadline.abort(gone("the position is in the future", { revision }));
    });
    try {
      await this.#state.waitFor(revision, AbortSignal.any([signal, deadline.signal]));
    } finally {
      cancel();
    }
  }

  #position(): string {
    return formatPosition({ epoch: this.#state.epoch, revision: this.#state.revision });
  }

  #add({ selectors, actor, signal }: WatchOptions): Watcher {
    signal.throwIfAborted();
    const watcher = new Watcher(selectors, actor, this.#clock.monotonic());
    this.#watchers.add(watcher);
    this.#perActor.set(actor.name, (this.#perActor.get(actor.name) ?? 0) + 1);
    this.#index.add(watcher);
    this.#topics.add(watcher);
    // A client may go before its stream is first read from: the iterator's end alone is not enough.
    signal.addEventListener("abort", () => this.#remove(watcher), { once: true });
    this.#timers.beatSoon();
    return watcher;
  }

  #remove(watcher: Watcher): void {
    watcher.end();
    if (!this.#watchers.delete(watcher)) return;
    const { name } = watcher.actor;
    const left = (this.#perActor.get(name) ?? 1) - 1;
    if (left === 0) this.#perActor.delete(name);
    else this.#perActor.set(name, left);
    this.#index.remove(watcher);
    this.#topics.remove(watcher);
    this.#dirty.delete(watcher);
  }

  async *#stream(
    watcher: Watcher,
    start: AsyncIterable<readonly Buffer[]>,
    mark: Buffer,
  ): AsyncGenerator<readonly Buffer[], void, undefined> {
    try {
      for await (const lines of start) yield this.#sent(watcher, lines);
      yield this.#sent(watcher, [mark]);
      for (;;) {
        const taken = watcher.take();
        if (taken.kind === "end") return;
        if (taken.kind === "resync") {
          this.#resyncs++;
          yield [resyncLine(taken.reason)];
          return;
        }
        if (taken.kind === "wait") await watcher.wait();
        else yield this.#linesToSend(watcher, taken);
      }
    } finally {
      this.#remove(watcher);
    }
  }

  #linesToSend(watcher: Watcher, taken: TakenLines): readonly Buffer[] {
    const lines = [...taken.urgent, ...taken.changes];
    const { revision } = this.#state;
    if (taken.changes.length > 0 || (taken.beat && watcher.toldRevision !== revision)) {
      // All that was noted up to this revision has just been taken: the position says so.
      lines.push(bookmarkLine(this.#position()));
      watcher.toldRevision = revision;
    } else if (taken.beat) lines.push(HEARTBEAT_LINE);
    return this.#sent(watcher, lines, lines.length - taken.changes.length + taken.count);
  }

  #sent(
    watcher: Watcher,
    lines: readonly Buffer[],
    count: number = lines.length,
  ): readonly Buffer[] {
    watcher.sentAt = this.#clock.monotonic();
    this.#linesSent += count;
    return lines;
  }

  async *#listChunks(
    listed: readonly Listed[],
  ): AsyncGenerator<readonly Buffer[], void, undefined> {
    for (let start = 0; start < listed.length; start += LIST_SLICE_OBJECTS) {
      const slice = listed.slice(start, start + LIST_SLICE_OBJECTS);
      const lines = slice.flatMap((object) => lineOf(this.#state.view, object) ?? []);
      this.#linesMade += lines.length;
      if (lines.length > 0) yield lines;
    }
  }

  async *#replayChunks(
    watcher: Watcher,
    { listed, kinds }: { readonly listed: readonly Listed[]; readonly kinds: readonly WatchKind[] },
    first: IteratorResult<readonly WatchedChange[], void>,
    rest: AsyncIterable<readonly WatchedChange[]>,
  ): AsyncGenerator<readonly Buffer[], void, undefined> {
    yield* this.#listChunks(listed);
    if (kinds.length > 0) yield [listedLine(kinds)];
    if (first.done) return;
    yield first.value.flatMap((change) => this.#replayLines(watcher, change));
    for await (const changes of rest) {
      yield changes.flatMap((change) => this.#replayLines(watcher, change));
    }
  }

  #replayLines(watcher: Watcher, change: WatchedChange): Buffer[] {
    const pair = facetPair(change);
    const lines: Buffer[] = [];
    for (const { kind, exists, line } of this.#shownAs(change, { isPast: true })) {
      const type = verdict(pair, exists, (facets) => watcher.selects(kind, facets));
      if (type !== undefined) lines.push(line(type));
    }
    return lines;
  }

  #onChange(batch: ChangeBatch): void {
    const news = this.#directory.follow(batch);
    if (this.#watchers.size === 0) return;
    let windowMs = Number.POSITIVE_INFINITY;
    if (this.#topics.follow(news)) windowMs = URGENT_WINDOW_MS;
    for (const change of news.changes) {
      windowMs = Math.min(windowMs, this.#dispatchDirectory(change));
    }
    for (const change of batch.changes) {
      if (change.kind === "release") this.#onRelease(change as Change<"release">);
      if (change.kind === "stack") this.#onStack(change as Change<"stack">);
      if (!isWatched(change)) continue;
      windowMs = Math.min(windowMs, this.#dispatch(change));
    }
    if (windowMs < Number.POSITIVE_INFINITY) this.#timers.flushWithin(windowMs);
  }

  /** Tasks of a release that became known after them: their assignments can be made now. */
  #onRelease(change: Change<"release">): void {
    const release = change.entity?.value;
    if (release === undefined || change.previous !== undefined) return;
    this.#tellTasks(release, (task) => task.release === release.number);
  }

  /** The stack moved: tasks of an unchanged template run by the new release's spec from now on. */
  #onStack({ entity, previous }: Change<"stack">): void {
    const stack = entity?.value;
    if (stack === undefined || stack.release === previous?.value.release) return;
    this.#tellTasks(stack, () => true);
  }

  #tellTasks(scope: StackScope, concerns: (task: Task) => boolean): void {
    for (const entity of this.#state.view.tasks.by("stack", stackKey(scope))) {
      if (!concerns(entity.value)) continue;
      const { key, revision } = entity;
      this.#dispatch({ kind: "task", key, revision, entity });
      this.#timers.flushWithin(URGENT_WINDOW_MS);
    }
  }

  /** Notes the change at whoever selects it. Returns how long it may wait; Infinity when nobody does. */
  #dispatch(change: WatchedChange): number {
    const pair = facetPair(change);
    let windowMs = Number.POSITIVE_INFINITY;
    for (const { kind, exists, line } of this.#shownAs(change, { isPast: false })) {
      const name = noteName(kind, change.key);
      const forAll = verdict(pair, exists, () => true);
      if (forAll !== undefined && this.#topics.tellAll(kind, name, () => line(forAll))) {
        windowMs = URGENT_WINDOW_MS;
      }
      const candidates = this.#candidates(kind, pair);
      const isForMany = candidates.size > WATCHERS_FEW_MAX;
      for (const watcher of candidates) {
        const type = verdict(pair, exists, (facets) => watcher.selects(kind, facets));
        if (type === undefined) continue;
        if (isForMany) {
          watcher.note(name, line(type));
          this.#topics.later(watcher);
        } else this.#note(watcher, name, line(type));
        windowMs = Math.min(windowMs, URGENT_KINDS.has(kind) ? URGENT_WINDOW_MS : WINDOW_MS);
      }
    }
    return windowMs;
  }

  /** As `#dispatch`, for what nodes see of others. */
  #dispatchDirectory({ kind, key, revision, now, shown, hidden }: DirectoryChange): number {
    let windowMs = Number.POSITIVE_INFINITY;
    const name = noteName(kind, key);
    const tell = (nodes: ReadonlySet<string>, make: () => Buffer) => {
      let line: Buffer | undefined;
      const note = (watcher: Watcher) => {
        if (line === undefined) this.#linesMade++;
        line ??= make();
        this.#note(watcher, name, line);
        windowMs = URGENT_WINDOW_MS;
      };
      if (nodes.size > 0) for (const watcher of this.#index.ofAll(kind)) note(watcher);
      for (const node of nodes) for (const watcher of this.#index.ofNode(kind, node)) note(watcher);
    };
    tell(shown, () => putLine(kind, key, now?.revision ?? revision, now?.value));
    tell(hidden, () => deleteLine(kind, key, revision));
    return windowMs;
  }

  #note(watcher: Watcher, name: string, line: Buffer): void {
    watcher.note(name, line);
    this.#dirty.add(watcher);
  }

  #candidates(kind: WatchKind, { now, before }: FacetPair): Set<Watcher> {
    const found = new Set<Watcher>();
    for (const facets of [now, before]) {
      if (facets === undefined) continue;
      for (const watcher of this.#index.candidates(kind, facets)) found.add(watcher);
    }
    return found;
  }

  #shownAs(change: WatchedChange, { isPast }: { readonly isPast: boolean }): Iterable<ShownChange> {
    return shownAs(this.#state.view, change, { isPast, onMade: () => this.#linesMade++ });
  }

  /** Who was told much of late gathers a little longer; everybody else hears it now. */
  #flush(): void {
    const now = this.#clock.monotonic();
    let restMs = Number.POSITIVE_INFINITY;
    for (const watcher of this.#dirty) {
      const rest = watcher.restMs(now);
      if (rest > 0) {
        restMs = Math.min(restMs, rest);
        continue;
      }
      watcher.flushSpaced(now);
      this.#dirty.delete(watcher);
    }
    restMs = Math.min(restMs, this.#topics.tell(now));
    if (restMs < Number.POSITIVE_INFINITY) this.#timers.flushWithin(restMs);
  }

  #beat(): void {
    const silentSince = this.#clock.monotonic() - HEARTBEAT_MS;
    for (const watcher of this.#watchers) if (watcher.sentAt <= silentSince) watcher.beat();
    if (this.#watchers.size > 0) this.#timers.beatSoon();
  }
}

function isWatched(change: Change): change is WatchedChange {
  return isShown(change.kind);
}

function gone(message: string, details: Readonly<Record<string, unknown>>): ProtocolError {
  return new ProtocolError("position_gone", `${message}: list again`, details);
}

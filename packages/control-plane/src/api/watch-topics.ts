/**
 * The topics of all networks: which watcher follows which, and when those who follow are told.
 *
 * A network with a thousand nodes makes a thousand lines of one change. So what is told to many gathers: after a
 * silence it is told at once, in a burst by rounds that are the further apart the more were told in the last ones, and
 * some hundred watchers a turn of the event loop, so that nobody else waits. Whoever is told something of their own
 * meanwhile gets this along. So are told, too, objects that very many watch: what all agents do (networks) is a topic
 * of its own, and what is noted at many at once waits for the next round (`later`).
 */

import { MIB } from "@berth/base";
import type { WatchKind } from "@berth/protocol";
import {
  type CarrierMove,
  DIRECTORY_KINDS,
  type Directory,
  type DirectoryKind,
  type DirectoryNews,
  isDirectoryKind,
  ownerOf,
  type SharedChange,
} from "../directory/directory.ts";
import { deleteLine, putLine } from "./watch-line.ts";
import { WatchTopic } from "./watch-topic.ts";
import { KINDS_FOR_ALL, noteName, type Watcher } from "./watcher.ts";

/** Watchers that are told in one turn of the event loop, and bytes: some milliseconds of work. */
export const WATCHERS_A_TURN = 100;
export const BYTES_A_TURN = 2 * MIB;
/** The rest is told in the next turn. */
const NEXT_TURN_MS = 1;
/** So much of time a watcher that was told: a fifth to a third of a processor goes into telling at most ... */
const SPACING_MS_PER_WATCHER = 0.25;
/** ... but nobody waits longer than this for a round: names of new tasks and ways to them are asked for. */
const GATHER_MS_MAX = 250;
/** After a silence so much of spacing is free: a chain of a few changes waits for nothing. */
const FREE_MS = 60;

/** Place of what belongs to no network and is watched by all. Identifiers of networks are hexadecimal. */
const EVERYWHERE = { node: "", network: "everywhere" } as const;

type Topic = WatchTopic<Watcher>;

export interface WatchTopicsOptions {
  readonly directory: Directory;
  /** A line for one watcher, which no topic brings. */
  readonly onNote: (watcher: Watcher, name: string, line: Buffer) => void;
  readonly onMade: () => void;
}

export class WatchTopics {
  readonly #options: WatchTopicsOptions;
  readonly #topics = new Map<string, Topic>();
  /** By kind and node. */
  readonly #followers = new Map<string, Set<Watcher>>();
  /** Those who select several nodes at once: an object may concern them more than once. */
  readonly #several = new Set<Watcher>();
  readonly #withNews = new Set<Topic>();
  /** Since when the oldest news waits. */
  #newsSince: number | undefined;
  /** Those who are to be told of something else that many are told of. */
  readonly #waiting = new Set<Watcher>();
  /** To be told in this turn or the next ones. */
  readonly #telling = new Set<Watcher>();
  /** A leaky bucket as one number: when all so far would have been told, evenly spaced. */
  #spacedUntil = 0;

  constructor(options: WatchTopicsOptions) {
    this.#options = options;
  }

  /** From now on; what there is has been listed already. */
  add(watcher: Watcher): void {
    for (const kind of watcher.sharedKinds) this.#join(watcher, kind, EVERYWHERE, { all: false });
    for (const kind of DIRECTORY_KINDS) {
      const nodes = nodesOf(watcher, kind);
      const [node] = nodes;
      if (node === undefined && nodes.length === 0) continue;
      if (node === undefined || nodes.length > 1) {
        this.#several.add(watcher);
        continue;
      }
      const name = `${kind} ${node}`;
      const followers = this.#followers.get(name) ?? new Set();
      this.#followers.set(name, followers.add(watcher));
      for (const network of this.#options.directory.networksOf(node)) {
        this.#join(watcher, kind, { node, network }, { all: false });
      }
    }
  }

  remove(watcher: Watcher): void {
    this.#several.delete(watcher);
    this.#telling.delete(watcher);
    this.#waiting.delete(watcher);
    for (const kind of watcher.sharedKinds) this.#leave(watcher, kind, EVERYWHERE.network);
    for (const kind of DIRECTORY_KINDS) {
      for (const node of nodesOf(watcher, kind)) {
        const name = `${kind} ${node}`;
        const followers = this.#followers.get(name);
        followers?.delete(watcher);
        if (followers?.size === 0) this.#followers.delete(name);
        if (node === undefined) continue;
        for (const network of this.#options.directory.networksOf(node)) {
          this.#leave(watcher, kind, network);
        }
      }
    }
  }

  /** Takes up what the directory says of a batch; true when somebody is to be told. */
  follow({ moves, shared, changes }: DirectoryNews): boolean {
    for (const move of moves) this.#went(move);
    for (const change of shared) this.#share(change);
    for (const { kind, key, left } of changes) {
      if (left !== undefined) this.#topics.get(`${kind} ${left}`)?.drop(noteName(kind, key));
    }
    for (const move of moves) this.#came(move);
    return this.#withNews.size > 0;
  }

  /** Tells those who watch all of `kind`; true when there are any. `line` is asked for then only. */
  tellAll(kind: WatchKind, name: string, line: () => Buffer): boolean {
    if (!KINDS_FOR_ALL.has(kind)) return false;
    const topic = this.#topics.get(`${kind} ${EVERYWHERE.network}`);
    if (topic === undefined) return false;
    topic.note(name, undefined, line);
    this.#withNews.add(topic);
    return true;
  }

  /** What was noted at `watcher` is told in the next round: many others are told the same. */
  later(watcher: Watcher): void {
    this.#waiting.add(watcher);
  }

  /**
   * Tells some of those who are to be told now, at `now` on the monotonic clock. Returns after how many
   * milliseconds to ask again; Infinity when nobody waits.
   */
  tell(now: number): number {
    const restMs = this.#restMs(now);
    if (restMs === 0) {
      for (const topic of this.#withNews) {
        for (const watcher of topic.watchersBehind()) this.#telling.add(watcher);
      }
      for (const watcher of this.#waiting) this.#telling.add(watcher);
      this.#waiting.clear();
      const spacingMs = this.#telling.size * SPACING_MS_PER_WATCHER;
      this.#spacedUntil = Math.max(this.#spacedUntil, now) + spacingMs;
      this.#withNews.clear();
      this.#newsSince = undefined;
    }
    let told = 0;
    let bytes = 0;
    for (const watcher of this.#telling) {
      if (told === WATCHERS_A_TURN || bytes > BYTES_A_TURN) return NEXT_TURN_MS;
      this.#telling.delete(watcher);
      const { waitingBytes } = watcher;
      if (waitingBytes === 0) continue;
      watcher.flush();
      told++;
      bytes += waitingBytes;
    }
    return restMs === 0 ? Number.POSITIVE_INFINITY : restMs;
  }

  /** How long the next round is to wait still; Infinity when there is nothing to tell. */
  #restMs(now: number): number {
    if (this.#withNews.size + this.#waiting.size === 0) return Number.POSITIVE_INFINITY;
    this.#newsSince ??= now;
    const spacedMs = this.#spacedUntil - now - FREE_MS;
    return Math.max(0, Math.min(spacedMs, this.#newsSince + GATHER_MS_MAX - now));
  }

  #join(
    watcher: Watcher,
    kind: WatchKind,
    { node, network }: { readonly node: string; readonly network: string },
    options: { readonly all: boolean },
  ): void {
    const name = `${kind} ${network}`;
    const topic = this.#topics.get(name) ?? this.#makeTopic(kind, network);
    this.#topics.set(name, topic);
    topic.add(watcher, options);
    watcher.topics.set(topic, node);
    if (options.all) this.#withNews.add(topic);
  }

  #leave(watcher: Watcher, kind: WatchKind, network: string): void {
    const name = `${kind} ${network}`;
    const topic = this.#topics.get(name);
    if (topic === undefined) return;
    topic.remove(watcher);
    watcher.topics.delete(topic);
    if (topic.size > 0) return;
    this.#topics.delete(name);
    this.#withNews.delete(topic);
  }

  #makeTopic(kind: WatchKind, network: string): Topic {
    const { directory, onMade } = this.#options;
    return new WatchTopic<Watcher>({
      // Who watches everywhere has listed what there is.
      items: () => (isDirectoryKind(kind) ? directory.sharedOn(kind, network) : []),
      line: (item) => {
        onMade();
        return putLine(kind, item.key, item.revision, item.value);
      },
      owner: ownerOf,
    });
  }

  #share({ kind, key, revision, network, now, owner }: SharedChange): void {
    const name = noteName(kind, key);
    const topic = this.#topics.get(`${kind} ${network}`);
    const gone = () => {
      this.#options.onMade();
      return deleteLine(kind, key, revision);
    };
    topic?.note(name, owner, () => (now === undefined ? gone() : topic.lineOf(now)));
    if (topic?.hasNews) this.#withNews.add(topic);
    for (const watcher of this.#several) {
      const concerns = (node: string | undefined) =>
        node === undefined || (node !== owner && this.#options.directory.carries(node, network));
      if (!nodesOf(watcher, kind).some(concerns)) continue;
      const line = now === undefined ? gone() : putLine(kind, key, now.revision, now.value);
      this.#options.onNote(watcher, name, line);
    }
  }

  #went({ network, went }: CarrierMove): void {
    for (const kind of DIRECTORY_KINDS) {
      for (const node of went) {
        for (const watcher of this.#followers.get(`${kind} ${node}`) ?? []) {
          this.#noteRest(watcher, kind, { node, network });
          this.#leave(watcher, kind, network);
        }
      }
    }
  }

  /** What was deleted and not told yet is known nowhere else; what exists is taken back by the directory. */
  #noteRest(
    watcher: Watcher,
    kind: DirectoryKind,
    { node, network }: { readonly node: string; readonly network: string },
  ): void {
    const topic = this.#topics.get(`${kind} ${network}`);
    for (const { name, owner, line } of topic?.pending(watcher) ?? []) {
      if (owner !== node) this.#options.onNote(watcher, name, line);
    }
  }

  #came({ network, came }: CarrierMove): void {
    for (const kind of DIRECTORY_KINDS) {
      for (const node of came) {
        for (const watcher of this.#followers.get(`${kind} ${node}`) ?? []) {
          this.#join(watcher, kind, { node, network }, { all: true });
        }
        for (const watcher of this.#several) {
          if (nodesOf(watcher, kind).includes(node)) this.#showAll(watcher, kind, network, node);
        }
      }
    }
  }

  #showAll(watcher: Watcher, kind: DirectoryKind, network: string, node: string): void {
    for (const item of this.#options.directory.sharedOn(kind, network)) {
      if (ownerOf(item) === node) continue;
      this.#options.onMade();
      const line = putLine(kind, item.key, item.revision, item.value);
      this.#options.onNote(watcher, noteName(kind, item.key), line);
    }
  }
}

/** Nodes of the selectors of `kind`; `undefined` among them where one names none. */
function nodesOf(watcher: Watcher, kind: DirectoryKind): readonly (string | undefined)[] {
  return watcher.selectors.flatMap((each) => (each.kind === kind ? [each.node] : []));
}

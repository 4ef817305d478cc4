/**
 * What everybody on one network is told alike: a log of lines, and for each watcher how far it has been told.
 *
 * A change costs one entry, whatever the number of watchers; those who stand at the same place are handed the same
 * bytes, joined once. Of an object only its newest line is kept. Whoever comes new is handed all that there is. The
 * log is empty as soon as everybody has been told. Cost: a change O(1); telling O(watchers) and O(lines) once for
 * each place that watchers stand at.
 */

import { MIB } from "@berth/base";
import type { Item } from "../directory/directory.ts";

/** What a topic needs of a watcher. */
export interface TopicWatcher {
  resync(reason: string): void;
}

/** Lines that were joined. */
export interface Joined {
  readonly bytes: Buffer;
  readonly lines: number;
}

export interface TopicOptions {
  /** All objects as they are now. */
  readonly items: () => Iterable<Item>;
  readonly line: (item: Item) => Buffer;
  /** The node whose own an object is: it is not told of it. */
  readonly owner: (item: Item) => string | undefined;
}

/** The newest line of an object. */
export interface Entry {
  readonly name: string;
  readonly owner: string | undefined;
  readonly line: Buffer;
}

/** Lines that wait for the slowest watcher: as many as may wait for it alone. */
export const TOPIC_BYTES_MAX = 4 * MIB;
/** The place of whoever has been told nothing yet. */
const NOTHING_TOLD = -1;

/** Entries joined, with the places of those that one node is not to see. */
class Run {
  readonly bytes: Buffer;
  readonly #lines: number;
  readonly #own = new Map<string, [number, number][]>();

  constructor(entries: readonly Entry[]) {
    let at = 0;
    for (const { owner, line } of entries) {
      if (owner !== undefined) {
        const places = this.#own.get(owner) ?? [];
        places.push([at, at + line.length]);
        this.#own.set(owner, places);
      }
      at += line.length;
    }
    this.bytes = Buffer.concat(
      entries.map(({ line }) => line),
      at,
    );
    this.#lines = entries.length;
  }

  /** All but what is the node's own. */
  for(node: string): Joined[] {
    const own = this.#own.get(node);
    if (own === undefined)
      return this.#lines === 0 ? [] : [{ bytes: this.bytes, lines: this.#lines }];
    const lines = this.#lines - own.length;
    if (lines === 0) return [];
    const pieces: Buffer[] = [];
    let from = 0;
    for (const [start, end] of own) {
      pieces.push(this.bytes.subarray(from, start));
      from = end;
    }
    pieces.push(this.bytes.subarray(from));
    return [{ bytes: Buffer.concat(pieces), lines }];
  }
}

export class WatchTopic<W extends TopicWatcher> {
  readonly #options: TopicOptions;
  /** By watcher: the number of the first entry that it has not been told. */
  readonly #places = new Map<W, number>();
  /** Entries from number `#first` on; `undefined` where a newer one of the same object follows. */
  #entries: (Entry | undefined)[] = [];
  #first = 0;
  readonly #newest = new Map<string, number>();
  #bytes = 0;
  /** Watchers that do not stand at the end. */
  #behind = 0;
  /** Of entries from a place to the end, and of everything: good until the next entry. */
  readonly #runs = new Map<number, Run>();
  /** Lines of objects that many are shown at about the same time. */
  #lines = new WeakMap<Item, Buffer>();

  constructor(options: TopicOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#places.size;
  }

  get hasNews(): boolean {
    return this.#behind > 0;
  }

  /** Bytes of the log. */
  get bytes(): number {
    return this.#bytes;
  }

  isBehind(watcher: W): boolean {
    const place = this.#places.get(watcher);
    return place !== undefined && place !== this.#end;
  }

  *watchersBehind(): Iterable<W> {
    for (const [watcher, place] of this.#places) if (place !== this.#end) yield watcher;
  }

  /** Tells `watcher` what comes from now on, and with `all` what there is, too. */
  add(watcher: W, { all }: { readonly all: boolean }): void {
    this.remove(watcher);
    this.#places.set(watcher, all ? NOTHING_TOLD : this.#end);
    if (all) this.#behind++;
  }

  remove(watcher: W): void {
    const place = this.#places.get(watcher);
    if (place === undefined) return;
    this.#places.delete(watcher);
    if (place !== this.#end) this.#behind--;
    if (this.#behind === 0) this.#clear();
  }

  /** The newest line of an object: `line` is asked for when somebody is there to be told. */
  note(name: string, owner: string | undefined, line: () => Buffer): void {
    if (this.#places.size === 0) return;
    this.drop(name);
    const made = line();
    this.#newest.set(name, this.#end);
    this.#entries.push({ name, owner, line: made });
    this.#bytes += made.length;
    this.#behind = this.#places.size;
    if (this.#bytes > TOPIC_BYTES_MAX) this.#giveUpSlowest();
  }

  /** What waits of an object is not told: somebody else tells what it is now. */
  drop(name: string): void {
    this.#runs.clear();
    const known = this.#newest.get(name);
    if (known === undefined) return;
    this.#newest.delete(name);
    this.#bytes -= this.#entries[known - this.#first]?.line.length ?? 0;
    this.#entries[known - this.#first] = undefined;
  }

  /** What `watcher`, which speaks for `node`, has not been told; it counts as told from now on. */
  take(watcher: W, node: string): Joined[] {
    const place = this.#places.get(watcher);
    const end = this.#end;
    if (place === undefined || place === end) return [];
    this.#places.set(watcher, end);
    this.#behind--;
    const run = this.#runs.get(place) ?? this.#makeRun(place);
    if (this.#behind === 0) this.#clear();
    return run.for(node);
  }

  /** What `watcher` has not been told of changes; nothing of what it was to be shown as one that is new. */
  *pending(watcher: W): Iterable<Entry> {
    const place = this.#places.get(watcher);
    if (place === undefined || place === NOTHING_TOLD) return;
    for (const entry of this.#entries.slice(place - this.#first)) {
      if (entry !== undefined) yield entry;
    }
  }

  get #end(): number {
    return this.#first + this.#entries.length;
  }

  #makeRun(place: number): Run {
    const entries: Entry[] = [];
    if (place === NOTHING_TOLD) {
      for (const item of this.#options.items()) {
        const owner = this.#options.owner(item);
        entries.push({ name: item.key, owner, line: this.lineOf(item) });
      }
    } else {
      for (const entry of this.#entries.slice(place - this.#first)) {
        if (entry !== undefined) entries.push(entry);
      }
    }
    const run = new Run(entries);
    this.#runs.set(place, run);
    return run;
  }

  /** The line of an object as it is, made once while there is somebody to be told. */
  lineOf(item: Item): Buffer {
    const known = this.#lines.get(item);
    if (known !== undefined) return known;
    const made = this.#options.line(item);
    this.#lines.set(item, made);
    return made;
  }

  /** Everybody has been told: nothing is kept. Places stay true. */
  #clear(): void {
    this.#first = this.#end;
    this.#entries = [];
    this.#newest.clear();
    this.#bytes = 0;
    this.#runs.clear();
    this.#lines = new WeakMap();
  }

  /** Whoever has not taken the older half of the log lists again. */
  #giveUpSlowest(): void {
    const half = this.#first + Math.ceil(this.#entries.length / 2);
    for (const [watcher, place] of [...this.#places]) {
      if (place === NOTHING_TOLD || place >= half) continue;
      this.remove(watcher);
      watcher.resync("the client reads too slowly");
    }
    // An end that nobody stands at keeps the log; all of them may just have been given up.
    if (this.#entries.length === 0) return;
    for (const entry of this.#entries.splice(0, half - this.#first)) {
      if (entry === undefined) continue;
      this.#bytes -= entry.line.length;
      this.#newest.delete(entry.name);
    }
    this.#first = half;
  }
}

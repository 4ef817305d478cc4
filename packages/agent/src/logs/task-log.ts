/**
 * One task's log: segments that rotate, one writer, any number of readers.
 *
 * Invariants: records are appended in the order in which they were given; a crash leaves a prefix, whose torn
 * last line is cut off before anything is appended; the end of the log is the position of its writer, so no
 * second file can disagree with it. Memory: what waits to be written, at most `PENDING_BYTES_MAX`.
 */

import { assert } from "@berth/base";
import type { LogFiles } from "./files.ts";
import { type LogKey, type LogLimits, segmentPath } from "./key.ts";
import { encodeRecord, type LogRecord } from "./record.ts";
import {
  type PlacedRecord,
  recordsBackwards,
  recordsOf,
  type SegmentPosition,
  soundLength,
} from "./segments.ts";

/** How far one stream of an attempt was stored: its last stamp, and the bytes that carry it. */
export interface StreamPosition {
  readonly stamp: string;
  readonly bytes: number;
}

export type AttemptPosition = Readonly<Partial<Record<"stdout" | "stderr", StreamPosition>>>;

interface Segment {
  readonly number: number;
  bytes: number;
}

/** Bytes that wait for the disk; beyond it the writer waits. */
export const PENDING_BYTES_MAX = 256 * 1024;
/** Records looked at for a position: both streams speak within the last few. */
const POSITION_RECORDS_MAX = 10_000;

export class TaskLog {
  readonly key: LogKey;
  readonly #files: LogFiles;
  #segments: Segment[];
  #repairing: Promise<void> | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #flushing: Promise<void> | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(
    files: LogFiles,
    key: LogKey,
    segments: readonly { readonly number: number; readonly bytes: number }[],
  ) {
    this.#files = files;
    this.key = key;
    this.#segments = segments.map((segment) => ({ ...segment }));
    this.#segments.sort((a, b) => a.number - b.number);
  }

  /** On disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Queues a record. Returns a promise to wait for when too much is queued. */
  append(record: LogRecord, limits: LogLimits): Promise<void> | undefined {
    const line = encodeRecord(record);
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    this.#flushing ??= this.#flush(limits);
    return this.#pendingBytes > PENDING_BYTES_MAX ? this.#flushing : undefined;
  }

  /** Resolves when everything queued is on disk; rejects when it could not be written. */
  async flushed(): Promise<void> {
    await this.#flushing;
  }

  /** Closes the file; more may be appended later. */
  async rest(): Promise<void> {
    await this.flushed();
    const last = this.#segments.at(-1);
    if (last !== undefined) await this.#files.close(this.#path(last.number));
  }

  /** Where the writer of an attempt has to go on. */
  async position(attempt: number): Promise<AttemptPosition> {
    await this.#repair();
    const found: Partial<Record<"stdout" | "stderr", { stamp: string; bytes: number }>> = {};
    const closed = new Set<string>();
    let looks = 0;
    for await (const record of this.#backwards()) {
      if (++looks > POSITION_RECORDS_MAX || closed.size === 2) break;
      if (record.stream === "note") continue;
      // Attempts follow one another: an earlier one has nothing of this one before it.
      if (record.attempt < attempt) break;
      const bytes = record.bytes.length + (record.continues ? 0 : 1);
      const known = found[record.stream];
      if (known === undefined) found[record.stream] = { stamp: record.stamp, bytes };
      else if (known.stamp === record.stamp) known.bytes += bytes;
      else closed.add(record.stream);
    }
    return found;
  }

  /** Records from a position (or the oldest) to the present end. */
  async *records(from?: SegmentPosition): AsyncGenerator<PlacedRecord> {
    let position = from ?? { segment: 0, offset: 0 };
    while (true) {
      const segment = this.#segments.find(({ number }) => number >= position.segment);
      if (segment === undefined) return;
      // A segment that was removed meanwhile is skipped with what was left of it.
      if (segment.number > position.segment) position = { segment: segment.number, offset: 0 };
      // Looked at before the read: only then is the end that the read finds the segment's last.
      const isLast = segment === this.#segments.at(-1);
      yield* recordsOf(this.#files, this.#path(segment.number), position);
      if (isLast) return;
      position = { segment: segment.number + 1, offset: 0 };
    }
  }

  /** Where the last `count` records that `wanted` accepts begin. */
  async tailPosition(
    count: number,
    wanted: (record: LogRecord) => boolean,
  ): Promise<SegmentPosition> {
    await this.#repair();
    let left = count;
    let position: SegmentPosition = this.#end();
    for (const { number, bytes } of this.#segments.toReversed()) {
      for await (const { record, offset } of recordsBackwards(
        this.#files,
        this.#path(number),
        bytes,
      )) {
        if (!wanted(record)) continue;
        if (left === 0) return position;
        left--;
        position = { segment: number, offset };
      }
    }
    return position;
  }

  /** The last records of an attempt, oldest first. */
  async tail(attempt: number, count: number): Promise<readonly LogRecord[]> {
    const found: LogRecord[] = [];
    for await (const record of this.#backwards()) {
      if (found.length === count || record.attempt < attempt) break;
      if (record.attempt === attempt && record.stream !== "note") found.push(record);
    }
    return found.reverse();
  }

  /** The newest record. */
  async last(): Promise<LogRecord | undefined> {
    for await (const record of this.#backwards()) return record;
    return undefined;
  }

  /** Calls `notify` after each write until the returned function is called. */
  watch(notify: () => void): () => void {
    this.#watchers.add(notify);
    return () => this.#watchers.delete(notify);
  }

  /** Removes every segment. */
  async remove(): Promise<void> {
    await this.flushed();
    for (const { number } of this.#segments) await this.#files.remove(this.#path(number));
    this.#segments = [];
  }

  async *#backwards(): AsyncGenerator<LogRecord> {
    for (const { number, bytes } of this.#segments.toReversed()) {
      const path = this.#path(number);
      for await (const { record } of recordsBackwards(this.#files, path, bytes)) yield record;
    }
  }

  async #flush(limits: LogLimits): Promise<void> {
    // A turn for more lines to come: one write for all of them.
    await Promise.resolve();
    try {
      await this.#repair();
      while (this.#pending.length > 0) await this.#writeSome(limits);
      // In the same turn as the look at what is pending: a record queued later begins a new flush.
      this.#flushing = undefined;
    } catch (error) {
      this.#flushing = undefined;
      // The engine still has what is given up here: its reader begins again at the stored position.
      this.#pending = [];
      this.#pendingBytes = 0;
      this.#repairing = undefined;
      throw error;
    }
  }

  async #writeSome(limits: LogLimits): Promise<void> {
    const segment = await this.#segmentFor(this.#pending[0]?.length ?? 0, limits);
    const room = limits.maxBytes - segment.bytes;
    let count = 0;
    let bytes = 0;
    for (const line of this.#pending) {
      // A line that is longer than a whole segment gets one of its own.
      if (count > 0 && bytes + line.length > room) break;
      count++;
      bytes += line.length;
    }
    const lines = this.#pending.slice(0, count);
    await this.#files.append(this.#path(segment.number), Buffer.concat(lines));
    segment.bytes += bytes;
    this.#pending = this.#pending.slice(count);
    this.#pendingBytes -= bytes;
    assert(this.#pendingBytes >= 0, "pending bytes of a log are counted right");
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** The segment to append to: the last, or a new one when `bytes` more would be too much for it. */
  async #segmentFor(bytes: number, limits: LogLimits): Promise<Segment> {
    const last = this.#segments.at(-1);
    const fits = last !== undefined && (last.bytes === 0 || last.bytes + bytes <= limits.maxBytes);
    if (fits) return last;
    if (last !== undefined) await this.#files.close(this.#path(last.number));
    const next = { number: (last?.number ?? 0) + 1, bytes: 0 };
    this.#segments.push(next);
    while (this.#segments.length > Math.max(1, limits.maxFiles)) {
      const oldest = this.#segments.shift();
      if (oldest !== undefined) await this.#files.remove(this.#path(oldest.number));
    }
    return next;
  }

  /** Cuts off what a crash has left of a line; once, and again after a write that failed. */
  #repair(): Promise<void> {
    this.#repairing ??= this.#cutTornEnd().catch((error: unknown) => {
      this.#repairing = undefined;
      throw error;
    });
    return this.#repairing;
  }

  async #cutTornEnd(): Promise<void> {
    const last = this.#segments.at(-1);
    if (last === undefined) return;
    const path = this.#path(last.number);
    const sound = await soundLength(this.#files, path, last.bytes);
    // What lies behind the counted bytes comes from a write that failed half way.
    const behind = await this.#files.read(path, sound, 1);
    if (behind.length > 0) await this.#files.truncate(path, sound);
    last.bytes = sound;
  }

  #end(): SegmentPosition {
    const last = this.#segments.at(-1);
    return { segment: last?.number ?? 0, offset: last?.bytes ?? 0 };
  }

  #path(segment: number): string {
    return segmentPath(this.key, segment);
  }
}

/**
 * Reading records out of a task's segments, forwards and backwards, a block at a time.
 *
 * Segments are numbered files; a position is (segment, byte offset) at the beginning of a record. Memory: one
 * block and one record. Lines that are no records (torn by a crash, zeros after a power loss) are skipped.
 */

import type { LogFiles } from "./files.ts";
import { decodeRecord, type LogRecord } from "./record.ts";

/** A place in a task's log. */
export interface SegmentPosition {
  readonly segment: number;
  readonly offset: number;
}

/** A record and where the next one begins. */
export interface PlacedRecord {
  readonly record: LogRecord;
  readonly next: SegmentPosition;
}

/** Read at once: some hundred lines. With a thousand tasks merged 16 MiB are held. */
const BLOCK_BYTES = 16 * 1024;
const NEWLINE = 10;

/** Records of one segment from `offset` to its present end; an unfinished last line is left for later. */
export async function* recordsOf(
  files: LogFiles,
  path: string,
  start: SegmentPosition,
): AsyncGenerator<PlacedRecord> {
  let { offset } = start;
  let rest: Buffer = Buffer.alloc(0);
  while (true) {
    const block = await files.read(path, offset + rest.length, BLOCK_BYTES);
    if (block.length === 0) return;
    rest = rest.length === 0 ? block : Buffer.concat([rest, block]);
    let begin = 0;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, begin)) {
      const record = decodeRecord(rest.subarray(begin, end));
      begin = end + 1;
      const next = { segment: start.segment, offset: offset + begin };
      if (record !== undefined) yield { record, next };
    }
    offset += begin;
    rest = rest.subarray(begin);
  }
}

/** Records of one segment from its last to its first, each with the offset at which it begins. */
export async function* recordsBackwards(
  files: LogFiles,
  path: string,
  bytes: number,
): AsyncGenerator<{ readonly record: LogRecord; readonly offset: number }> {
  let begin = bytes;
  let rest: Buffer = Buffer.alloc(0);
  while (begin > 0) {
    const length = Math.min(BLOCK_BYTES, begin);
    begin -= length;
    rest = Buffer.concat([await files.read(path, begin, length), rest]);
    // The first line of what is held may have begun earlier, unless the segment begins here.
    const first = begin === 0 ? 0 : rest.indexOf(NEWLINE) + 1;
    if (begin > 0 && first === 0) continue;
    const lines = linesWithOffsets(rest.subarray(first), begin + first);
    for (const { line, offset } of lines.reverse()) {
      const record = decodeRecord(line);
      if (record !== undefined) yield { record, offset };
    }
    rest = rest.subarray(0, first);
  }
}

/** Bytes up to the end of the last whole record: what is behind was torn. */
export async function soundLength(files: LogFiles, path: string, bytes: number): Promise<number> {
  for await (const { record, offset } of recordsBackwards(files, path, bytes)) {
    const line = await files.read(path, offset, bytes - offset);
    const end = line.indexOf(NEWLINE);
    if (end >= 0 && record !== undefined) return offset + end + 1;
  }
  return 0;
}

function linesWithOffsets(
  bytes: Buffer,
  start: number,
): { readonly line: Buffer; readonly offset: number }[] {
  const lines: { line: Buffer; offset: number }[] = [];
  let begin = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, begin)) {
    lines.push({ line: bytes.subarray(begin, end), offset: start + begin });
    begin = end + 1;
  }
  return lines;
}

/**
 * One stored line of output: `2026-01-02T03:04:05.000000006Z 1o the text`.
 *
 * Stamp, attempt and kind, a space, the bytes as written, a line break: plain text that `grep` and `less`
 * read. Kinds: `o` and `e` are whole lines of stdout and stderr, `O` and `E` pieces whose line goes on in the
 * next record of the stream, `n` a note of the agent. Bytes are kept exactly (a terminal's carriage returns,
 * what is no UTF-8), since positions are counted in them; they are made readable on the way out.
 */

/** What a record holds. */
export interface LogRecord {
  /** 30 characters, see `LogChunk.stamp`. */
  readonly stamp: string;
  readonly attempt: number;
  readonly stream: "stdout" | "stderr" | "note";
  /** The line goes on in the stream's next record. */
  readonly continues: boolean;
  readonly bytes: Uint8Array;
}

export const STAMP_LENGTH = 30;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const LETTERS = {
  stdout: ["o", "O"],
  stderr: ["e", "E"],
  note: ["n", "n"],
} as const satisfies Record<LogRecord["stream"], readonly [string, string]>;
const KINDS: ReadonlyMap<string, Pick<LogRecord, "stream" | "continues">> = new Map([
  ["o", { stream: "stdout", continues: false }],
  ["O", { stream: "stdout", continues: true }],
  ["e", { stream: "stderr", continues: false }],
  ["E", { stream: "stderr", continues: true }],
  ["n", { stream: "note", continues: false }],
]);
/** Attempt and kind are short; a head that is longer is no record's. */
const HEAD_LENGTH_MAX = STAMP_LENGTH + 16;
const LINE_BREAK = Buffer.from("\n");

/** `record.bytes` holds no line break. */
export function encodeRecord(record: LogRecord): Buffer {
  const letter = LETTERS[record.stream][record.continues ? 1 : 0];
  const head = Buffer.from(`${record.stamp} ${record.attempt}${letter} `);
  return Buffer.concat([head, record.bytes, LINE_BREAK]);
}

/** The record of a line without its line break; `undefined` for anything else. */
export function decodeRecord(line: Buffer): LogRecord | undefined {
  const end = line.indexOf(32, STAMP_LENGTH + 1);
  if (end < 0 || end > HEAD_LENGTH_MAX) return undefined;
  const head = line.toString("latin1", 0, end);
  const stamp = head.slice(0, STAMP_LENGTH);
  const kind = KINDS.get(head.slice(-1));
  const attempt = Number(head.slice(STAMP_LENGTH + 1, -1));
  const fits = STAMP.test(stamp) && kind !== undefined && Number.isInteger(attempt) && attempt > 0;
  return fits ? { stamp, attempt, ...kind, bytes: line.subarray(end + 1) } : undefined;
}

/** The text for people: without the carriage return of a terminal, what is no UTF-8 replaced. */
export function textOfRecord(record: LogRecord): string {
  const text = Buffer.from(record.bytes).toString("utf8");
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

/** Wall time as a stamp: text order is time order. */
export function stampOf(timeMs: number): string {
  return `${new Date(Math.max(0, timeMs)).toISOString().slice(0, -1)}000000Z`;
}

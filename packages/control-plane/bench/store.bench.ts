/**
 * Durable acknowledged writes a second of the store with 1, 100 and 1,000 writers, beside the raw parts it
 * is made of: a transaction of its own for each write, and group commit in a worker with nothing around.
 *
 * Rounds are interleaved, so that a machine that is busy for a while is so for all three. Every cell ends
 * with opening the file again and checking that each acknowledged write is there.
 *
 * `node packages/control-plane/bench/store.bench.ts [--rounds 3] [--seconds 2] [--json]`
 */

import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { assert } from "@berth/base";
import { SUBJECTS, type Subject } from "./store-subjects.ts";

const WRITERS = [1, 100, 1_000] as const;
const RAW_GROUP = "raw group commit, worker";
const VALUE_BYTES = 1_000;
/** Keys of each writer: as a task's status, the same ones are written again and again. */
const KEYS_PER_WRITER = 50;

interface Cell {
  readonly subject: string;
  readonly writers: number;
  readonly round: number;
  readonly writesPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  readonly loopDelayMsP99: number;
  /** Processor time of all threads: says more than the rate when others use the machine. */
  readonly cpuMicrosPerWrite: number;
  readonly writes: number;
}

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});

const cells: Cell[] = [];
const fdatasyncMs = probeDisk();
for (let round = 1; round <= Number(flags.rounds); round++) {
  for (const writers of WRITERS) {
    for (const subject of Object.keys(SUBJECTS)) cells.push(await measure(subject, writers, round));
  }
}
report();

async function measure(name: string, writers: number, round: number): Promise<Cell> {
  const folder = await mkdtemp(join(tmpdir(), "berth-bench-"));
  try {
    const open = SUBJECTS[name];
    assert(open !== undefined, "a subject of the table");
    const subject = await open(join(folder, "bench.db"));
    const last = new Map<string, string>();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const cpuBefore = process.cpuUsage();
    const start = performance.now();
    const latenciesMs = await write(subject, writers, start + Number(flags.seconds) * 1_000, last);
    const seconds = (performance.now() - start) / 1_000;
    delay.disable();
    const cpu = process.cpuUsage(cpuBefore);
    await subject.close();
    await verify(subject, last, latenciesMs.length);
    const sorted = Float64Array.from(latenciesMs).sort();
    return {
      subject: name,
      writers,
      round,
      writesPerSecond: latenciesMs.length / seconds,
      ackMsP50: percentile(sorted, 0.5),
      ackMsP99: percentile(sorted, 0.99),
      loopDelayMsP99: delay.percentile(99) / 1e6,
      cpuMicrosPerWrite: (cpu.user + cpu.system) / latenciesMs.length,
      writes: latenciesMs.length,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each writer waits for its acknowledgement before its next write. Fills `last` per key. */
async function write(
  subject: Subject,
  writers: number,
  end: number,
  last: Map<string, string>,
): Promise<number[]> {
  const latenciesMs: number[] = [];
  const filler = "x".repeat(VALUE_BYTES - 20);
  const run = async (_: unknown, writer: number) => {
    for (let index = 0; ; index++) {
      const begun = performance.now();
      if (begun >= end) return;
      const key = `k/${writer}/${index % KEYS_PER_WRITER}`;
      const value = JSON.stringify({ index, filler });
      await subject.write(key, value);
      latenciesMs.push(performance.now() - begun);
      last.set(key, value);
    }
  };
  await Promise.all(Array.from({ length: writers }, run));
  return latenciesMs;
}

/** Every key holds what was acknowledged last, and was written as often as was acknowledged. */
async function verify(
  subject: Subject,
  last: ReadonlyMap<string, string>,
  acknowledged: number,
): Promise<void> {
  const stored = await subject.stored();
  let writes = 0;
  for (const { version } of stored.values()) writes += version;
  assert(writes === acknowledged, `${acknowledged} acknowledged, ${writes} in the database`);
  for (const [key, value] of last) assert(stored.get(key)?.value === value, `${key} is stored`);
}

/** What the disk takes for making 4 KiB durable: without it the figures mean nothing. */
function probeDisk(): { readonly p50: number; readonly p99: number } {
  const path = join(tmpdir(), `berth-bench-${process.pid}`);
  const file = openSync(path, "w");
  const page = Buffer.alloc(4_096);
  const times = Float64Array.from({ length: 200 }, () => {
    const start = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    return performance.now() - start;
  }).sort();
  closeSync(file);
  void rm(path);
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function median(of: readonly number[]): number {
  return percentile(Float64Array.from(of).sort(), 0.5);
}

function report(): void {
  const rows = WRITERS.flatMap((writers) =>
    Object.keys(SUBJECTS).map((subject) => summary(subject, writers)),
  );
  if (flags.json) {
    console.log(JSON.stringify({ bench: "store", fdatasyncMs, rows, cells }));
    return;
  }
  for (const cell of cells) console.log(line(`round ${cell.round}`, cell));
  console.log(
    `\nmedians; fdatasync ${fdatasyncMs.p50.toFixed(2)}/${fdatasyncMs.p99.toFixed(2)} ms`,
  );
  for (const row of rows) {
    console.log(`${line("median", row)}  ${row.ratioToRawGroup.toFixed(2)} of raw group commit`);
  }
}

type Figure = keyof Pick<
  Cell,
  "writesPerSecond" | "ackMsP50" | "ackMsP99" | "loopDelayMsP99" | "cpuMicrosPerWrite"
>;

function summary(subject: string, writers: number) {
  const mine = cells.filter((cell) => cell.subject === subject && cell.writers === writers);
  const figure = (name: Figure) => median(mine.map((cell) => cell[name]));
  return {
    subject,
    writers,
    writesPerSecond: figure("writesPerSecond"),
    ackMsP50: figure("ackMsP50"),
    ackMsP99: figure("ackMsP99"),
    loopDelayMsP99: figure("loopDelayMsP99"),
    cpuMicrosPerWrite: figure("cpuMicrosPerWrite"),
    ratioToRawGroup: median(mine.map(ratioToRawGroup)),
  };
}

/** To the raw part in the same round. */
function ratioToRawGroup(cell: Cell): number {
  const raw = cells.find(
    ({ subject, writers, round }) =>
      subject === RAW_GROUP && writers === cell.writers && round === cell.round,
  );
  return cell.writesPerSecond / (raw?.writesPerSecond ?? Number.NaN);
}

function line(head: string, cell: Omit<Cell, "round" | "writes">): string {
  const ack = `${cell.ackMsP50.toFixed(2)}/${cell.ackMsP99.toFixed(2)}`;
  return [
    head.padEnd(8),
    cell.subject.padEnd(29),
    `${cell.writers}`.padStart(5),
    `${Math.round(cell.writesPerSecond)} writes/s`.padStart(15),
    `ack p50/p99 ${ack} ms`.padEnd(27),
    `loop delay p99 ${cell.loopDelayMsP99.toFixed(1)} ms`.padEnd(24),
    `cpu ${cell.cpuMicrosPerWrite.toFixed(0)} us`,
  ].join("  ");
}

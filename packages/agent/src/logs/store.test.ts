import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ManualClock, silentLogger } from "@berth/base";
import { DiskLogFiles, type LogFiles, MemoryLogFiles } from "./files.ts";
import { type LogKey, parseSegmentPath, segmentPath } from "./key.ts";
import { decodeRecord, encodeRecord, stampOf } from "./record.ts";
import { expiredLogs } from "./retention.ts";
import { LogStore } from "./store.ts";

const KEY: LogKey = {
  project: "default",
  environment: "main",
  stack: "shop",
  service: "my.web_1",
  slot: 12,
  task: "abc123",
  release: 4,
};
const LIMITS = { maxBytes: 10_000, maxFiles: 3 };
const START = Date.UTC(2026, 0, 1);

function line(text: string, at = START, attempt = 1) {
  return {
    stamp: stampOf(at),
    attempt,
    stream: "stdout" as const,
    continues: false,
    bytes: Buffer.from(text),
  };
}

function openStore(files: LogFiles, clock = new ManualClock(START)) {
  return new LogStore({ files, clock, log: silentLogger, node: "n1" });
}

async function textsOf(store: LogStore): Promise<string[]> {
  const texts: string[] = [];
  const query = { project: "default", environment: "main", stack: "shop", follow: false };
  for await (const { text } of store.read(query, new AbortController().signal)) texts.push(text);
  return texts;
}

describe("log records", () => {
  it("are lines that people can read", () => {
    const text = encodeRecord({ ...line("hello", START, 7), stream: "stderr" }).toString();
    assert.equal(text, "2026-01-01T00:00:00.000000000Z 7e hello\n");
  });

  it("come back as they were, whatever the bytes", () => {
    for (const bytes of [Buffer.from(""), Buffer.from(" a  b\r"), Buffer.from([0xff, 0, 0x80])]) {
      const record = { ...line("", START, 3), bytes, continues: true };
      assert.deepEqual(decodeRecord(encodeRecord(record).subarray(0, -1)), record);
    }
  });

  it("are told from torn lines and foreign text", () => {
    for (const text of ["", "hello", "2026-01-01T00:00:00.000000000Z", `${"\0".repeat(50)}`]) {
      assert.equal(decodeRecord(Buffer.from(text)), undefined);
    }
  });
});

describe("log paths", () => {
  it("say everything about their task", () => {
    const path = segmentPath(KEY, 7);
    assert.equal(path, "default/main/shop/my.web_1/12.abc123.r4/000007.log");
    assert.deepEqual(parseSegmentPath(path), { key: KEY, segment: 7 });
    assert.equal(parseSegmentPath("default/main/notes.txt"), undefined);
  });
});

describe("log store", () => {
  it("rotates by size and keeps so many segments", async () => {
    const files = new MemoryLogFiles();
    const store = openStore(files);
    const log = store.acquire(KEY);
    const count = 1_000;
    for (let index = 0; index < count; index++) await log.append(line(`line ${index}`), LIMITS);
    await log.flushed();
    const sizes = (await files.list()).map(({ bytes }) => bytes);
    assert.equal(sizes.length, LIMITS.maxFiles);
    assert.ok(sizes.every((bytes) => bytes <= LIMITS.maxBytes));
    assert.equal((await textsOf(store)).at(-1), `line ${count - 1}`);
    assert.equal(
      log.bytes,
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    );
  });

  it("stores a line that is longer than a segment", async () => {
    const store = openStore(new MemoryLogFiles());
    const long = "x".repeat(LIMITS.maxBytes * 2);
    const log = store.acquire(KEY);
    for (const text of ["before", long, "after"]) await log.append(line(text), LIMITS);
    await log.flushed();
    assert.deepEqual(await textsOf(store), ["before", long, "after"]);
  });

  it("finds on disk what an earlier life stored, without its torn last line", async () => {
    const directory = await mkdtemp(join(tmpdir(), "berth-logs-"));
    try {
      const first = openStore(new DiskLogFiles(directory));
      await first.open();
      const log = first.acquire(KEY);
      await log.append(line("whole"), LIMITS);
      await log.append(line("torn"), LIMITS);
      await first.release(KEY);
      const files = new DiskLogFiles(directory);
      const [file] = await files.list();
      assert.ok(file);
      await files.truncate(file.path, file.bytes - 3);
      const second = openStore(files);
      await second.open();
      assert.deepEqual(second.keys(), [KEY]);
      await second.acquire(KEY).append(line("next"), LIMITS);
      await second.release(KEY);
      assert.deepEqual(await textsOf(second), ["whole", "next"]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("gives the last lines of one attempt", async () => {
    const store = openStore(new MemoryLogFiles());
    const log = store.acquire(KEY);
    for (const attempt of [1, 2]) {
      for (let index = 0; index < 60; index++) {
        await log.append(line(`${attempt}/${index}`, START, attempt), LIMITS);
      }
    }
    const tail = await store.tail(KEY.task, 1);
    assert.deepEqual([tail.length, tail[0], tail.at(-1)], [50, "1/10", "1/59"]);
    assert.deepEqual(await store.tail(KEY.task, 2, 2), ["2/58", "2/59"]);
    assert.deepEqual(await store.tail(KEY.task, 3), []);
    assert.deepEqual(await store.tail("nobody", 1), []);
  });

  it("follows what is written, and tasks that begin later", async () => {
    const store = openStore(new MemoryLogFiles());
    const query = { project: "default", environment: "main", stack: "shop", follow: true, tail: 1 };
    await store.acquire(KEY).append(line("old"), LIMITS);
    await store.acquire(KEY).append(line("last"), LIMITS);
    await store.acquire(KEY).flushed();
    const abort = new AbortController();
    const reading = store.read(query, abort.signal);
    const next = async () => (await reading.next()).value?.text;
    assert.equal(await next(), "last");
    const waiting = next();
    await store.acquire(KEY).append(line("new"), LIMITS);
    assert.equal(await waiting, "new");
    const later = next();
    await store.acquire({ ...KEY, task: "later1", slot: 2 }).append(line("from slot 2"), LIMITS);
    assert.equal(await later, "from slot 2");
    const end = reading.next();
    abort.abort();
    assert.equal((await end).done, true);
  });

  it("gives back what could not be written: the reader of the engine begins again", async () => {
    const files = new MemoryLogFiles();
    const store = openStore(files);
    const log = store.acquire(KEY);
    await log.append(line("stored"), LIMITS);
    await log.flushed();
    const append = files.append.bind(files);
    files.append = async (path, bytes) => {
      await append(path, bytes.subarray(0, 5));
      throw new Error("no space left on device");
    };
    log.append(line("lost"), LIMITS);
    await assert.rejects(log.flushed(), /no space left/);
    files.append = append;
    const position = await log.position(1);
    assert.deepEqual(position, { stdout: { stamp: stampOf(START), bytes: "stored\n".length } });
    await log.append(line("again"), LIMITS);
    await log.flushed();
    assert.deepEqual(await textsOf(store), ["stored", "again"]);
  });

  it("removes old logs of ended tasks, never those in use", async () => {
    const clock = new ManualClock(START);
    const store = openStore(new MemoryLogFiles(), clock);
    const ended = { ...KEY, task: "ended1" };
    for (const key of [KEY, ended]) await store.acquire(key).append(line("x"), LIMITS);
    await store.release(ended);
    assert.deepEqual(await store.collect(), []);
    clock.advance(8 * 24 * 60 * 60 * 1_000);
    assert.deepEqual(await store.collect(), ["ended1"]);
    assert.deepEqual(store.keys(), [KEY]);
  });
});

describe("log retention", () => {
  const policy = { totalBytesMax: 100, retainMs: 1_000 };
  const stored = (task: string, bytes: number, lastAt: number, active = false) => ({
    task,
    bytes,
    lastAt,
    active,
  });
  const cases = [
    { name: "keeps what is young and small", logs: [stored("a", 50, 900)], gone: [] },
    { name: "removes by age", logs: [stored("a", 1, 0), stored("b", 1, 900)], gone: ["a"] },
    {
      name: "removes by size, the oldest first",
      logs: [stored("b", 60, 950), stored("a", 60, 900), stored("c", 30, 990)],
      gone: ["a"],
    },
    {
      name: "never removes what is written to",
      logs: [stored("a", 500, 0, true), stored("b", 1, 1_200)],
      gone: ["b"],
    },
  ];
  for (const { name, logs, gone } of cases) {
    it(name, () => assert.deepEqual(expiredLogs(logs, policy, 1_500), gone));
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import fc from "fast-check";
import { flowingClock } from "../runtime/flowing-clock.ts";
import type { ContainerState, LogChunk } from "../runtime/port.ts";
import { LogCapture, type LogTarget } from "./capture.ts";
import { MemoryLogFiles } from "./files.ts";
import { stampOf } from "./record.ts";
import { LogStore } from "./store.ts";

const KEY = {
  project: "default",
  environment: "main",
  stack: "shop",
  service: "web",
  slot: 1,
  task: "abc123",
  release: 4,
};
const TARGET: LogTarget = {
  containerId: "c1",
  key: KEY,
  attempt: 2,
  limits: { maxBytes: 1_000_000, maxFiles: 3 },
};
const STATE: ContainerState = {
  id: "c1",
  name: "c1",
  labels: {},
  imageId: "",
  phase: "running",
  oomKilled: false,
};

/** One write of a process, and what happens to the reader after it. */
const Write = fc.record({
  stream: fc.constantFrom("stdout" as const, "stderr" as const),
  /** 0: the stamp of the write before it, as the pieces of a long line have. */
  laterMs: fc.constantFrom(0, 0, 1, 7, 3_000),
  text: fc.oneof(
    fc.constantFrom("a line\n", "\n", "a piece, ", "more of it\n", "Plätze 泊位\n", "cr\r\n"),
    fc.string({ maxLength: 40 }).map((text) => `${text.replaceAll("\n", " ")}\n`),
  ),
});

/** How a life of the agent ends: after so many chunks, and with so many bytes of the file lost. */
const Life = fc.record({
  chunks: fc.nat({ max: 12 }),
  end: fc.constantFrom("break" as const, "quiet" as const, "killed" as const),
  torn: fc.nat({ max: 60 }),
});

type WriteCase = { stream: LogChunk["stream"]; laterMs: number; text: string };

/** The engine stamps the two streams apart: one may be behind the other in what is stored next. */
function chunksOf(writes: readonly WriteCase[], stderrLagMs: number) {
  let now = Date.UTC(2026, 0, 1);
  return writes.map(({ stream, laterMs, text }): LogChunk => {
    now += laterMs;
    const at = stream === "stderr" ? now - stderrLagMs : now;
    return { stream, at, stamp: stampOf(at), bytes: Buffer.from(text) };
  });
}

function textOf(chunks: Iterable<{ stream: string; bytes: Uint8Array }>, stream: string): string {
  const parts = [...chunks].filter((chunk) => chunk.stream === stream).map(({ bytes }) => bytes);
  return Buffer.concat(parts).toString();
}

/** An engine that serves `chunks` and breaks off as told, once; then to the end. */
class Engine {
  readonly chunks: readonly LogChunk[];
  life: { chunks: number; end: "break" | "quiet" | "killed" } | undefined;
  killed: () => void = () => {};

  constructor(chunks: readonly LogChunk[]) {
    this.chunks = chunks;
  }

  async *logs(_id: string, since: string | undefined): AsyncGenerator<LogChunk> {
    const life = this.life;
    this.life = undefined;
    let left = life?.chunks ?? Number.POSITIVE_INFINITY;
    for (const chunk of this.chunks) {
      if (since !== undefined && chunk.stamp < since) continue;
      if (left-- === 0) {
        if (life?.end === "break") throw new ProtocolError("unavailable", "the engine has gone");
        if (life?.end === "killed") {
          this.killed();
          await new Promise(() => {});
        }
        return;
      }
      yield chunk;
    }
    this.complete = true;
  }

  complete = false;

  async inspectContainer(): Promise<ContainerState> {
    return { ...STATE, phase: this.complete ? "exited" : "running" };
  }
}

async function storedText(files: MemoryLogFiles, stream: string): Promise<string> {
  const store = new LogStore({ files, clock: flowingStopped(), log: silentLogger, node: "n1" });
  await store.open();
  const parts: Uint8Array[] = [];
  for await (const { record } of store.acquire(KEY).records()) {
    if (record.stream !== stream) continue;
    parts.push(record.bytes, Buffer.from(record.continues ? "" : "\n"));
  }
  return Buffer.concat(parts).toString();
}

function flowingStopped() {
  const { clock, stop } = flowingClock();
  stop();
  return clock;
}

describe("log capture", () => {
  it("stores every byte once, whatever breaks and dies on the way", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(Write, { maxLength: 40 }),
        fc.array(Life, { maxLength: 5 }),
        fc.constantFrom(0, 1_500),
        async (writes, lives, stderrLagMs) => {
          const files = new MemoryLogFiles();
          const engine = new Engine(chunksOf(writes, stderrLagMs));
          const { clock, stop } = flowingClock();
          try {
            for (const life of [...lives, undefined]) {
              engine.complete = false;
              engine.life = life;
              const store = new LogStore({ files, clock, log: silentLogger, node: "n1" });
              await store.open();
              const capture = new LogCapture({ runtime: engine, store, clock, log: silentLogger });
              const killed = new Promise<void>((resolve) => {
                engine.killed = resolve;
              });
              capture.follow(TARGET);
              await Promise.race([capture.drained("c1"), killed]);
              const [file] = await files.list();
              if (life?.end === "killed" && file !== undefined) files.tear(file.path, life.torn);
            }
          } finally {
            stop();
          }
          for (const stream of ["stdout", "stderr"]) {
            assert.equal(await storedText(files, stream), textOf(engine.chunks, stream));
          }
        },
      ),
      { numRuns: 300, seed: 20_261_120 },
    );
  });
});

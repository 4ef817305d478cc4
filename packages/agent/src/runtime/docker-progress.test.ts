import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock } from "@berth/base";
import { paddedBase64Url } from "./docker-images.ts";
import { followProgress } from "./docker-progress.ts";
import type { ImageProgress } from "./port.ts";

const CALL = { method: "POST", path: "/x", context: "do it" } as const;

/** Plays `lines`, `everyMs` apart. */
async function play(lines: readonly object[], everyMs = 0) {
  const clock = new ManualClock();
  const seen: ImageProgress[] = [];
  const client = {
    open: async () =>
      (async function* () {
        for (const line of lines) {
          clock.advance(everyMs);
          yield Buffer.from(`${JSON.stringify(line)}\r\n`);
        }
      })(),
  };
  const onProgress = (progress: ImageProgress) => seen.push(progress);
  const end = await followProgress(client, CALL, { clock, onProgress, signal: undefined });
  return { end, seen };
}

function downloading(id: string, current: number, total: number) {
  return { id, status: "Downloading", progressDetail: { current, total } };
}

describe("the progress of a pull", () => {
  it("is summed over layers", async () => {
    const { seen } = await play(
      [
        { status: "Pulling from app", id: "1" },
        downloading("a", 10, 100),
        downloading("b", 5, 50),
        { id: "b", status: "Download complete" },
        { id: "a", status: "Pull complete" },
      ],
      1_000,
    );
    assert.deepEqual(seen, [
      { doneBytes: 10, totalBytes: 100 },
      { doneBytes: 15, totalBytes: 150 },
      { doneBytes: 60, totalBytes: 150 },
      { doneBytes: 150, totalBytes: 150 },
      { doneBytes: 150, totalBytes: 150 },
    ]);
  });

  it("is told ten times a second at most, and at the end", async () => {
    const lines = Array.from({ length: 101 }, (_, index) => downloading("a", index, 100));
    const { seen } = await play(lines, 10);
    assert.ok(seen.length <= 12, `${seen.length} reports`);
    assert.deepEqual(seen.at(-1), { doneBytes: 100, totalBytes: 100 });
  });
});

describe("the lines of a build", () => {
  it("give its steps, its result and what went wrong", async () => {
    const good = await play([
      { stream: "Step 1/1 : FROM scratch\n" },
      { aux: { ID: "sha256:1" } },
      { stream: "Successfully built 1\n" },
    ]);
    assert.equal(good.end.imageId, "sha256:1");
    assert.deepEqual(
      good.seen.map(({ line }) => line),
      ["Step 1/1 : FROM scratch", "Successfully built 1"],
    );
    const bad = await play([
      { stream: "Step 1/2 : FROM scratch\n" },
      { stream: "Step 2/2 : RUN make\n" },
      { stream: "cc: not found\n" },
      { errorDetail: { message: "returned a non-zero code: 127" }, error: "x" },
    ]);
    assert.deepEqual(bad.end, {
      failure: "returned a non-zero code: 127",
      step: "2/2 : RUN make",
      lastLines: ["Step 1/2 : FROM scratch", "Step 2/2 : RUN make", "cc: not found"],
    });
  });
});

describe("credentials for the engine", () => {
  it("are padded, for it drops them otherwise", () => {
    for (const text of ["a", "ab", "abc", "a>b?c~"]) {
      const encoded = paddedBase64Url(text);
      assert.equal(encoded.length % 4, 0);
      assert.equal(Buffer.from(encoded, "base64url").toString(), text);
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { unixTime } from "./docker-logs.ts";
import { framesOf, jsonLinesOf } from "./docker-stream.ts";
import { compareVersions, negotiate } from "./docker-version.ts";

function frame(stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** `bytes` in pieces of the given sizes, over and over. */
async function* inPieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(offset, offset + size);
    offset += size;
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const Sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 });

describe("the engine's streams", () => {
  it("give the frames that were sent, however they are cut", async () => {
    const Frame = fc.record({
      stream: fc.constantFrom(1, 2),
      payload: fc.uint8Array({ maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(Frame, { maxLength: 10 }), Sizes, async (frames, sizes) => {
        const sent = Buffer.concat(frames.map(({ stream, payload }) => frame(stream, payload)));
        const got = await all(framesOf(inPieces(sent, sizes)));
        assert.deepEqual(
          got.map(({ stream, bytes }) => [stream, Buffer.from(bytes).toString("hex")]),
          frames.map(({ stream, payload }) => [
            stream === 2 ? "stderr" : "stdout",
            Buffer.from(payload).toString("hex"),
          ]),
        );
      }),
      { numRuns: 200, seed: 20_261_120 },
    );
  });

  it("give values of lines, without what is none", async () => {
    const text = '{"a":1}\r\n\nnonsense\n{"b":"泊位"}';
    const got = await all(jsonLinesOf(inPieces(Buffer.from(text), [3, 1])));
    assert.deepEqual(got, [{ a: 1 }, { b: "泊位" }]);
  });

  it("are refused when they are no frames", async () => {
    const header = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    await assert.rejects(all(framesOf(inPieces(header, [8]))), /a frame of 4294967295 bytes/);
  });
});

describe("positions in a log", () => {
  it("are seconds and nanoseconds for the engine", () => {
    assert.equal(unixTime("2026-01-01T00:00:00.000000006Z"), "1767225600.000000006");
  });
});

describe("the API version", () => {
  const cases = [
    { name: "is an old engine's own", max: "1.41", min: "1.12", version: "1.41" },
    { name: "is ours with a newer engine", max: "1.60", min: "1.44", version: "1.51" },
    { name: "is Podman's", max: "1.41", min: "1.24", version: "1.41" },
  ];
  for (const { name, max, min, version } of cases) {
    it(name, () => assert.equal(negotiate({ max, min }), version));
  }

  it("is refused when there is none in common", () => {
    for (const server of [
      { max: "1.39", min: "1.12" },
      { max: "1.99", min: "1.90" },
    ]) {
      assert.throws(() => negotiate(server), /is supported/);
    }
  });

  it("is compared by numbers", () => {
    assert.ok(compareVersions("1.9", "1.41") < 0 && compareVersions("2.0", "1.99") > 0);
  });
});

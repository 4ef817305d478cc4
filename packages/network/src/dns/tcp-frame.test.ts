/** Messages over a stream come out as they went in, however the stream was cut. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { frameMessage, MessageReader } from "./tcp-frame.ts";

test("messages come out whole and in order, wherever the stream is cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 });
  fc.assert(
    fc.property(messages, sizes, (sent, cuts) => {
      const stream = Buffer.concat(sent.map((bytes) => frameMessage(Buffer.from(bytes))));
      const reader = new MessageReader();
      const got: Buffer[] = [];
      for (let at = 0, cut = 0; at < stream.length; cut++) {
        const size = cuts[cut % cuts.length] ?? 1;
        got.push(...reader.push(stream.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(
        got.map((bytes) => [...bytes]),
        sent.map((bytes) => [...bytes]),
      );
      assert.equal(reader.partial, false);
    }),
    { numRuns: 500, seed: 11 },
  );
});

test("a large message that comes byte by byte is put together once", () => {
  const reader = new MessageReader();
  const stream = frameMessage(Buffer.alloc(65_535, 7));
  const got: Buffer[] = [];
  const from = performance.now();
  for (const byte of stream) got.push(...reader.push(Buffer.of(byte)));
  assert.equal(got.length, 1);
  assert.equal(got[0]?.length, 65_535);
  // Putting it together for each byte copies 2 GB: a second and more. Far below that on any machine.
  assert.ok(performance.now() - from < 1_000, `${performance.now() - from} ms`);
});

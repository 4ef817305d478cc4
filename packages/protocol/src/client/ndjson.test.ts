/** Lines of JSON out of bytes in any pieces. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProtocolError } from "../errors.ts";
import { parseLines } from "./ndjson.ts";

async function* pieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

function isCode(code: string) {
  return (error: unknown) => error instanceof ProtocolError && error.code === code;
}

test("values survive any cutting of their bytes, also within a character", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (values, sizes) => {
        const text = values.map((value) => `${JSON.stringify(value)}\n`).join("");
        const seen = await Array.fromAsync(parseLines(pieces(Buffer.from(text), sizes)));
        assert.deepEqual(seen, JSON.parse(JSON.stringify(values)));
      },
    ),
    { seed: 4, numRuns: 200 },
  );
});

test("empty lines are skipped, a cut last line is an error", async () => {
  const good = await Array.fromAsync(parseLines(pieces(Buffer.from("\n1\n\n2\n"), [3])));
  assert.deepEqual(good, [1, 2]);
  const cut = Array.fromAsync(parseLines(pieces(Buffer.from('1\n{"a":'), [4])));
  await assert.rejects(cut, isCode("unavailable"));
});

test("a line over the limit and a line that is no JSON are refused", async () => {
  const long = Buffer.from(`${"1".repeat(100)}\n`);
  for (const size of [1, 7, 200]) {
    const read = Array.fromAsync(parseLines(pieces(long, [size]), 99));
    await assert.rejects(read, isCode("limit_exceeded"));
  }
  const odd = Array.fromAsync(parseLines(pieces(Buffer.from("oops\n"), [9])));
  await assert.rejects(odd, isCode("internal"));
});

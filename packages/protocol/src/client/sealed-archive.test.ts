/** A copy with its checksum behind it: whole, or known to be not. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ProtocolError } from "../errors.ts";
import { type SealedContent, sealedArchive, unsealedArchive } from "./sealed-archive.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(bytes));
}

async function opened(sealed: Uint8Array, size: number) {
  const ends: SealedContent[] = [];
  const content = await all(unsealedArchive(pieces(sealed, size), (end) => ends.push(end)));
  return { content, ends };
}

test("what was sealed comes out as it went in, in pieces of any size", async () => {
  for (const length of [0, 1, 71, 72, 73, 5_000]) {
    const content = Buffer.from("\nsha256:".repeat(1_000)).subarray(0, length);
    const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
    const sealed = await all(sealedArchive(pieces(content, 999)));
    for (const size of [1, 64, 72, 100_000]) {
      const found = await opened(sealed, size);
      assert.deepEqual(found, { content, ends: [{ bytes: length, digest }] }, `${length}/${size}`);
    }
  }
});

test("an archive that is cut anywhere, or changed anywhere, is refused", async () => {
  const sealed = await all(sealedArchive(pieces(Buffer.from("some content"), 5)));
  const refused = (error: unknown) =>
    error instanceof ProtocolError && error.code === "unavailable";
  for (let at = 0; at < sealed.length; at++) {
    await assert.rejects(opened(sealed.subarray(0, at), 7), refused, `cut at ${at}`);
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assert.rejects(opened(changed, 7), refused, `changed at ${at}`);
  }
});

/** The contract of the blobs: one suite of tests that runs for every implementation. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import type { Blobs } from "./port.ts";

/** Makes empty blobs that are cleaned up after the test. */
export type MakeBlobs = (context: TestContext) => Promise<Blobs>;

const SEED = 20_262;

/** Runs the suite for the blobs that `makeBlobs` makes. */
export function blobsContract(name: string, makeBlobs: MakeBlobs): void {
  const it = (title: string, run: (blobs: Blobs) => Promise<void>) =>
    test(title, async (context) => run(await makeBlobs(context)));
  describe(`blobs contract: ${name}`, () => {
    keepContract(it);
    refusalContract(it);
  });
}

type BlobsTest = (title: string, run: (blobs: Blobs) => Promise<void>) => void;

function keepContract(it: BlobsTest): void {
  it("what is put comes back, in whatever pieces it came", async (blobs) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 5 }),
        async (pieces) => {
          const bytes = Buffer.concat(pieces);
          const { digest, sizeBytes } = await blobs.add(inPieces(pieces));
          assert.equal(digest, digestOf(bytes));
          assert.equal(sizeBytes, bytes.byteLength);
          await blobs.put(digest, bytes);
          assert.deepEqual(await bytesOf(blobs, digest), bytes);
        },
      ),
      { seed: SEED, numRuns: 25 },
    );
  });

  it("a large blob comes back", async (blobs) => {
    const piece = Buffer.alloc(1_000_003, "0123456789");
    const { digest } = await blobs.add(inPieces([piece, piece, piece]));
    assert.equal(digest, digestOf(Buffer.concat([piece, piece, piece])));
    assert.equal((await bytesOf(blobs, digest))?.byteLength, 3 * piece.byteLength);
  });

  it("the list tells what is there, in order of digest", async (blobs) => {
    const digests: string[] = [];
    for (const text of ["c", "a", "b"]) digests.push((await blobs.add(Buffer.from(text))).digest);
    const [, gone = ""] = digests;
    assert.equal(await blobs.delete(gone), true);
    assert.equal(await blobs.delete(gone), false);
    assert.equal(await blobs.has(gone), false);
    assert.equal(await blobs.read(gone), undefined);
    const left = digests.filter((digest) => digest !== gone).sort();
    const listed = await Array.fromAsync(blobs.list());
    assert.deepEqual(
      listed.map(({ digest, sizeBytes }) => [digest, sizeBytes]),
      left.map((digest) => [digest, 1]),
    );
  });

  it("the same bytes put at once by many are there once", async (blobs) => {
    const bytes = Buffer.from("same");
    const digest = digestOf(bytes);
    await Promise.all(Array.from({ length: 20 }, () => blobs.put(digest, inPieces([bytes]))));
    assert.equal((await Array.fromAsync(blobs.list())).length, 1);
    assert.deepEqual(await bytesOf(blobs, digest), bytes);
  });
}

function refusalContract(it: BlobsTest): void {
  it("bytes of another digest are refused, also when the digest is there", async (blobs) => {
    const right = Buffer.from("right");
    const wrong = inPieces([Buffer.from("wrong")]);
    await assert.rejects(blobs.put(digestOf(right), wrong), { code: "invalid_request" });
    assert.equal(await blobs.has(digestOf(right)), false);
    await blobs.put(digestOf(right), right);
    const again = blobs.put(digestOf(right), Buffer.from("wrong"));
    await assert.rejects(again, { code: "invalid_request" });
    assert.deepEqual(await bytesOf(blobs, digestOf(right)), right);
  });

  it("more bytes than allowed are refused as soon as they come", async (blobs) => {
    let taken = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        taken++;
        yield Buffer.alloc(1_000);
      }
    }
    await assert.rejects(blobs.add(endless(), { bytesMax: 10_000 }), { code: "body_too_large" });
    assert.equal(taken, 11);
    await blobs.add(Buffer.alloc(10_000), { bytesMax: 10_000 });
    assert.equal((await Array.fromAsync(blobs.list())).length, 1);
  });

  it("a source that fails or is cancelled leaves nothing", async (blobs) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("begun");
      throw new RangeError("connection lost");
    }
    await assert.rejects(blobs.add(failing()), { message: "connection lost" });
    const ended = new AbortController();
    async function* cancelled(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("begun");
      ended.abort(new RangeError("enough"));
      yield Buffer.from("more");
    }
    await assert.rejects(blobs.add(cancelled(), { signal: ended.signal }), { message: "enough" });
    assert.deepEqual(await Array.fromAsync(blobs.list()), []);
    assert.equal(await blobs.has(digestOf(Buffer.from("begun"))), false);
  });

  it("what is no digest is refused, whatever it points to", async (blobs) => {
    const refused = { code: "invalid_request" };
    for (const digest of ["", "../../etc/passwd", `sha256:${"A".repeat(64)}`, "sha256:../../x"]) {
      await assert.rejects(blobs.has(digest), refused);
      await assert.rejects(blobs.read(digest), refused);
      await assert.rejects(blobs.delete(digest), refused);
      await assert.rejects(blobs.put(digest, Buffer.from("x")), refused);
    }
  });
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function bytesOf(blobs: Blobs, digest: string): Promise<Buffer | undefined> {
  const pieces = await blobs.read(digest);
  return pieces === undefined ? undefined : Buffer.concat(await Array.fromAsync(pieces));
}

async function* inPieces(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

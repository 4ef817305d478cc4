import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { ManualClock } from "@berth/base";
import { blobsContract } from "./contract.ts";
import { openDiskBlobs } from "./disk.ts";
import { MemoryBlobs } from "./memory.ts";

async function folder(context: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "berth-blobs-"));
  context.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

blobsContract("memory", async () => new MemoryBlobs(new ManualClock()));
blobsContract("disk", async (context) => openDiskBlobs(await folder(context)));

test("a refused upload leaves no file, and what a crash left is removed when opened", async (context) => {
  const root = await folder(context);
  const blobs = await openDiskBlobs(root);
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(100_000);
    const halfWritten = await readdir(join(root, "partial"));
    assert.equal(halfWritten.length, 1);
    throw new RangeError("connection lost");
  }
  await assert.rejects(blobs.add(failing()), { message: "connection lost" });
  assert.deepEqual(await readdir(join(root, "partial")), []);
  await writeFile(join(root, "partial", "left-by-a-crash"), "x");
  await openDiskBlobs(root);
  assert.deepEqual(await readdir(join(root, "partial")), []);
});

test("a blob that is damaged on disk is not given out as whole", async (context) => {
  const root = await folder(context);
  const blobs = await openDiskBlobs(root);
  const { digest } = await blobs.add(Buffer.from("precious"));
  const name = digest.slice("sha256:".length);
  const path = join(root, "sha256", name.slice(0, 2), name);
  assert.equal(await readFile(path, "utf8"), "precious");
  await writeFile(path, "preciouS");
  const bytes = await blobs.read(digest);
  assert(bytes !== undefined);
  await assert.rejects(Array.fromAsync(bytes), { code: "internal" });
});

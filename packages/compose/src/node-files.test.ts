import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeFiles } from "./node-files.ts";

test("files are UTF-8, or UTF-16 that says so; where they are neither, half a pair stands", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-files-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "compose.yaml");
  const read = (bytes: Buffer) => {
    writeFileSync(path, bytes);
    return nodeFiles.readText(path);
  };
  const little = Buffer.from("\uFEFFé😀", "utf16le");
  assert.equal(read(Buffer.from("é😀")), "é😀");
  assert.equal(read(little), "é😀");
  assert.equal(read(Buffer.from(little).swap16()), "é😀");
  assert.equal(read(Buffer.from([0x61, 0xe9, 0x62, 0xff])), "a\uD800b\uFFFD");
  const written = Buffer.concat([Buffer.from("é\uFFFD😀"), Buffer.from([0xff, 0x62])]);
  assert.equal(read(written), "é\uFFFD😀\uD800b");
  assert.equal(read(Buffer.from("é\uFFFD")), "é\uFFFD");
});

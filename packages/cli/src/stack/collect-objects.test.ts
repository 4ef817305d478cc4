/** Files of a folder as content: digests, archives, limits, links. */

import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import type { ObjectWish } from "@berth/compose/stack/file-objects";
import { extract } from "tar-stream";
import { isProtocolError } from "../testing/protocol-error.ts";
import { collectObjects, digestOf } from "./collect-objects.ts";

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-objects-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function fill(folder: string, names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), `content of ${name}`);
  }
}

async function entriesOf(bytes: Uint8Array): Promise<string[]> {
  const names: string[] = [];
  const tar = extract();
  Readable.from([bytes]).pipe(tar);
  for await (const entry of tar) {
    const { name, type, linkname, uid, mtime } = entry.header;
    assert.deepEqual([uid ?? 0, mtime?.getTime()], [0, 0]);
    names.push(type === "symlink" ? `${name} -> ${linkname}` : name);
    entry.resume();
  }
  return names;
}

async function archiveOf(path: string, use: ObjectWish["use"]): Promise<string[]> {
  const { objects } = await collectObjects([{ path, use }]);
  const [object] = objects.values();
  assert.ok(object !== undefined);
  assert.equal(object.digest, digestOf(object.bytes));
  return entriesOf(object.bytes);
}

test("a file is its bytes, with its mode", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["a"]);
  chmodSync(join(folder, "a"), 0o640);
  const { found, objects } = await collectObjects([{ path: join(folder, "a"), use: "file" }]);
  const digest = digestOf(Buffer.from("content of a"));
  assert.deepEqual([...found.values()], [{ kind: "file", digest, sizeBytes: 12, mode: 0o640 }]);
  assert.deepEqual([...objects.keys()], [digest]);
});

test("equal folders have one digest, whatever their times and the order of their making", async (context) => {
  const folder = folderOf(context);
  fill(join(folder, "one"), ["a", "b/c", "b/d"]);
  fill(join(folder, "two"), ["b/d", "b/c", "a"]);
  utimesSync(join(folder, "two", "a"), 5, 5);
  const digest = async (name: string) => {
    const path = join(folder, name);
    const { found } = await collectObjects([{ path, use: "directory" }]);
    return found.get(path);
  };
  assert.deepEqual(await digest("one"), await digest("two"));
  fill(join(folder, "two"), ["e"]);
  assert.notDeepEqual(await digest("one"), await digest("two"));
});

test("a build context honours .dockerignore and keeps what the builder reads", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["Dockerfile", "src/a.ts", "src/b.log", "node_modules/x/y", "keep.log"]);
  writeFileSync(
    join(folder, ".dockerignore"),
    "node_modules\n*.log\n**/*.log\n!keep.log\nDockerfile\n",
  );
  assert.deepEqual(await archiveOf(folder, "context"), [
    ".dockerignore",
    "Dockerfile",
    "keep.log",
    "src",
    "src/a.ts",
  ]);
  assert.ok((await archiveOf(folder, "directory")).includes("node_modules/x/y"));
});

test("links inside a folder stay links", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["a"]);
  symlinkSync("/etc/passwd", join(folder, "out"));
  symlinkSync("a", join(folder, "in"));
  assert.deepEqual(await archiveOf(folder, "directory"), ["a", "in -> a", "out -> /etc/passwd"]);
});

test("a link that is named is followed beside it, and refused out of its folder", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["a"]);
  symlinkSync("a", join(folder, "in"));
  symlinkSync("/etc/passwd", join(folder, "out"));
  const inside = await collectObjects([{ path: join(folder, "in"), use: "file" }]);
  assert.deepEqual([...inside.objects.keys()], [digestOf(Buffer.from("content of a"))]);
  await assert.rejects(
    collectObjects([{ path: join(folder, "out"), use: "file" }]),
    isProtocolError("invalid_request", /is a link out of its folder, to \/etc\/passwd/),
  );
});

test("what is missing is missing; a secret never becomes an object", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["key"]);
  const { found, objects } = await collectObjects([
    { path: join(folder, "none"), use: "directory" },
    { path: join(folder, "key"), use: "secret" },
  ]);
  assert.equal(found.get(join(folder, "none"))?.kind, "missing");
  assert.equal(found.get(join(folder, "key"))?.kind, "file");
  assert.equal(objects.size, 0);
});

test("what is too large is refused by its size, unread", async (context) => {
  const folder = folderOf(context);
  fill(folder, ["big", "folder/big"]);
  truncateSync(join(folder, "big"), 2 * 1024 ** 3);
  truncateSync(join(folder, "folder/big"), 1024 ** 3);
  for (const [name, use] of [
    ["big", "file"],
    ["big", "secret"],
    ["folder", "directory"],
    ["folder", "context"],
  ] as const) {
    await assert.rejects(
      collectObjects([{ path: join(folder, name), use }]),
      isProtocolError("limit_exceeded", /at most .* can be carried this way/),
    );
  }
});

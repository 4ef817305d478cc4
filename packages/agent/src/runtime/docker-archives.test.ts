/** Archives of images without the names that they would give. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { extract, pack } from "tar-stream";
import { withoutNames } from "./docker-archives.ts";

interface Entry {
  readonly name: string;
  readonly content?: string;
  readonly linkname?: string;
}

async function archiveOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content, linkname } of entries) {
    if (linkname !== undefined) archive.entry({ name, type: "symlink", linkname });
    else if (content === undefined) archive.entry({ name, type: "directory" });
    else archive.entry({ name }, content);
  }
  archive.finalize();
  return Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Uint8Array>));
}

async function* pieces(bytes: Buffer, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function entriesOf(archive: AsyncIterable<Uint8Array>): Promise<Entry[]> {
  const reader = extract();
  void (async () => {
    for await (const chunk of archive) reader.write(chunk);
    reader.end(new Uint8Array());
  })();
  const found: Entry[] = [];
  for await (const entry of reader) {
    const { name, type, linkname } = entry.header;
    const content = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)).toString();
    if (type === "file") found.push({ name, content });
    else found.push(typeof linkname === "string" ? { name, linkname } : { name });
  }
  return found;
}

test("names are taken out, everything else comes through as it is", async () => {
  const layer = "x".repeat(200_000);
  const archive = await archiveOf([
    { name: "abc/" },
    { name: "abc/layer.tar", content: layer },
    { name: "def/layer.tar", linkname: "../abc/layer.tar" },
    { name: "abc/VERSION", content: "" },
    {
      name: "manifest.json",
      content: '[{"Config":"c.json","RepoTags":["evil:1"],"Layers":["a"]}]',
    },
    { name: "repositories", content: '{"evil":{"1":"abc"}}' },
    {
      name: "index.json",
      content: '{"schemaVersion":2,"manifests":[{"digest":"d","annotations":{"name":"evil:1"}}]}',
    },
  ]);
  assert.deepEqual(await entriesOf(withoutNames(pieces(archive))), [
    { name: "abc/" },
    { name: "abc/layer.tar", content: layer },
    { name: "def/layer.tar", linkname: "../abc/layer.tar" },
    { name: "abc/VERSION", content: "" },
    { name: "manifest.json", content: '[{"Config":"c.json","RepoTags":null,"Layers":["a"]}]' },
    { name: "index.json", content: '{"schemaVersion":2,"manifests":[{"digest":"d"}]}' },
  ]);
});

test("a source that breaks, and an archive that is none, are errors", async () => {
  const archive = await archiveOf([{ name: "a", content: "x".repeat(5_000) }]);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield archive.subarray(0, 2_000);
    throw new Error("the line was cut");
  }
  await assert.rejects(Array.fromAsync(withoutNames(broken())), /the line was cut/);
  const cut = archive.subarray(0, 2_000);
  await assert.rejects(Array.fromAsync(withoutNames(pieces(cut))));
  const odd = await archiveOf([{ name: "manifest.json", content: "no json" }]);
  await assert.rejects(Array.fromAsync(withoutNames(pieces(odd))), /manifest.json is no JSON/);
});

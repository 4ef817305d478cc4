/**
 * Images as archives at a Docker engine: out of one node's engine, into another's.
 *
 * What comes in was made by another host and is believed in nothing but its content: names are taken out
 * before the engine sees the archive (they would move tags of this node to images that nobody asked for), and
 * whatever is not the wanted image afterwards is removed. Streams; holds one entry of the description at most.
 * Design page: docs/design/images.md
 */

import { pipeline } from "node:stream/promises";
import { ProtocolError } from "@berth/protocol";
import { extract, type Header, pack } from "tar-stream";
import { type EngineClient, segment } from "./docker-client.ts";
import { textAt } from "./docker-json.ts";
import { refusal } from "./docker-refusal.ts";
import { jsonLinesOf } from "./docker-stream.ts";

/** Descriptions of an image in its archive: a list of layers, some kilobytes. */
const DESCRIPTION_BYTES_MAX = 4 * 1024 * 1024;

/** The archive of an image. Without names: it is asked for by identifier. */
export function saveImage(
  client: EngineClient,
  imageId: string,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const path = `/images/${segment(imageId)}/get`;
  // The engine gathers layers before the first byte: how long is the caller's deadline.
  const timeoutMs = Number.POSITIVE_INFINITY;
  const context = `read image ${imageId}`;
  return client.open({ method: "GET", path, context, signal, timeoutMs });
}

/** Gives the engine an archive; answers the identifiers of what it took in. */
export async function loadArchive(
  client: EngineClient,
  archive: AsyncIterable<Uint8Array>,
  context: string,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const lines = await client.open({
    method: "POST",
    path: "/images/load",
    query: { quiet: true },
    stream: withoutNames(archive),
    context,
    // The answer begins when the archive has ended.
    timeoutMs: Number.POSITIVE_INFINITY,
    signal,
  });
  const loaded: string[] = [];
  for await (const line of jsonLinesOf(lines)) {
    const words = textAt(line, "errorDetail", "message") ?? textAt(line, "error");
    if (words !== undefined) throw refusal(context, 500, words);
    const id = /Loaded image(?: ID)?: (sha256:[a-f0-9]{64})/.exec(
      textAt(line, "stream") ?? "",
    )?.[1];
    if (id !== undefined) loaded.push(id);
  }
  return loaded;
}

/** The archive without the names that it would give its images. Errors of the source are the result's. */
export async function* withoutNames(
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = extract();
  const writer = pack();
  const feeding = pipeline(archive, reader).catch((error: Error) => writer.destroy(error));
  const copying = copyEntries(reader, writer).catch((error: Error) => writer.destroy(error));
  try {
    for await (const chunk of writer) yield chunk as Uint8Array;
  } finally {
    reader.destroy();
    writer.destroy();
    await Promise.all([feeding, copying]);
  }
}

type Reader = ReturnType<typeof extract>;
type Writer = ReturnType<typeof pack>;

async function copyEntries(reader: Reader, writer: Writer): Promise<void> {
  for await (const entry of reader) {
    const { header } = entry;
    const name = header.name.replace(/^\.\//, "");
    if (name === "repositories") {
      entry.resume();
    } else if (name === "manifest.json" || name === "index.json") {
      const described = nameless(name, await textOf(entry, name));
      await put(writer, { ...header, size: Buffer.byteLength(described) }, described);
    } else if (header.type === "file" || header.type === "contiguous-file") {
      await pipeline(entry, writer.entry(header));
    } else {
      entry.resume();
      await put(writer, header);
    }
  }
  writer.finalize();
}

function put(writer: Writer, header: Header, content?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (content === undefined) writer.entry(header, done);
    else writer.entry(header, content, done);
  });
}

async function textOf(entry: AsyncIterable<unknown>, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of entry) {
    const part = chunk as Uint8Array;
    size += part.length;
    if (size > DESCRIPTION_BYTES_MAX)
      throw unreadable(`${name} is over ${DESCRIPTION_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Docker's list of images, or the index of an OCI layout, with no image named. */
function nameless(name: string, text: string): string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw unreadable(`${name} is no JSON`);
  }
  if (Array.isArray(json)) {
    return JSON.stringify(json.map((image: object) => ({ ...image, RepoTags: null })));
  }
  if (typeof json !== "object" || json === null) throw unreadable(`${name} describes no image`);
  const manifests = "manifests" in json && Array.isArray(json.manifests) ? json.manifests : [];
  const plain = manifests.map((each: object) => {
    const { annotations: _names, ...rest } = each as { annotations?: unknown };
    return rest;
  });
  return JSON.stringify({ ...json, manifests: plain });
}

function unreadable(why: string): ProtocolError {
  const message = `the archive of an image cannot be read: ${why}`;
  return new ProtocolError("image_unavailable", message, { reason: "failed" });
}

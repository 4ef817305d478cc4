/**
 * Volumes at a Docker engine, and how an empty one gets its first content.
 *
 * Seeding goes through a container that is created and never started, so that it works with every driver
 * and with engines whose disk is not ours. The container has a name made of the volume's and is removed last:
 * while it exists the seeding is not complete, and a look at the content would mislead.
 */

import { ProtocolError } from "@berth/protocol";
import { extract } from "tar-stream";
import { type EngineClient, segment, wordsOf } from "./docker-client.ts";
import { copyInto, inspectContainer, removeContainer } from "./docker-containers.ts";
import { listAt, textAt } from "./docker-json.ts";
import { refusal } from "./docker-refusal.ts";
import { jsonLinesOf } from "./docker-stream.ts";
import { LABEL_CLUSTER, type VolumeRequest } from "./port.ts";

/** An image with nothing in it, made on first use: helpers need one, and none may be to be had. */
const EMPTY_IMAGE = { repository: "berth.local/empty", tag: "1" } as const;
/** A tar archive without entries. */
const EMPTY_ARCHIVE = new Uint8Array(1_024);
const HELPER_TARGET = "/volume";
/** What helpers are for: part of their names. */
const HELPER_USES = ["seed", "read", "write"] as const;

export async function ensureVolume(
  client: EngineClient,
  request: VolumeRequest,
  signal?: AbortSignal,
): Promise<{ readonly created: boolean }> {
  const { engineName, cluster } = request;
  const context = `make volume ${engineName}`;
  const path = `/volumes/${segment(engineName)}`;
  const found = await client.answer({ method: "GET", path, context, signal });
  if (found.status === 200) {
    requireOurs(found.body, request);
    return { created: false };
  }
  if (found.status !== 404) throw refusal(context, found.status, wordsOf(found.body));
  await client.call({
    method: "POST",
    path: "/volumes/create",
    json: {
      Name: engineName,
      Driver: request.driver,
      DriverOpts: request.driverOptions,
      Labels: { ...request.labels, [LABEL_CLUSTER]: cluster },
    },
    context,
    signal,
  });
  return { created: true };
}

export async function listVolumes(
  client: EngineClient,
  cluster: string,
  signal?: AbortSignal,
): Promise<readonly { engineName: string }[]> {
  const body = await client.call({
    method: "GET",
    path: "/volumes",
    query: { filters: JSON.stringify({ label: [`${LABEL_CLUSTER}=${cluster}`] }) },
    context: "list volumes",
    signal,
  });
  return listAt(body, "Volumes").map((volume) => ({ engineName: textAt(volume, "Name") ?? "" }));
}

export async function removeVolume(
  client: EngineClient,
  engineName: string,
  signal?: AbortSignal,
): Promise<void> {
  const path = `/volumes/${segment(engineName)}`;
  const context = `remove volume ${engineName}`;
  // An agent that was killed while it read or wrote leaves a helper, which would hold the volume for ever.
  for (const use of HELPER_USES) {
    await removeContainer(client, `berth-${use}-${engineName}`, signal);
  }
  await client.call({ method: "DELETE", path, context, signal }, [404]);
}

export async function seedVolume(
  client: EngineClient,
  engineName: string,
  tar: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const context = `seed volume ${engineName}`;
  const path = `/volumes/${segment(engineName)}`;
  const volume = await client.call({ method: "GET", path, context, signal });
  const cluster = textAt(volume, "Labels", LABEL_CLUSTER) ?? "";
  const helper = `berth-seed-${engineName}`;
  const interrupted = (await inspectContainer(client, helper, signal)) !== undefined;
  if (!interrupted) await createHelper(client, { helper, engineName, cluster }, signal);
  if (interrupted || (await isEmpty(client, helper, signal))) {
    await copyInto(client, helper, HELPER_TARGET, tar, signal);
  }
  await removeContainer(client, helper, signal);
}

/** See `Runtime.readVolume`. */
export async function readVolume(
  client: EngineClient,
  engineName: string,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const helper = await freshHelper(client, "read", engineName, signal);
  const path = `/containers/${segment(helper)}/archive`;
  const context = `read volume ${engineName}`;
  const query = { path: HELPER_TARGET };
  try {
    const archive = await client.open({ method: "GET", path, query, context, signal });
    return thenRemove(client, helper, archive);
  } catch (error) {
    await removeContainer(client, helper);
    throw error;
  }
}

/** See `Runtime.writeVolume`. */
export async function writeVolume(
  client: EngineClient,
  engineName: string,
  archive: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const helper = await freshHelper(client, "write", engineName, signal);
  const path = `/containers/${segment(helper)}/archive`;
  const context = `write volume ${engineName}`;
  // The engine answers when all is written: how long is the caller's deadline.
  const timeoutMs = Number.POSITIVE_INFINITY;
  const call = { method: "PUT", path, query: { path: "/" }, context, timeoutMs } as const;
  try {
    await client.call({ ...call, stream: archive, signal });
  } finally {
    await removeContainer(client, helper);
  }
}

/** One that an earlier life left behind goes first: its stream has nobody any more. */
async function freshHelper(
  client: EngineClient,
  use: "read" | "write",
  engineName: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const context = `${use} volume ${engineName}`;
  const path = `/volumes/${segment(engineName)}`;
  const volume = await client.call({ method: "GET", path, context, signal });
  const cluster = textAt(volume, "Labels", LABEL_CLUSTER) ?? "";
  const helper = `berth-${use}-${engineName}`;
  await removeContainer(client, helper, signal);
  await createHelper(client, { helper, engineName, cluster }, signal);
  return helper;
}

async function* thenRemove(
  client: EngineClient,
  helper: string,
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* archive;
  } finally {
    await removeContainer(client, helper);
  }
}

async function createHelper(
  client: EngineClient,
  names: { readonly helper: string; readonly engineName: string; readonly cluster: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  await ensureEmptyImage(client, signal);
  await client.call({
    method: "POST",
    path: "/containers/create",
    query: { name: names.helper },
    json: {
      Image: `${EMPTY_IMAGE.repository}:${EMPTY_IMAGE.tag}`,
      Cmd: ["/never-started"],
      Labels: { "berth.helper": "volume", "berth.helper.cluster": names.cluster },
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: "none",
        Mounts: [{ Type: "volume", Source: names.engineName, Target: HELPER_TARGET }],
      },
    },
    context: `seed volume ${names.engineName}`,
    signal,
  });
}

async function ensureEmptyImage(
  client: EngineClient,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { repository, tag } = EMPTY_IMAGE;
  const context = `make image ${repository}:${tag}`;
  const path = `/images/${repository}:${tag}/json`;
  const found = await client.answer({ method: "GET", path, context, signal });
  if (found.status === 200) return;
  const lines = await client.open({
    method: "POST",
    path: "/images/create",
    query: { fromSrc: "-", repo: repository, tag },
    bytes: EMPTY_ARCHIVE,
    context,
    signal,
  });
  for await (const line of jsonLinesOf(lines)) {
    const words = textAt(line, "error");
    if (words !== undefined) throw refusal(context, 500, words);
  }
}

/** Whether the volume has nothing in it; the `lost+found` of a fresh file system does not count. */
async function isEmpty(
  client: EngineClient,
  helper: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const archive = await client.open({
    method: "GET",
    path: `/containers/${segment(helper)}/archive`,
    query: { path: HELPER_TARGET },
    context: `look into the volume of ${helper}`,
    signal,
  });
  const reader = extract();
  const feeding = feed(archive, reader);
  let empty = true;
  for await (const entry of reader) {
    const [, ...inside] = entry.header.name.split("/").filter((part) => part !== "");
    if (inside.length > 0 && inside[0] !== "lost+found") {
      empty = false;
      break;
    }
    entry.resume();
  }
  await feeding;
  return empty;
}

/** Writes until the reader has seen enough. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  reader: ReturnType<typeof extract>,
): Promise<void> {
  for await (const chunk of source) {
    if (reader.destroyed) return;
    if (reader.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      reader.once("drain", resolve);
      reader.once("close", resolve);
    });
  }
  if (!reader.destroyed) reader.end(new Uint8Array());
}

function requireOurs(volume: unknown, request: VolumeRequest): void {
  const owner = textAt(volume, "Labels", LABEL_CLUSTER);
  // Without a label it is a volume that a person made, and named as external.
  if (owner === undefined || owner === request.cluster) return;
  throw new ProtocolError(
    "foreign_cluster",
    `volume ${request.engineName} belongs to cluster ${owner}`,
    { volume: request.engineName, cluster: owner },
  );
}

/**
 * Containers at a Docker engine: one round trip for a create, one for a start, one for a stop.
 *
 * Nothing is inspected that the answer of the call already says. A name that is taken is answered with the
 * container that has it, since names are unique per task and attempt: it is an earlier create whose answer
 * was lost.
 */

import { ProtocolError, type Resources } from "@berth/protocol";
import { attachmentsOfLabels, directRequest } from "./direct-plan.ts";
import { type EngineClient, segment, wordsOf } from "./docker-client.ts";
import { createCall, type ImageDefaults, limitsPart } from "./docker-create.ts";
import { flagAt, numberAt, textAt } from "./docker-json.ts";
import { refusal } from "./docker-refusal.ts";
import { stateOfInspect, stateOfListing } from "./docker-state.ts";
import { type ContainerRequest, type ContainerState, LABEL_CLUSTER } from "./port.ts";

/** Added to the grace of a stop: the engine kills and cleans up. */
const STOP_EXTRA_MS = 30_000;
/** A removal that another call has begun: the engine removes a layer meanwhile. */
const REMOVAL_TIMEOUT_MS = 60_000;
/** `update` takes no "unlimited" for processors: more than any machine has means the same. */
const MEMORY_UNLIMITED = -1;

export interface CreateOptions {
  readonly apiVersion: string;
  readonly image: ImageDefaults;
  /** The agent gives it its networks: see direct-plan.ts. */
  readonly isDirect: boolean;
  readonly signal: AbortSignal | undefined;
}

export async function listContainers(
  client: EngineClient,
  cluster: string,
  signal?: AbortSignal,
): Promise<readonly ContainerState[]> {
  const filters = JSON.stringify({ label: [`${LABEL_CLUSTER}=${cluster}`] });
  const body = await client.call({
    method: "GET",
    path: "/containers/json",
    query: { all: true, filters },
    context: "list containers",
    signal,
  });
  return Array.isArray(body) ? body.map(stateOfListing) : [];
}

export async function inspectContainer(
  client: EngineClient,
  idOrName: string,
  signal?: AbortSignal,
): Promise<ContainerState | undefined> {
  const context = `inspect container ${idOrName}`;
  const path = `/containers/${segment(idOrName)}/json`;
  const { status, body } = await client.answer({ method: "GET", path, context, signal });
  if (status === 200) return stateOfInspect(body);
  if (status === 404) return undefined;
  throw refusal(context, status, wordsOf(body));
}

export async function createContainer(
  client: EngineClient,
  request: ContainerRequest,
  options: CreateOptions,
): Promise<ContainerState> {
  const context = `create container ${request.name}`;
  const { signal } = options;
  const { apiVersion, image, isDirect } = options;
  const wanted = isDirect ? directRequest(request) : request;
  const { body } = createCall(wanted, apiVersion, image);
  const answer = await client.answer({
    method: "POST",
    path: "/containers/create",
    query: { name: request.name, platform: request.engine.platform },
    json: isDirect ? { ...body, NetworkDisabled: true } : body,
    context,
    signal,
  });
  const nameTaken = answer.status === 409;
  // Which way it is to be started was decided when it was made.
  let hasDirectLabel = isDirect;
  if (nameTaken) {
    const existing = await inspectContainer(client, request.name, signal);
    if (existing !== undefined && existing.phase !== "created") return existing;
    if (existing === undefined) throw refusal(context, answer.status, wordsOf(answer.body));
    hasDirectLabel = attachmentsOfLabels(existing.labels) !== undefined;
  } else if (answer.status !== 201) {
    throw refusal(context, answer.status, wordsOf(answer.body));
  }
  const id = textAt(answer.body, "Id") ?? request.name;
  const { later } = createCall(request, apiVersion, image);
  for (const { network, body: endpoint } of hasDirectLabel ? [] : later) {
    await client.call(
      {
        method: "POST",
        path: `/networks/${segment(network)}/connect`,
        json: { Container: id, ...endpoint },
        context: `connect container ${request.name} to network ${network}`,
        signal,
      },
      // An earlier create got as far as this: 403 says that it is connected.
      nameTaken ? [403] : [],
    );
  }
  if (nameTaken) return (await inspectContainer(client, request.name, signal)) ?? gone(context);
  return {
    id,
    name: request.name,
    labels: { ...request.engine.labels, ...wanted.labels },
    imageId: request.imageId,
    phase: "created",
    oomKilled: false,
  };
}

export async function startContainer(
  client: EngineClient,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  const path = `/containers/${segment(id)}/start`;
  await client.call({ method: "POST", path, context: `start container ${id}`, signal }, [304]);
}

export async function stopContainer(
  client: EngineClient,
  id: string,
  graceMs: number,
  signal?: AbortSignal,
): Promise<void> {
  await client.call(
    {
      method: "POST",
      path: `/containers/${segment(id)}/stop`,
      query: { t: Math.ceil(graceMs / 1_000) },
      context: `stop container ${id}`,
      timeoutMs: graceMs + STOP_EXTRA_MS,
      signal,
    },
    [304],
  );
}

export async function killContainer(
  client: EngineClient,
  id: string,
  killSignal: string,
  signal?: AbortSignal,
): Promise<void> {
  const context = `kill container ${id}`;
  const path = `/containers/${segment(id)}/kill`;
  const query = { signal: killSignal };
  // 409: it does not run, which is what was wanted.
  await client.call({ method: "POST", path, query, context, signal }, [409]);
}

export async function removeContainer(
  client: EngineClient,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  const context = `remove container ${id}`;
  const path = `/containers/${segment(id)}`;
  const query = { force: true, v: true };
  const { status, body } = await client.answer({ method: "DELETE", path, query, context, signal });
  if (status === 204 || status === 404) return;
  if (status !== 409) throw refusal(context, status, wordsOf(body));
  // Somebody else's removal is under way: its end is ours, too.
  await client.call(
    {
      method: "POST",
      path: `/containers/${segment(id)}/wait`,
      query: { condition: "removed" },
      context,
      timeoutMs: REMOVAL_TIMEOUT_MS,
      signal,
    },
    [404],
  );
}

export async function waitContainer(
  client: EngineClient,
  id: string,
  signal?: AbortSignal,
): Promise<ContainerState> {
  const context = `wait for container ${id}`;
  // `next-exit` would miss an end before the call, `not-running` holds for one that never started.
  const before = await inspectContainer(client, id, signal);
  if (before === undefined) throw refusal(context, 404, `no such container: ${id}`);
  if (before.phase === "exited" || before.phase === "dead") return before;
  const condition = before.phase === "created" ? "next-exit" : "not-running";
  const ending = await client.open({
    method: "POST",
    path: `/containers/${segment(id)}/wait`,
    query: { condition },
    context,
    timeoutMs: Number.POSITIVE_INFINITY,
    signal,
  });
  for await (const _chunk of ending) {
    // The answer itself says no more than the code: the state is read afterwards.
  }
  return (await inspectContainer(client, id, signal)) ?? gone(context);
}

export async function updateLimits(
  client: EngineClient,
  id: string,
  limits: Resources,
  options: { readonly hostCpuMillis: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const memoryBytes = limits.memoryBytes ?? MEMORY_UNLIMITED;
  const all = {
    cpuMillis: limits.cpuMillis ?? options.hostCpuMillis,
    memoryBytes,
    pids: limits.pids ?? -1,
  };
  // Twice the memory, as the engine sets it at create; the kernel wants it raised and lowered together.
  const swap = memoryBytes === MEMORY_UNLIMITED ? MEMORY_UNLIMITED : memoryBytes * 2;
  await client.call({
    method: "POST",
    path: `/containers/${segment(id)}/update`,
    json: { ...limitsPart(all), MemorySwap: swap },
    context: `change limits of container ${id}`,
    signal: options.signal,
  });
}

export async function copyInto(
  client: EngineClient,
  id: string,
  path: string,
  tar: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  await client.call({
    method: "PUT",
    path: `/containers/${segment(id)}/archive`,
    query: { path },
    bytes: tar,
    context: `copy files into container ${id}`,
    signal,
  });
}

/** Whether its output is a terminal's, without frames. */
export async function hasTerminal(client: EngineClient, id: string): Promise<boolean> {
  const context = `inspect container ${id}`;
  const path = `/containers/${segment(id)}/json`;
  return flagAt(await client.call({ method: "GET", path, context }), "Config", "Tty");
}

/** The host's process of a container, 0 while it does not run. */
export async function pidOf(client: EngineClient, id: string): Promise<number> {
  const path = `/containers/${segment(id)}/json`;
  const { status, body } = await client.answer({ method: "GET", path, context: `inspect ${id}` });
  return status === 200 ? (numberAt(body, "State", "Pid") ?? 0) : 0;
}

function gone(context: string): never {
  throw new ProtocolError("not_found", `${context}: it was removed meanwhile`, {});
}

/**
 * Secrets and configs that an environment has apart from stacks. Contents of secrets leave the server only for the
 * nodes that run their users.
 */

import {
  EXTERNAL_FILES_MAX,
  EXTERNAL_VERSIONS_KEPT,
  type ExternalFile,
  type ExternalFileKind,
  ProtocolError,
} from "@berth/protocol";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { COMMIT_ATTEMPTS_MAX } from "../commit.ts";
import {
  commandOf,
  deleteOperations,
  type ExternalPlace,
  externalUses,
  type FoundExternal,
  findExternal,
  listExternal,
  missingText,
  pendingUses,
  putOperations,
  readExternal,
  rowKey,
  type StoredExternal,
} from "../external-files.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { decodedContent } from "../secret-versions.ts";

interface KindParams {
  readonly project: string;
  readonly environment: string;
  readonly kind: string;
}

function kindOf({ project, environment, kind }: KindParams): Omit<ExternalPlace, "name"> {
  // The path's schema lets nothing else through.
  return { scope: { project, environment }, kind: kind as ExternalFileKind };
}

function placeOf(params: KindParams & { readonly external: string }): ExternalPlace {
  return { ...kindOf(params), name: params.external };
}

function viewOf(view: ClusterView, place: ExternalPlace, stored: StoredExternal): ExternalFile {
  const { scope, kind, name } = place;
  const usedBy = externalUses(view, place).get(name) ?? [];
  return { ...scope, kind, name, ...stored, usedBy };
}

export const listExternalFiles: Handler<"listExternalFiles"> = async (request, context) => {
  const place = kindOf(request.params);
  const found = await listExternal(context, place, request.signal);
  const uses = externalUses(context.state.view, place);
  const { scope, kind } = place;
  const items = [...found].map(([name, stored]) => {
    return { ...scope, kind, name, ...stored, usedBy: uses.get(name) ?? [] };
  });
  return { items };
};

export const getExternalFile: Handler<"getExternalFile"> = async (request, context) => {
  const place = placeOf(request.params);
  const { stored } = await existing(context, place, request.signal);
  return viewOf(context.state.view, place, stored);
};

export const getExternalContent: Handler<"getExternalContent"> = async (request, context) => {
  const place = placeOf(request.params);
  if (place.kind === "secret") {
    const message = "contents of secrets are handed to nobody but the nodes that run their users";
    throw new ProtocolError("invalid_request", message);
  }
  const content = await readExternal(context, place, request.signal);
  if (content === undefined) throw await notFound(context, place, request.signal);
  return { content: Buffer.from(content).toString("base64") };
};

export const putExternalFile: Handler<"putExternalFile"> = async (request, context) => {
  const { params, body, actor, signal } = request;
  const place = placeOf(params);
  const content = decodedContent(`${place.kind} ${place.name}`, body.content);
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    const found = await findExternal(context, place, signal);
    await checkWish(context, place, { how: body.how, found, signal });
    if (found !== undefined && (await isSame(context, place, content, signal))) {
      return viewOf(context.state.view, place, found.stored);
    }
    const stored = withVersion(found?.stored, {
      sizeBytes: content.length,
      createdAt: context.clock.now(),
      createdBy: actor.name,
    });
    const { succeeded } = await context.store.txn({
      compare: [unchanged(place, found)],
      then: putOperations(context, place, { stored, content }),
    });
    if (succeeded) return viewOf(context.state.view, place, stored);
  }
  throw tooManyAttempts(place);
};

/** @throws ProtocolError when what is there does not go with what is wished. */
async function checkWish(
  context: ApiContext,
  place: ExternalPlace,
  wish: {
    readonly how: "create" | "update";
    readonly found: FoundExternal | undefined;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { how, found, signal } = wish;
  if (how === "update") {
    if (found === undefined) throw await notFound(context, place, signal);
    return;
  }
  if (found !== undefined) {
    const update = `berth ${commandOf(place.kind)} update ${place.name}`;
    const message = `there is a ${place.kind} ${place.name} already; ${update} gives it another content`;
    throw new ProtocolError("already_exists", message);
  }
  const count = (await listExternal(context, place, signal)).size + 1;
  if (count <= EXTERNAL_FILES_MAX) return;
  const message = `an environment has at most ${EXTERNAL_FILES_MAX} external ${place.kind}s`;
  const details = { limit: `external ${place.kind}s`, value: count, maximum: EXTERNAL_FILES_MAX };
  throw new ProtocolError("limit_exceeded", message, details);
}

async function isSame(
  context: ApiContext,
  place: ExternalPlace,
  content: Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  const current = await readExternal(context, place, signal);
  return current !== undefined && Buffer.from(current).equals(content);
}

function withVersion(
  stored: StoredExternal | undefined,
  version: Omit<ExternalFile["versions"][number], "number">,
): StoredExternal {
  const before = stored?.versions ?? [];
  const next = { number: (before.at(-1)?.number ?? 0) + 1, ...version };
  return {
    createdAt: stored?.createdAt ?? version.createdAt,
    versions: [...before, next].slice(-EXTERNAL_VERSIONS_KEPT),
  };
}

export const removeExternalFile: Handler<"removeExternalFile"> = async (request, context) => {
  const place = placeOf(request.params);
  const found = await existing(context, place, request.signal);
  const { view } = context.state;
  const file = viewOf(view, place, found.stored);
  const stacks = new Set([...file.usedBy.map(({ stack }) => stack), ...pendingUses(view, place)]);
  if (stacks.size > 0) {
    const names = [...stacks].sort();
    const message = `${place.kind} ${place.name} is used by ${names.join(", ")}; deploy without it or remove the stack first`;
    throw new ProtocolError("still_in_use", message, { stacks: names });
  }
  const { succeeded } = await context.store.txn({
    compare: [unchanged(place, found)],
    then: deleteOperations(place),
  });
  if (succeeded) return file;
  throw tooManyAttempts(place);
};

function unchanged(place: ExternalPlace, found: FoundExternal | undefined) {
  return {
    key: rowKey(place),
    target: "modRevision",
    op: "=",
    value: found?.revision ?? 0,
  } as const;
}

async function existing(
  context: ApiContext,
  place: ExternalPlace,
  signal: AbortSignal,
): Promise<FoundExternal> {
  const found = await findExternal(context, place, signal);
  if (found === undefined) throw await notFound(context, place, signal);
  return found;
}

async function notFound(
  context: ApiContext,
  place: ExternalPlace,
  signal: AbortSignal,
): Promise<ProtocolError> {
  const known = [...(await listExternal(context, place, signal)).keys()];
  return new ProtocolError("not_found", missingText(place, known));
}

function tooManyAttempts({ kind, name }: ExternalPlace): ProtocolError {
  return new ProtocolError("conflict", `others keep changing ${kind} ${name}; try again`);
}

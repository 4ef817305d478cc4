/** The servers of the cluster, and what they do for each other. */

import {
  DialRequest,
  type FrameStream,
  keys,
  ProtocolError,
  parseAs,
  type ServerAddress,
} from "@berth/protocol";
import { withoutServer } from "../../servers/server-removal.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";
import { booleanOf } from "../paging.ts";
import { joinStreams } from "../session-hub.ts";

/** Digests of one piece of a list. */
const DIGESTS_A_PIECE = 500;

export const listServers: Handler<"listServers"> = (_request, { state: { view }, control }) => ({
  formats: control.formats(),
  servers: view.serverAddresses.all().map(({ value: server }) => ({
    server,
    isPresent: isPresent(view, server),
    leads: leads(view, server),
  })),
});

function leads(view: ClusterView, { node }: ServerAddress): boolean {
  return view.leader.get(keys.leader())?.value.node === node;
}

/** A server that has its store alone has no lease: it leads. */
function isPresent(view: ClusterView, server: ServerAddress): boolean {
  return leads(view, server) || view.servers.all().some(({ value }) => value.node === server.node);
}

export const removeServer: Handler<"removeServer"> = (request, context) => {
  const { params, query, actor } = request;
  const removal = { node: params.node, at: context.clock.now(), by: actor.name };
  const force = booleanOf("force", query.force);
  return commitDecision(context, request, { route: "removeServer" }, (view) =>
    withoutServer(view, removal, force),
  );
};

export const relaySession: Handler<"relaySession"> = async (
  { params, query, signal },
  { sessions },
) => {
  const request = parseAs(DialRequest.properties.request, parse(query.request), "the request");
  const agent = await sessions.openHere(params.node, request, signal);
  return (server: FrameStream) => joinStreams(server, agent);
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("invalid_request", "the request is no JSON", {}, { cause });
  }
}

export const getServerBlob: Handler<"getServerBlob"> = async ({ params, signal }, { ownBlobs }) => {
  const bytes = await ownBlobs.read(params.digest, signal);
  if (bytes !== undefined) return bytes;
  throw new ProtocolError("not_found", `this server has no blob ${params.digest}`);
};

export const putServerBlob: Handler<"putServerBlob"> = async (request, { ownBlobs }) => {
  await ownBlobs.put(request.params.digest, request.bytes, request.signal);
  return undefined;
};

export const listServerBlobs: Handler<"listServerBlobs"> = async function* (
  _request,
  { ownBlobs },
) {
  let lines: string[] = [];
  for await (const { digest } of ownBlobs.list()) {
    lines.push(`${JSON.stringify({ digest })}\n`);
    if (lines.length < DIGESTS_A_PIECE) continue;
    yield [Buffer.from(lines.join(""))];
    lines = [];
  }
  yield [Buffer.from(lines.join(""))];
};

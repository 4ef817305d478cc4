/** Images from node to node: who has one, and its archive through this server. */

import { asProtocolError, ProtocolError } from "@berth/protocol";
import type { ApiContext, Handler } from "../handler.ts";
import { imageSource, sourceById } from "../image-sources.ts";
import { receive } from "../transfers.ts";

/** Nodes that are asked one after the other: what three say that they have, and do not, is gone. */
const NODES_ASKED_MAX = 3;

export const findImage: Handler<"findImage"> = ({ params, query }, { state }) => {
  const source = imageSource(state.view, params.node, query.image);
  return { ...source, nodes: [...source.nodes] };
};

export const getNodeImage: Handler<"getNodeImage"> = async ({ params, signal }, context) => {
  const { node, digest: imageId } = params;
  const { nodes } = sourceById(context.state.view, node, imageId);
  const leastBusy = [...nodes].sort((a, b) => context.transfers.of(a) - context.transfers.of(b));
  let failure: unknown;
  for (const holder of leastBusy.slice(0, NODES_ASKED_MAX)) {
    try {
      return await archiveFrom(context, { holder, imageId }, signal);
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  const { code, message } = asProtocolError(failure);
  if (code === "not_found") {
    throw new ProtocolError(
      "node_unreachable",
      `no node has image ${imageId} any more: ${message}`,
    );
  }
  throw failure;
};

async function archiveFrom(
  { sessions, transfers }: ApiContext,
  { holder, imageId }: { readonly holder: string; readonly imageId: string },
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const done = transfers.begin(holder);
  try {
    const stream = await sessions.open(holder, { kind: "image", imageId }, signal);
    const what = `image ${imageId} from node ${holder}`;
    return await receive(stream, { what, done, signal });
  } catch (error) {
    done();
    throw error;
  }
}

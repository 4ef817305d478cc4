/** Blobs: bytes by their SHA-256, for users and for the agents whose work refers to them. */

import { ProtocolError } from "@berth/protocol";
import type { ApiContext, Handler } from "../handler.ts";
import { refersTo } from "../node-references.ts";

/** Look-ups at the same time: the disk has few hands. */
const PARALLEL_LOOKUPS = 16;

export const putBlob: Handler<"putBlob"> = async ({ params, bytes, signal }, { blobs }) => {
  await blobs.put(params.digest, bytes, signal);
  return undefined;
};

export const getBlob: Handler<"getBlob"> = ({ params, signal }, context) =>
  read(context, params.digest, signal);

/** What the node has nothing to do with does not exist for its agent. */
export const getNodeBlob: Handler<"getNodeBlob"> = async ({ params, signal }, context) => {
  const { node, digest } = params;
  if (!refersTo(context.state.view, node, digest)) {
    throw new ProtocolError("not_found", `nothing on node ${node} refers to ${digest}`);
  }
  return read(context, digest, signal);
};

async function read(
  { blobs }: ApiContext,
  digest: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const bytes = await blobs.read(digest, signal);
  if (bytes === undefined) throw new ProtocolError("not_found", `there is no blob ${digest}`);
  return bytes;
}

export const hasBlobs: Handler<"hasBlobs"> = async ({ body }, { blobs }) => {
  const digests = [...new Set(body.digests)];
  const missing: string[] = [];
  for (let start = 0; start < digests.length; start += PARALLEL_LOOKUPS) {
    const slice = digests.slice(start, start + PARALLEL_LOOKUPS);
    const found = await Promise.all(slice.map((digest) => blobs.has(digest)));
    missing.push(...slice.filter((_, index) => found[index] === false));
  }
  return { missing };
};

/** Whether networks reach from node to node: the nodes try it when somebody asks. */

import {
  errorOfProblem,
  jsonOfFrame,
  keys,
  NETWORK_CHECK_PAIRS_MAX,
  type NetworkCheckPair,
  type NetworkCheckStep,
  type NetworkCheckTarget,
  ProtocolError,
} from "@berth/protocol";
import { pairsOf, type WantedCheck, wantedCheck } from "../../explain/network-pairs.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import type { ApiContext, Handler } from "../handler.ts";

/** Longer than all waits of one check in a row, where nothing answers. */
const ANSWER_TIMEOUT_MS = 25_000;

export const checkNetworks: Handler<"checkNetworks"> = async ({ query, signal }, context) => {
  const { view } = context.state;
  const { from, to } = query;
  for (const name of [from, to]) requireNode(view, name);
  if (from !== undefined && from === to) {
    const message = `there is nothing between ${from} and itself: name two nodes, one, or none`;
    throw new ProtocolError("invalid_request", message, { from, to });
  }
  const nodes = view.nodes.all().map(({ value }) => value.name);
  const pairs = pairsOf(nodes, { from, to });
  if (pairs.length > NETWORK_CHECK_PAIRS_MAX) {
    const details = {
      limit: "pairs of nodes",
      value: pairs.length,
      maximum: NETWORK_CHECK_PAIRS_MAX,
    };
    const message = `${nodes.length} nodes have ${pairs.length} ways between them: name one node, or two`;
    throw new ProtocolError("limit_exceeded", message, details);
  }
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
  const tried = pairs.map(([a, b]) => tryPair(context, wantedCheck(view, a, b), limit));
  return { pairs: await Promise.all(tried) };
};

function requireNode(view: ClusterView, name: string | undefined): void {
  if (name === undefined || view.nodes.get(keys.node(name)) !== undefined) return;
  throw new ProtocolError("not_found", `there is no node ${name}`, { node: name });
}

async function tryPair(
  context: ApiContext,
  wanted: WantedCheck,
  signal: AbortSignal,
): Promise<NetworkCheckPair> {
  const { from, to, target } = wanted;
  if (target === undefined) {
    return { from, to, verdict: "unknown", message: wanted.message, steps: [] };
  }
  const { network } = wanted;
  const of = { from, to, network, copy: target.copy };
  try {
    const steps = await askNode(context, from, target, signal);
    const isGood = steps.every(({ verdict }) => verdict !== "failed");
    return { ...of, verdict: isGood ? "ok" : "failed", steps: [...steps] };
  } catch (error) {
    const message = error instanceof ProtocolError ? error.message : `node ${from} did not answer`;
    return { ...of, verdict: "unknown", message, steps: [] };
  }
}

async function askNode(
  { sessions }: ApiContext,
  node: string,
  target: NetworkCheckTarget,
  signal: AbortSignal,
): Promise<readonly NetworkCheckStep[]> {
  const stream = await sessions.open(node, { kind: "network-check", target }, signal);
  try {
    for await (const frame of stream.frames()) {
      // The agent is ours and made it from its schema.
      if (frame.kind === "data") return jsonOfFrame(frame) as readonly NetworkCheckStep[];
      if (frame.kind === "error") throw errorOfProblem(jsonOfFrame(frame)) ?? lost(node);
    }
    throw lost(node);
  } finally {
    stream.close();
  }
}

function lost(node: string): ProtocolError {
  return new ProtocolError("node_unreachable", `node ${node} did not answer`, { node });
}

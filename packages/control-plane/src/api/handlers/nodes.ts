/** Nodes as users see them. */

import { keys, type Node, ProtocolError } from "@berth/protocol";
import { accept, type Decision, refuse, unchangedSince } from "../../release/refusal.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { encode } from "../../state/decode.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";
import { pageOf } from "../paging.ts";

export const listNodes: Handler<"listNodes"> = ({ query }, { state: { view } }) =>
  pageOf(view.nodes.all(), query, ({ value }) => nodeView(view, value));

export const getNode: Handler<"getNode"> = ({ params }, { state: { view } }) => {
  const node = view.nodes.get(keys.node(params.node));
  if (node === undefined) throw new ProtocolError("not_found", `there is no node ${params.node}`);
  return nodeView(view, node.value);
};

function nodeView(view: ClusterView, node: Node) {
  const status = view.nodeStatuses.get(keys.nodeStatus(node.name));
  return { node, ...(status === undefined ? {} : { status: status.value }) };
}

export const setNodeAvailability: Handler<"setNodeAvailability"> = (request, context) => {
  const { params, body } = request;
  return commitDecision(
    context,
    request,
    {
      route: "setNodeAvailability",
      matched: (view) => view.nodes.get(keys.node(params.node)),
    },
    (view) => withAvailability(view, params.node, body.availability),
  );
};

function withAvailability(
  view: ClusterView,
  name: string,
  availability: Node["availability"],
): Decision<Node> {
  const node = view.nodes.get(keys.node(name));
  if (node === undefined) return refuse("not_found", `there is no node ${name}`);
  const value: Node = { ...node.value, availability };
  const put = { kind: "put", key: node.key, value: encode(value) } as const;
  return accept(value, [unchangedSince(node.key, node.revision)], [put]);
}

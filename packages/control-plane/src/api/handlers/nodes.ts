/** Nodes as users see them. */

import {
  keys,
  NODE_WORDS_MAX,
  type Node,
  type NodeChanges,
  ProtocolError,
  type ServiceScope,
} from "@berth/protocol";
import { clusterTrace } from "../../explain/cluster-trace.ts";
import { nodeStanding } from "../../explain/node-standing.ts";
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

export const getNodeStanding: Handler<"getNodeStanding"> = ({ params, query }, context) => {
  const { state, settings, control, clock } = context;
  const elsewhere = query.elsewhere === "true";
  const waitsOf = (scope: ServiceScope) => {
    const answer = control.explain(scope);
    return answer.kind === "explained" ? answer.explanation.waits : [];
  };
  const { hasFenceHook } = control;
  const { view } = state;
  const question = { view, settings, now: clock.now(), hasFenceHook, elsewhere, waitsOf };
  const standing = nodeStanding(question, params.node);
  if (standing !== undefined) return standing;
  throw new ProtocolError("not_found", `there is no node ${params.node}`);
};

/** Lines of a cluster's trace that are sent at a time: some hundred kilobytes. */
const TRACE_BATCH = 500;

export const readClusterTrace: Handler<"readClusterTrace"> = (_request, { state, settings }) =>
  batches(clusterTrace(state.view, settings));

async function* batches(lines: Iterable<object>): AsyncGenerator<readonly Uint8Array[]> {
  let batch: string[] = [];
  for (const line of lines) {
    if (batch.push(`${JSON.stringify(line)}\n`) < TRACE_BATCH) continue;
    yield [Buffer.from(batch.join(""))];
    batch = [];
  }
  if (batch.length > 0) yield [Buffer.from(batch.join(""))];
}

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

export const changeNode: Handler<"changeNode"> = (request, context) => {
  const { params, body } = request;
  return commitDecision(
    context,
    request,
    { route: "changeNode", matched: (view) => view.nodes.get(keys.node(params.node)) },
    (view) => withChanges(view, params.node, body),
  );
};

function withChanges(view: ClusterView, name: string, changes: NodeChanges): Decision<Node> {
  const node = view.nodes.get(keys.node(name));
  if (node === undefined) return refuse("not_found", `there is no node ${name}`);
  const labels = merged(node.value.labels, changes.labels);
  const countables = merged(node.value.countables ?? {}, changes.countables);
  const taints = merged(node.value.taints ?? {}, changes.taints);
  const count = Math.max(...[labels, countables, taints].map((all) => Object.keys(all).length));
  if (count > NODE_WORDS_MAX) {
    const message = `node ${name} would have ${count} labels, resources or taints, at most ${NODE_WORDS_MAX} are kept`;
    const facts = { limit: "node words", value: count, max: NODE_WORDS_MAX };
    return refuse("limit_exceeded", message, facts);
  }
  const { countables: _countables, taints: _taints, ...rest } = node.value;
  const value: Node = {
    ...rest,
    labels,
    ...(Object.keys(countables).length === 0 ? {} : { countables }),
    ...(Object.keys(taints).length === 0 ? {} : { taints }),
  };
  const put = { kind: "put", key: node.key, value: encode(value) } as const;
  return accept(value, [unchangedSince(node.key, node.revision)], [put]);
}

/** `before` with the changes; `null` takes away. */
function merged<T>(
  before: Readonly<Record<string, T>>,
  changes: Readonly<Record<string, T | null>> = {},
): Record<string, T> {
  const kept = Object.entries(before).filter(([name]) => !Object.hasOwn(changes, name));
  const set = Object.entries(changes).flatMap(([name, value]) =>
    value === null ? [] : [[name, value] as const],
  );
  return Object.fromEntries([...kept, ...set]);
}

function withAvailability(
  view: ClusterView,
  name: string,
  availability: Node["availability"],
): Decision<Node> {
  const node = view.nodes.get(keys.node(name));
  if (node === undefined) return refuse("not_found", `there is no node ${name}`);
  // A person's word that the node may be used again counts more than that it was silent too often.
  const { heldBackUntil: _until, silences: _silences, ...trusted } = node.value;
  const value: Node = { ...(availability === "active" ? trusted : node.value), availability };
  const put = { kind: "put", key: node.key, value: encode(value) } as const;
  return accept(value, [unchangedSince(node.key, node.revision)], [put]);
}

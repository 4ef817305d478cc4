/** The cluster itself as the trace of `berth sim`: its nodes, and its copies where they run. */

import type { ApiClient } from "@berth/protocol";
import { readAsk, type TraceAsk } from "@berth/scheduler/trace/ask-line";
import { readNode, type TraceNode } from "@berth/scheduler/trace/node-line";
import type { InitialTask } from "./trace-inputs.ts";

export interface ClusterTrace {
  readonly nodes: readonly TraceNode[];
  readonly asks: readonly TraceAsk[];
  readonly initial: ReadonlyMap<string, InitialTask>;
}

/** Asks the server. Throws `ProtocolError`. */
export async function readCluster(api: ApiClient, signal: AbortSignal): Promise<ClusterTrace> {
  const nodes: TraceNode[] = [];
  const asks: TraceAsk[] = [];
  const initial = new Map<string, InitialTask>();
  for await (const line of await api.call("readClusterTrace", { params: {}, signal })) {
    if (line.kind === "node") {
      nodes.push(readNode(line.row));
      continue;
    }
    const ask = readAsk(line.row);
    asks.push(ask);
    initial.set(ask.ask.id, { node: line.node });
  }
  return { nodes, asks, initial };
}

/** One copy more of each service that may run on more than one node: what headroom is about where nothing waits. */
export function oneMoreOfEach(asks: readonly TraceAsk[]): readonly TraceAsk[] {
  const services = new Map<string, TraceAsk>();
  for (const each of asks) {
    const { service, pinnedNode, pod } = each.ask;
    if (pinnedNode === undefined && pod === undefined && !services.has(service)) {
      services.set(service, each);
    }
  }
  return [...services].map(([service, { ask, ...times }]) => ({
    ...times,
    ask: { ...ask, id: service },
  }));
}

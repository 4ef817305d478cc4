/**
 * Streams to nodes whose agents are connected to another server: that server is asked, and frames pass through.
 *
 * The asking server asks one after the other; one that has the node dials it, the others refuse at once. A relayed
 * request is never relayed again, so there is no circle. Cost: a round trip for each server that has not got it.
 */

import { asProtocolError, type DialRequest, type FrameStream, keys } from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { PeerServers } from "./peer-servers.ts";

export interface SessionRelay {
  /** The stream by way of another server; `undefined` when the node is connected to none that answers. */
  open(
    node: string,
    request: DialRequest["request"],
    signal: AbortSignal,
  ): Promise<FrameStream | undefined>;
  /** The node counts as in contact: when nobody has it this moment, it is on its way to a server. */
  isExpected(node: string): boolean;
}

export function sessionRelay(peers: PeerServers, view: Pick<ClusterView, "nodes">): SessionRelay {
  return {
    async open(node, request, signal) {
      const query = { request: JSON.stringify(request) };
      for (const { api } of peers.others()) {
        try {
          return await api.upgrade("relaySession", { params: { node }, query, signal });
        } catch (error) {
          signal.throwIfAborted();
          const { code, details } = asProtocolError(error);
          // It has the node, and the node said nothing: asking others is no use.
          if (code === "node_unreachable" && details["deadlineMs"] !== undefined) throw error;
          if (!NOT_THERE.has(code)) throw error;
        }
      }
      return undefined;
    },
    isExpected: (node) => view.nodes.get(keys.node(node))?.value.contact === "up",
  };
}

/** The node is not connected to this server, or the server is not there, or it is an older one. */
const NOT_THERE: ReadonlySet<string> = new Set(["node_unreachable", "unavailable", "not_found"]);

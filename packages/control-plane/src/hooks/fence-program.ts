/**
 * The fence hook as a program: `PROGRAM fence NODE`, with what is known of the node in the environment. Code 0 says
 * that nothing of the host runs, or can write, any more; every other end says nothing, and it is tried again.
 *
 * The contract for people is in docs/operating/nodes.md.
 */

import { asProtocolError } from "@berth/protocol";
import type { FenceHook, FenceRequest } from "../controllers/fence-port.ts";
import { runHookProgram } from "./hook-program.ts";

/** Of what a hook says; it goes into the node's row. */
const MESSAGE_CHARS_MAX = 500;

export function fenceProgram(
  command: readonly string[],
  { fenceTimeoutMs: timeoutMs }: { readonly fenceTimeoutMs: number },
): FenceHook {
  return {
    async fence(request, signal) {
      try {
        const said = await runHookProgram({
          command: [...command, "fence", request.node],
          name: `fence ${request.node}`,
          environment: environmentOf(request),
          timeoutMs,
          signal,
        });
        return { fenced: true, message: (said || "done").slice(0, MESSAGE_CHARS_MAX) };
      } catch (error) {
        signal.throwIfAborted();
        const { message } = asProtocolError(error);
        return { fenced: false, message: message.slice(0, MESSAGE_CHARS_MAX) };
      }
    },
  };
}

function environmentOf(request: FenceRequest): Record<string, string> {
  const { node, cluster, address, bootId, labels, silentSince, attempt } = request;
  return {
    BERTH_NODE: node,
    BERTH_CLUSTER: cluster,
    BERTH_NODE_ADDRESS: address ?? "",
    BERTH_NODE_BOOT_ID: bootId ?? "",
    BERTH_NODE_LABELS: JSON.stringify(labels),
    BERTH_SILENT_SINCE: new Date(silentSince).toISOString(),
    BERTH_FENCE_ATTEMPT: String(attempt),
  };
}

/**
 * The lines of a stack from every node that may have some, as one stream: sessions with their agents,
 * merged by time. Logs outlive their tasks, so nodes without a task of the stack are asked too.
 */

import {
  type DialRequest,
  errorOfProblem,
  type FrameStream,
  jsonOfFrame,
  type LogLine,
  ProtocolError,
} from "@berth/protocol";
import type { ApiContext } from "./handler.ts";
import { mergeLines } from "./log-merge.ts";

/** Nodes that are asked for the lines of one stack. More would be too many sockets for one reader. */
export const LOG_NODES_MAX = 64;

export interface LogRequest {
  readonly nodes: readonly string[];
  readonly request: DialRequest["request"] & { kind: "logs" };
  readonly signal: AbortSignal;
}

/**
 * Lines in order of time. A node that cannot be reached, or is lost on the way, is named by a line of the
 * platform's own (`name` is "berth"), since the other nodes' lines are worth having.
 *
 * @throws ProtocolError `node_unreachable` when none of the nodes can be reached.
 */
export async function openLogs(
  context: ApiContext,
  { nodes, request, signal }: LogRequest,
): Promise<AsyncIterable<readonly LogLine[]>> {
  const opened = await Promise.allSettled(
    nodes.map((node) => context.sessions.open(node, request, signal)),
  );
  const failed = opened.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined && opened.every(({ status }) => status === "rejected")) {
    throw failed.reason;
  }
  const sources = opened.map((outcome, index) => {
    const node = nodes[index] ?? "";
    if (outcome.status === "fulfilled") {
      return linesOf(outcome.value, { node, follow: request.follow, context });
    }
    return once(missing(node, outcome.reason, context.clock.now()));
  });
  return mergeLines(sources, context.clock);
}

/** The lines of one agent's stream, in its order. */
async function* linesOf(
  stream: FrameStream,
  from: { readonly node: string; readonly follow: boolean; readonly context: ApiContext },
): AsyncGenerator<LogLine, void, undefined> {
  const { node, follow, context } = from;
  try {
    for await (const frame of stream.frames()) {
      if (frame.kind === "end") return;
      if (frame.kind === "error") {
        yield missing(node, errorOfProblem(jsonOfFrame(frame)), context.clock.now());
        return;
      }
      // The agent is ours and made the line from its schema.
      if (frame.kind === "data") yield jsonOfFrame(frame) as LogLine;
    }
    // What is followed does not end by itself. What is stored ends with the stream at the latest.
    if (follow) yield missing(node, undefined, context.clock.now());
  } finally {
    stream.close();
  }
}

async function* once(line: LogLine): AsyncGenerator<LogLine, void, undefined> {
  yield line;
}

function missing(node: string, reason: unknown, now: number): LogLine {
  const why = reason instanceof ProtocolError ? reason.message : "the connection was lost";
  return {
    at: now,
    task: "-",
    name: "berth",
    node,
    release: 0,
    attempt: 0,
    stream: "stderr",
    text: `lines of node ${node} are missing: ${why}`,
  };
}

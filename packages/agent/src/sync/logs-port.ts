/** Reading of captured logs, as sessions need it. */

import type { DialRequest, LogLine } from "@berth/protocol";

export type LogsRequest = Extract<DialRequest["request"], { readonly kind: "logs" }>;

export interface LogsReader {
  /** Lines of this node's tasks that the request selects, in order of time; ends unless it follows. */
  read(request: LogsRequest, signal: AbortSignal): AsyncIterable<LogLine>;
}

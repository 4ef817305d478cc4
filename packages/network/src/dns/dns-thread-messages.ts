/** What `net` and its thread for DNS say to each other. Plain data, copied. */

import type { NodeNetworkModel } from "../model.ts";
import type { NetProblem } from "../report.ts";
import type { LookupQuestion, LookupResult } from "./explain.ts";
import type { DnsFigures } from "./server.ts";

export interface DnsThreadOptions {
  readonly port: number;
}

export type ToDnsThread = { readonly id: number } & (
  | { readonly kind: "apply"; readonly model: NodeNetworkModel }
  | { readonly kind: "explain"; readonly question: LookupQuestion }
  | { readonly kind: "figures" }
  | { readonly kind: "close" }
);

export type FromDnsThread =
  /** First: by what number the kernel knows the thread. */
  | { readonly kind: "started"; readonly threadId: number }
  /** Answers the message of `id`, in the kind of answer that it has. */
  | {
      readonly kind: "answer";
      readonly id: number;
      readonly value: LookupResult | DnsFigures | undefined;
    }
  /** The message of `id` could not be answered. */
  | { readonly kind: "failed"; readonly id: number; readonly reason: string }
  /** What stands in the way, whenever that has changed. */
  | { readonly kind: "problems"; readonly problems: readonly NetProblem[] }
  /** A line for the log. */
  | { readonly kind: "log"; readonly line: string };

/** From the words of a command line to a client of the chosen server, and the project and environment to work in. */

import type { ApiClient } from "@berth/protocol";
import { clientOf } from "./client.ts";
import { chooseContext, scopeOf } from "./context.ts";

export interface Connection {
  /** Connects lazily: `--context`, BERTH_URL and BERTH_TOKEN, the config file, this machine's platform. */
  readonly connect: () => ApiClient;
  /** `--project` and `--env`, else the context's, else `default/main`. */
  readonly scope: () => { readonly project: string; readonly environment: string };
}

/** `api` is a client to use instead of one of the chosen context. */
export function connectionOf(
  environment: Readonly<Record<string, string | undefined>>,
  given: Readonly<Record<string, unknown>>,
  api: ApiClient | undefined,
): Connection {
  const wanted = typeof given["context"] === "string" ? given["context"] : undefined;
  const context = () => chooseContext(environment, wanted).context;
  return {
    connect: () => api ?? clientOf(context()),
    scope: () => scopeOf(environment, given, context),
  };
}

/** From the words of a command line to a client of the chosen server, and the project and environment to work in. */

import type { ApiClient } from "@berth/protocol";
import { clientOf } from "./client.ts";
import { chooseContext, scopeOf, serversFileOf } from "./context.ts";

export interface Connection {
  /** Connects lazily: `--context`, BERTH_URL and BERTH_TOKEN, the config file, this machine's platform. */
  readonly connect: () => ApiClient;
  /** `--project` and `--env`, else the context's, else `default/main`. */
  readonly scope: () => { readonly project: string; readonly environment: string };
}

/** The platform of this machine goes by what its agent was told, another one by what its servers say. */
function connectTo(
  environment: Readonly<Record<string, string | undefined>>,
  { name, context }: ReturnType<typeof chooseContext>,
): ApiClient {
  return clientOf(context, serversFileOf(environment, name, context));
}

/** `api` is a client to use instead of one of the chosen context. */
export function connectionOf(
  environment: Readonly<Record<string, string | undefined>>,
  given: Readonly<Record<string, unknown>>,
  api: ApiClient | undefined,
): Connection {
  const wanted = typeof given["context"] === "string" ? given["context"] : undefined;
  const chosen = () => chooseContext(environment, wanted);
  const context = () => chosen().context;
  return {
    connect: () => api ?? connectTo(environment, chosen()),
    scope: () => scopeOf(environment, given, context),
  };
}

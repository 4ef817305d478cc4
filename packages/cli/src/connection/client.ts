/** From a context to a client of its server. */

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { MINUTE_MS, systemClock } from "@berth/base";
import { ProtocolError, type ServerAddress } from "@berth/protocol";
import { FailoverClient, type ServerEndpoint } from "@berth/protocol/client/failover-client";
import type { SecureOptions } from "@berth/protocol/client/http-transport";
import { readIdentity, secureOptions } from "../joining/identity-file.ts";
import { type Context, tokenOf } from "./context.ts";
import { endpointsOf, readServers, writeServers } from "./known-servers.ts";

/** A list of servers that is older is asked for again, beside the first call of a command. */
const LEARN_AFTER_MS = 10 * MINUTE_MS;

/**
 * A client of the context's cluster: by its addresses (several are divided by commas), then by those of the servers
 * that the file of `serversFile` names. With `learns` that file is kept up to date.
 */
export function clientOf(
  context: Context,
  servers?: { readonly file: string; readonly learns: boolean },
): FailoverClient {
  const endpoints = endpointsIn(context, servers?.file);
  const client = new FailoverClient({ endpoints: () => endpoints, newKey: randomUUID });
  if (servers?.learns !== true) return client;
  return learning(client, servers.file);
}

/** The ways to a context's cluster, best first. */
export function endpointsIn(context: Context, file: string | undefined): readonly ServerEndpoint[] {
  const token = tokenOf(context);
  const secure = secureOf(context);
  const shown = token === undefined ? {} : { token };
  const configured = context.url
    .split(",")
    .map((url) => ({ url, ...shown, ...(secure === undefined ? {} : { secure }) }));
  const known = file === undefined ? [] : readServers(file).servers;
  const asSelf = (url: string, { authority }: ServerAddress) => {
    return { url, ...shown, secure: secure ?? (() => ({ authority })) };
  };
  return endpointsOf(configured, known, asSelf);
}

/** `client`, which asks for the servers once, beside the first call that succeeds. */
function learning(client: FailoverClient, file: string): FailoverClient {
  let isDue = systemClock.now() - readServers(file).at > LEARN_AFTER_MS;
  const call = client.call.bind(client);
  client.call = async (id, options) => {
    const answer = await call(id, options);
    if (isDue) {
      isDue = false;
      void learn(call, file);
    }
    return answer;
  };
  return client;
}

/** An older server, one that is busy, or a folder that cannot be written: the next command tries again. */
async function learn(call: FailoverClient["call"], file: string): Promise<void> {
  try {
    const { servers } = await call("listServers", { params: {} });
    writeServers(file, { at: systemClock.now(), servers: servers.map(({ server }) => server) });
  } catch {
    // What is known already stays.
  }
}

function secureOf({ identityFile, authority }: Context): (() => SecureOptions) | undefined {
  if (identityFile !== undefined) return () => secureOptions(readIdentity(identityFile));
  if (authority !== undefined) return () => ({ authority: readAuthority(authority) });
  return undefined;
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const message = `${file}, the authority of the context's cluster, cannot be read`;
    throw new ProtocolError("invalid_request", message, { file }, { cause: error });
  }
}

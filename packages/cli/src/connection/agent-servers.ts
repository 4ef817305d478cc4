/** The agent's way to its cluster: by the server that it was set up with, and by all that it was told of. */

import { type Logger, systemClock } from "@berth/base";
import { asProtocolError, type ServerAddress } from "@berth/protocol";
import { FailoverClient, type ServerEndpoint } from "@berth/protocol/client/failover-client";
import { endpointsOf, readServers, writeServers } from "./known-servers.ts";

export interface AgentServers {
  readonly api: FailoverClient;
  /** What the cluster tells: kept on disk, and used from the next call on. */
  readonly onServers: (servers: readonly ServerAddress[]) => void;
}

export function agentServers(options: {
  readonly node: string;
  /** Where what was told is kept. */
  readonly file: string;
  readonly configured: ServerEndpoint;
  readonly asSelf: (url: string, server: ServerAddress) => ServerEndpoint;
  readonly log: Logger;
}): AgentServers {
  const { node, file, configured, asSelf, log } = options;
  const waysTo = (servers: readonly ServerAddress[]) =>
    endpointsOf([configured], servers, asSelf, node);
  let endpoints = waysTo(readServers(file).servers);
  const api = new FailoverClient({
    endpoints: () => endpoints,
    onSwitch: (url, problem) => log.warn("goes to another server", { url, error: problem }),
  });
  return {
    api,
    onServers: (servers) => {
      endpoints = waysTo(servers);
      try {
        writeServers(file, { at: systemClock.now(), servers });
      } catch (error) {
        log.warn("the list of servers was not kept", { file, error: asProtocolError(error) });
      }
    },
  };
}

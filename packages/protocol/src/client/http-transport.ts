/** Connections that requests of one client go over: plain ones here, those with TLS in secure-transport.ts. */

import { Agent, type ClientRequest, type RequestOptions, request } from "node:http";

/** One client asks from a few places at once; the rest waits for a free connection. */
export const CONNECTIONS_MAX = 64;

/** Begins a request. */
export type OpenRequest = (options: RequestOptions) => ClientRequest;

export interface Transport {
  /** Streams last: they must not take the connections of calls. */
  readonly open: (kind: "call" | "stream") => OpenRequest;
  /** Closes idle connections and ends running ones. */
  readonly close: () => void;
}

/** Whom to believe, and who we are. */
export interface SecureOptions {
  /** The cluster's authority as PEM: a server whose certificate it did not make is not spoken to. */
  readonly authority: string;
  /** Our certificate with its key, as PEM; without them the token says who we are. */
  readonly own?: { readonly certificate: string; readonly key: string };
}

export function plainTransport(): Transport {
  const agents = {
    call: new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX }),
    stream: new Agent({ keepAlive: false }),
  };
  return {
    open: (kind) => (options) => request({ ...options, agent: agents[kind] }),
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/**
 * Connections to a cluster's port: TLS 1.3 to a server that shows the identity of one, by the cluster's own
 * authority. Host names do not count: a server is reached by whatever address leads to it. Loaded late.
 */

import { Agent, request } from "node:https";
import type { PeerCertificate } from "node:tls";
import { parseIdentity } from "../identity.ts";
import { CONNECTIONS_MAX, type SecureOptions, type Transport } from "./http-transport.ts";

export function secureTransport(secure: () => SecureOptions): Transport {
  const agents = {
    call: new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX }),
    stream: new Agent({ keepAlive: false }),
  };
  return {
    open: (kind) => (options) => {
      const { authority, own } = secure();
      return request({
        ...options,
        agent: agents[kind],
        ca: authority,
        ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
        minVersion: "TLSv1.3",
        checkServerIdentity,
      });
    },
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** What `tls` asks once the chain is right: whether it is the right one's. */
export function checkServerIdentity(
  host: string,
  certificate: Pick<PeerCertificate, "subjectaltname">,
): Error | undefined {
  if (parseIdentity(certificate.subjectaltname)?.kind === "server") return undefined;
  // Not a mistake of ours: it travels as the reason why the server was not reached.
  return Object.assign(new Error(`${host} is no server of the cluster`), { code: "NO_SERVER" });
}

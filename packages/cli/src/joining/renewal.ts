/** Renews a node's certificate at half of its life, and goes on trying when it has expired. */

import { type Clock, type Driver, HOUR_MS, type Logger, MINUTE_MS } from "@berth/base";
import { memberRequest, newPrivateKey } from "@berth/control-plane/certificates/x509";
import { type ApiClient, ProtocolError } from "@berth/protocol";
import { type NodeIdentity, writeIdentity } from "./identity-file.ts";

const LOOK_PERIOD_MS = HOUR_MS;
/** A server that is away is back before two weeks are over: there is no hurry. */
const RETRY_MS = 5 * MINUTE_MS;

export interface RenewalOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly file: string;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: () => NodeIdentity;
  /** Connections from now on show it. */
  readonly use: (identity: NodeIdentity) => void;
}

export function renewIdentity(options: RenewalOptions): void {
  options.driver.add({
    name: "node-certificate",
    purpose: "Renews the certificate of this node at half of its life.",
    periodMs: LOOK_PERIOD_MS,
    run: async (signal) => {
      const { notBefore, notAfter } = options.identity();
      if (options.clock.now() < (notBefore + notAfter) / 2) return undefined;
      try {
        await renew(options, signal);
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ProtocolError)) throw error;
        options.log.warn("the certificate of this node was not renewed", { error });
        return { againMs: RETRY_MS };
      }
    },
  });
}

/** A new key each time: one that was copied is worth nothing half a month later. */
async function renew(options: RenewalOptions, signal: AbortSignal): Promise<void> {
  const { api, file, clock, log, use } = options;
  const before = options.identity();
  const key = newPrivateKey();
  const body = { signingRequest: await memberRequest(key) };
  const params = { node: before.node };
  const made = await api.call("renewNodeCertificate", { params, body, signal });
  const { authority, certificate, notAfter } = made;
  const fresh = { ...before, authority, certificate, key, notBefore: clock.now(), notAfter };
  writeIdentity(file, fresh);
  use(fresh);
  log.info("the certificate of this node was renewed", { notAfter });
}

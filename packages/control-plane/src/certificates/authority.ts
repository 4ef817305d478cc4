/**
 * The cluster's own authority: made once, its certificate for everybody to see, its key sealed. Routes are
 * served with certificates of it unless somebody says otherwise, so TLS works on a closed network, too.
 */

import { type Authority, type CertificateFacts, keys } from "@berth/protocol";
import { encode } from "../state/decode.ts";
import type { Compare, Store } from "../store/port.ts";
import { CLUSTER } from "./choose.ts";
import { factsOfPem } from "./read-certificate.ts";
import type { Vault } from "./vault.ts";
import { type Issued, issueLeaf, makeAuthority } from "./x509.ts";

/** Where the authority's key lies. */
export const AUTHORITY_KEY = keys.sealed(CLUSTER, "authority");

/** A certificate that is ready to be stored. */
export interface Made {
  readonly facts: Omit<CertificateFacts, "version">;
  /** Chain and key. */
  readonly pem: string;
}

/** Makes the authority unless there is one. Two servers that try at once make one. */
export async function ensureAuthority(input: {
  readonly store: Store;
  readonly vault: Vault;
  readonly cluster: string;
  readonly now: number;
  readonly leadership: readonly Compare[];
}): Promise<void> {
  const { store, vault, cluster, now, leadership } = input;
  const key = keys.authority();
  if ((await store.get(key)).entry !== undefined) return;
  const { certificate, key: secret } = await makeAuthority({ cluster, now });
  const { subject, fingerprint, notBefore, notAfter } = factsOfPem(certificate);
  const value: Authority = {
    certificate,
    subject,
    fingerprint,
    notBefore,
    notAfter,
    createdAt: now,
  };
  const absent: Compare = { key, target: "version", op: "=", value: 0 };
  await store.txn({
    compare: [...leadership, absent],
    then: [{ kind: "put", key, value: encode(value) }, vault.put(AUTHORITY_KEY, secret)],
  });
}

/** A certificate of the cluster's authority. */
export async function issueFromAuthority(input: {
  readonly authority: Authority;
  readonly vault: Vault;
  readonly hosts: readonly string[];
  readonly now: number;
  readonly signal: AbortSignal;
}): Promise<Made> {
  const { authority, vault, hosts, now, signal } = input;
  const issuer: Issued = {
    certificate: authority.certificate,
    key: await vault.open(AUTHORITY_KEY, signal),
  };
  const { certificate, key } = await issueLeaf({ authority: issuer, hosts, now });
  const facts = { ...factsOfPem(certificate), source: "cluster-ca" as const };
  return { facts, pem: `${certificate.trim()}\n${key.trim()}\n` };
}

/** Certificates of members: 30 days, by the cluster's authority, for keys that never leave their hosts. */

import { createHash } from "node:crypto";
import { DAY_MS } from "@berth/base";
import {
  type Authority,
  identityUri,
  type MemberCertificate,
  ProtocolError,
} from "@berth/protocol";
import { AUTHORITY_KEY } from "../certificates/authority.ts";
import { factsOfPem } from "../certificates/read-certificate.ts";
import type { Vault } from "../certificates/vault.ts";
import { issueIdentity, keyOfRequest } from "../certificates/x509.ts";

/** Renewed at half of it: two weeks remain for a server that is away. */
export const MEMBER_LIFETIME_MS = 30 * DAY_MS;

/** A public key that somebody has the private one of. */
export interface MemberKey {
  readonly der: Uint8Array;
  /** SHA-256 of it, hexadecimal. */
  readonly hash: string;
}

/** @throws ProtocolError `invalid_certificate` for what is no signing request with an EC P-256 key. */
export async function readMemberKey(signingRequest: string): Promise<MemberKey> {
  const der = await keyOfRequest(signingRequest);
  if (der !== undefined) return { der, hash: createHash("sha256").update(der).digest("hex") };
  const message = "this is no signing request (PKCS #10 as PEM) with a key of the curve P-256";
  throw new ProtocolError("invalid_certificate", message);
}

export async function issueMember(input: {
  readonly authority: Authority;
  readonly vault: Vault;
  readonly cluster: string;
  readonly node: string;
  readonly member: string;
  readonly key: MemberKey;
  readonly now: number;
}): Promise<MemberCertificate> {
  const { authority, vault, cluster, node, member, key, now } = input;
  const certificate = await issueIdentity({
    authority: { certificate: authority.certificate, key: await vault.open(AUTHORITY_KEY) },
    publicKeyDer: key.der,
    uri: identityUri({ kind: "node", cluster, node, member }),
    now,
    lifetimeMs: MEMBER_LIFETIME_MS,
  });
  const { notAfter } = factsOfPem(certificate);
  return { cluster, node, certificate, authority: authority.certificate, notAfter };
}

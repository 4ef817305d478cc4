/**
 * Who a certificate of a cluster's authority speaks for, as the URI among its names.
 *
 * Certificates for routes come from the same authority and nodes hold their keys, so a host name proves nothing
 * about a server or a node: only these URIs do, and nobody can ask for one (hosts of routes are names and
 * addresses). ADR 37.
 */

/** The identity in a certificate. */
export type Identity =
  | { readonly kind: "server"; readonly cluster: string }
  | {
      readonly kind: "node";
      readonly cluster: string;
      readonly node: string;
      /** Made anew with every join: a node that was removed and joined again is another member. */
      readonly member: string;
    };

/** `berth://c0ffee00/server`, `berth://c0ffee00/node/node-2/5f1e...`. */
export function identityUri(identity: Identity): string {
  const { cluster } = identity;
  if (identity.kind === "server") return `berth://${cluster}/server`;
  return `berth://${cluster}/node/${identity.node}/${identity.member}`;
}

const PATTERN =
  /(?:^|, )URI:berth:\/\/([a-z0-9]{1,40})\/(?:(server)|node\/([a-z0-9-]{1,63})\/([a-z0-9]{1,40}))(?:$|,)/;

/** Reads a certificate's names as Node prints them (`DNS:a, URI:b`); `undefined` when it speaks for nobody. */
export function parseIdentity(subjectAltName: string | undefined): Identity | undefined {
  const match = PATTERN.exec(subjectAltName ?? "");
  if (match === null) return undefined;
  const [, cluster = "", server, node = "", member = ""] = match;
  return server === undefined
    ? { kind: "node", cluster, node, member }
    : { kind: "server", cluster };
}

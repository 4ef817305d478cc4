/** Whom the certificate of a connection speaks for. */

/** A member, by a certificate of this cluster's authority (perhaps expired); or somebody else. */
export type Peer =
  | {
      readonly kind: "member";
      readonly node: string;
      readonly member: string;
      /** End of the certificate. */
      readonly notAfter: number;
    }
  /** Another server of this cluster. */
  | { readonly kind: "server" }
  | { readonly kind: "foreign"; readonly why: string };

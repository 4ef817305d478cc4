/**
 * Reads whom the certificate of a TLS connection speaks for.
 *
 * The chain is checked here and not by the handshake, so that a foreign or expired certificate is answered with
 * a word that its holder can act on. Cost: one signature check a connection.
 */

import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { parseIdentity } from "@berth/protocol";
import type { Peer } from "../api/peer.ts";

export class PeerReader {
  readonly #authority: X509Certificate;
  readonly #known = new WeakMap<Socket, Peer | "none">();

  /** `authority` as PEM. */
  constructor(authority: string) {
    this.#authority = new X509Certificate(authority);
  }

  /** `undefined` when the other side showed no certificate. */
  of(socket: Socket): Peer | undefined {
    const known = this.#known.get(socket);
    if (known !== undefined) return known === "none" ? undefined : known;
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    const peer = certificate === undefined ? "none" : this.#read(certificate);
    this.#known.set(socket, peer);
    return peer === "none" ? undefined : peer;
  }

  #read(certificate: X509Certificate): Peer {
    const isOurs =
      certificate.checkIssued(this.#authority) && certificate.verify(this.#authority.publicKey);
    if (!isOurs) return { kind: "foreign", why: "another authority made your certificate" };
    const identity = parseIdentity(certificate.subjectAltName);
    if (identity === undefined) {
      return { kind: "foreign", why: "your certificate is not that of a node or server" };
    }
    if (identity.kind === "server") {
      // Servers renew at half of a month: one whose certificate has expired is no server any more.
      const isOver = Date.parse(certificate.validTo) <= Date.now();
      return isOver
        ? { kind: "foreign", why: "your certificate as a server has expired" }
        : { kind: "server" };
    }
    const { node, member } = identity;
    return { kind: "member", node, member, notAfter: Date.parse(certificate.validTo) };
  }
}

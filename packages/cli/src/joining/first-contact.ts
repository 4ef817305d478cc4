/**
 * The first connection to a cluster, by which only its authority's fingerprint is known: takes the authority
 * that the server shows when the fingerprint is right. Everything after that is checked against the authority.
 */

import { X509Certificate } from "node:crypto";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { SECOND_MS } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { parseTarget } from "@berth/protocol/client/http-client";

const CONNECT_TIMEOUT_MS = 10 * SECOND_MS;

/** `A1:B2...` or without colons, upper or lower case. */
export function normalFingerprint(text: string): string {
  const digits = text
    .replace(/^sha256[:=]?/i, "")
    .replaceAll(":", "")
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  const message = `"${text}" is no fingerprint: expected 64 hexadecimal digits, as berth node join prints them`;
  throw new ProtocolError("invalid_request", message);
}

/**
 * The authority's certificate as PEM.
 *
 * @throws ProtocolError `foreign_cluster` when another authority is shown, `unavailable` when nobody answers.
 */
export async function authorityAt(url: string, fingerprint: string): Promise<string> {
  const wanted = normalFingerprint(fingerprint);
  const shown = await shownBy(url);
  const found = shown.find((each) => normalFingerprint(each.fingerprint256) === wanted);
  if (found !== undefined) return found.toString();
  const message = `the server at ${url} belongs to another cluster than the command is for: its authority has the fingerprint ${shown.at(-1)?.fingerprint256 ?? "(none)"}`;
  throw new ProtocolError("foreign_cluster", message, { url });
}

/** The certificates that the server shows, its own first. */
function shownBy(url: string): Promise<X509Certificate[]> {
  const target = parseTarget(url);
  if (target.kind === "unix" || !target.secure) {
    const message = `"${url}" is no address of a cluster; expected https://HOST:7711`;
    throw new ProtocolError("invalid_request", message, { url });
  }
  const { host, port } = target;
  return new Promise((resolve, reject) => {
    // Whom we speak to is decided by the fingerprint; nothing is sent before.
    const socket = connect({ host, port, rejectUnauthorized: false, minVersion: "TLSv1.3" }, () => {
      const chain = chainOf(socket.getPeerCertificate(true));
      socket.destroy();
      resolve(chain);
    });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new TimedOut()));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const message = `cannot reach ${host}:${port}: ${error.code ?? error.message}`;
      const advice = "check the address, and that no firewall between the hosts stops this port";
      reject(new ProtocolError("unavailable", message, { url, advice }, { cause: error }));
    });
  });
}

class TimedOut extends Error {
  readonly code = "no answer in time";
}

function chainOf(certificate: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let one: DetailedPeerCertificate | undefined = certificate;
  // The last one names itself as its issuer.
  while (one?.raw !== undefined) {
    chain.push(new X509Certificate(one.raw));
    one = one.issuerCertificate === one ? undefined : one.issuerCertificate;
  }
  return chain;
}

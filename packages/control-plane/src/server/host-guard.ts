/**
 * Refuses requests that a foreign web page makes a browser send.
 *
 * A page can point its own name at 127.0.0.1 (DNS rebinding); the browser then sends that name as `Host`.
 * So a host is an address, a name below localhost, or one that the operator listed. An `Origin` is sent by
 * browsers only: it must be such a host too. There is no CORS: no answer ever allows another origin.
 */

import { isIP } from "node:net";
import { ProtocolError } from "@berth/protocol";

export interface GuardedHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/** An IPv4 address with or without a port. */
const ADDRESS = /^(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?$/;

/** @throws ProtocolError `forbidden` for a foreign host or origin. */
export function checkHost(headers: GuardedHeaders, hostNames: readonly string[]): void {
  const { host, origin } = headers;
  // Nearly all requests: an address is ours, and reading it as a URL costs as much as the rest of the check.
  const address = host === undefined ? undefined : ADDRESS.exec(host)?.[1];
  if (origin === undefined && address !== undefined && isIP(address) === 4) return;
  if (host === undefined || !isOurs(nameOf(`http://${host}`), hostNames)) {
    throw new ProtocolError("forbidden", "the request is for another host", { host });
  }
  if (origin !== undefined && !isOurs(nameOf(origin), hostNames)) {
    throw new ProtocolError("forbidden", "the request comes from a foreign page", { origin });
  }
}

function nameOf(url: string): string {
  return (
    URL.parse(url)
      ?.hostname.replace(/^\[(.*)\]$/, "$1")
      .toLowerCase() ?? ""
  );
}

function isOurs(name: string, hostNames: readonly string[]): boolean {
  if (isIP(name) !== 0 || name === "localhost" || name.endsWith(".localhost")) return true;
  return hostNames.includes(name);
}

/**
 * Names of hosts as certificates and routes have them: what is one, and which certificate is good for
 * which host. Pure.
 *
 * A certificate's `*.example.com` stands for exactly one label (RFC 6125), a route's for one or more: a
 * route with a wildcard is served by the certificate of that very wildcard, which browsers take for the
 * names one label below it.
 */

import { isIP } from "node:net";

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** RFC 1035: 255 bytes on the wire. */
const HOST_CHARS_MAX = 253;

/** Lower case, no dot at the end: the form in which hosts are compared. */
export function plainHost(text: string): string {
  return text.trim().toLowerCase().replace(/\.$/, "");
}

/** What is wrong with `host` (in plain form) as a host of a certificate; `undefined` when it is one. */
export function hostProblem(host: string): string | undefined {
  if (isIP(host) !== 0) return undefined;
  const name = host.startsWith("*.") ? host.slice(2) : host;
  if (name.includes("*")) return `${host} has a * elsewhere than as its first label`;
  const fits = host.length <= HOST_CHARS_MAX && name.split(".").every((label) => LABEL.test(label));
  return fits ? undefined : `${host} is neither a host name nor an IP address`;
}

export function isWildcard(host: string): boolean {
  return host.startsWith("*.");
}

/** How well a certificate for `names` serves `host`: by its very name, by a wildcard, or not. */
export function coverage(names: readonly string[], host: string): "exact" | "wildcard" | undefined {
  const wanted = plainHost(host);
  const plain = names.map(plainHost);
  if (plain.includes(wanted)) return "exact";
  if (isIP(wanted) !== 0 || isWildcard(wanted)) return undefined;
  const dot = wanted.indexOf(".");
  return dot > 0 && plain.includes(`*${wanted.slice(dot)}`) ? "wildcard" : undefined;
}

/** Whether `host` is one of `patterns` or, for `*.example.com`, anywhere below it. */
export function isAmong(patterns: readonly string[], host: string): boolean {
  const wanted = plainHost(host).replace(/^\*\./, "");
  return patterns.map(plainHost).some((pattern) => {
    if (!isWildcard(pattern)) return pattern === plainHost(host);
    return wanted.endsWith(pattern.slice(1)) || plainHost(host) === pattern;
  });
}

/** `localhost` and below: names of one machine, which no authority outside can vouch for. */
export function isOfThisMachine(host: string): boolean {
  const name = plainHost(host).replace(/^\*\./, "");
  return name === "localhost" || name.endsWith(".localhost");
}

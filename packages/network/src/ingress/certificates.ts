/**
 * Certificates as HAProxy is given them: which can be used, the list that tells which host gets which, and
 * the commands that bring a running worker to another list.
 *
 * A certificate's file is named by its content, so a renewed one is another file: it is added before the old
 * one goes, and what a worker has can be read from its list. Only the default one keeps its place, the first of
 * the list, and is exchanged there. Reading PEM is the one thing here that costs: about 0.1 ms each.
 */

import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import type { CertificateModel, HttpRouteModel, TlsVersion } from "../model.ts";
import type { NetProblem } from "../report.ts";

/** What the last call found: a model comes with every copy, certificates stay for months. */
let checked = new Map<string, string | undefined>();

/** Those that can be used, the default first; the others become problems. */
export function usableCertificates(
  certificates: readonly CertificateModel[],
  problems: NetProblem[],
): CertificateModel[] {
  const before = checked;
  checked = new Map();
  const usable = certificates.filter(({ id, pem }) => {
    const detail = before.has(pem) ? before.get(pem) : certificateProblem(pem);
    checked.set(pem, detail);
    if (detail === undefined) return true;
    problems.push({ code: "certificate_invalid", id, detail });
    return false;
  });
  return usable.sort(
    (a, b) => Number(b.default ?? false) - Number(a.default ?? false) || (a.id < b.id ? -1 : 1),
  );
}

/** Why HAProxy could not use it. Never repeats any of it. */
export function certificateProblem(pem: string): string | undefined {
  const blocks = pemBlocks(pem);
  const chain = blocks.filter((block) => block.startsWith("-----BEGIN CERTIFICATE-----"));
  const key = blocks.find((block) => /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(block));
  const [leaf] = chain;
  if (leaf === undefined) return "there is no certificate in it";
  if (key === undefined) return "there is no private key in it";
  try {
    for (const each of chain.slice(1)) new X509Certificate(each);
    if (new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key))) return undefined;
    return "its private key is another certificate's";
  } catch {
    return "its certificate or key cannot be read";
  }
}

function pemBlocks(pem: string): string[] {
  return pem.match(/-----BEGIN [A-Z0-9 ]+-----[\s\S]+?-----END [A-Z0-9 ]+-----/g) ?? [];
}

/** The blocks alone, without blank lines: a blank line would end it on HAProxy's command socket. */
export function tidyPem(pem: string): string {
  const lines = pemBlocks(pem).flatMap((block) => block.split(/\r?\n/));
  return `${lines
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .join("\n")}\n`;
}

/** A line of the list: a file, the oldest TLS for these hosts, the hosts. */
export interface ListedCertificate {
  readonly file: string;
  readonly pem: string;
  /** Hosts in HAProxy's words; never empty, which would mean every name in the certificate. */
  readonly filters: string;
}

/**
 * The default one is listed for nobody's name: without one, HAProxy would give it out for every name in it,
 * before those of a route's own certificate.
 */
const NOBODY = "default.invalid";

/**
 * The list for HAProxy: the default one, then a line for each certificate with hosts. `versions` are hosts whose routes want another oldest TLS: they get a line with the
 * certificate that they have anyway.
 */
export function listedCertificates(
  certificates: readonly CertificateModel[],
  routes: readonly HttpRouteModel[],
  folder: string,
): ListedCertificate[] {
  const [first] = certificates;
  if (first === undefined) return [];
  const head = { file: `${folder}/default.pem`, pem: tidyPem(first.pem), filters: NOBODY };
  const lines = certificates
    .filter(({ hosts }) => hosts.length > 0)
    .map(({ pem, hosts }) => ({
      // No colon, which HAProxy's commands would take for a line's number.
      file: `${folder}/${digest(tidyPem(pem))}.pem`,
      pem: tidyPem(pem),
      hosts: hosts.map((host) => host.toLowerCase()),
    }));
  const versions = [...versionsOf(routes)].map(([host, version]) => {
    const { file, pem } =
      lines.find(({ hosts }) => hosts.some((name) => covers(name, host))) ?? head;
    return { file, pem, filters: `[ssl-min-ver TLSv${version}] ${host}` };
  });
  const listed = lines.map(({ file, pem, hosts }) => ({ file, pem, filters: hosts.join(" ") }));
  return [head, ...versions, ...listed];
}

function versionsOf(routes: readonly HttpRouteModel[]): ReadonlyMap<string, TlsVersion> {
  const versions = new Map<string, TlsVersion>();
  for (const { hosts, tlsVersionMin, tls } of routes) {
    if (tlsVersionMin === undefined || tls === "off") continue;
    for (const host of hosts) {
      if (host === "*") continue;
      const name = host.toLowerCase();
      if (versions.get(name) !== "1.3") versions.set(name, tlsVersionMin);
    }
  }
  return versions;
}

/** A certificate's wildcard stands for one label. */
function covers(name: string, host: string): boolean {
  if (name === host) return true;
  return name.startsWith("*.") && host.slice(host.indexOf(".")) === name.slice(1);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** The file that HAProxy starts with. */
export function certificateList(listed: readonly ListedCertificate[]): string {
  return listed.map(({ file, filters }) => `${`${file} ${filters}`.trimEnd()}\n`).join("");
}

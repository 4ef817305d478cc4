/**
 * Makes certificates and signing requests. The only place that knows the X.509 library, which is loaded at
 * the first use: it takes 60 ms that most starts of the server do not need. ADR 25.
 */

import { createPrivateKey, generateKeyPairSync, randomBytes, type webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { DAY_MS, HOUR_MS } from "@berth/base";

/** A certificate with its key, as PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** Ten years: whoever installs it in a browser wants to do that once. */
const AUTHORITY_LIFETIME_MS = 3_650 * DAY_MS;
/** As Let's Encrypt's; renewal after two thirds leaves a month for whatever goes wrong. */
export const LEAF_LIFETIME_MS = 90 * DAY_MS;
/** Clients whose clocks are behind shall not find the certificate to be of the future. */
const BACKDATED_MS = HOUR_MS;
/** RFC 5280: at most 20 bytes; 128 random bits are never the same twice. */
const SERIAL_BYTES = 16;

const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

async function library() {
  return (await import("./x509-library.ts")).x509;
}

/** A new private key: EC P-256, PKCS #8 as PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return String(privateKey.export({ type: "pkcs8", format: "pem" }));
}

/** Public and private half for the library. */
async function keysOf(pem: string) {
  const jwk = createPrivateKey(pem).export({ format: "jwk" });
  const { d: _secret, ...publicJwk } = jwk;
  return {
    privateKey: await crypto.subtle.importKey("jwk", jwk, EC, true, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", publicJwk, EC, true, ["verify"]),
  };
}

function serialNumber(): string {
  // The first bit off: a negative number would get a byte more.
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString("hex");
}

/** The cluster's own authority: self-signed, issues only directly. */
export async function makeAuthority(input: {
  readonly cluster: string;
  readonly now: number;
}): Promise<Issued> {
  const x509 = await library();
  const key = newPrivateKey();
  const keys = await keysOf(key);
  const usage = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=Berth cluster ${input.cluster},O=Berth`,
    serialNumber: serialNumber(),
    notBefore: new Date(input.now - BACKDATED_MS),
    notAfter: new Date(input.now + AUTHORITY_LIFETIME_MS),
    keys,
    signingAlgorithm: EC,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(usage, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key };
}

/** A server's certificate for `hosts` by `authority`, never longer valid than that is itself. */
export async function issueLeaf(input: {
  readonly authority: Issued;
  readonly hosts: readonly string[];
  readonly now: number;
  readonly lifetimeMs?: number;
}): Promise<Issued> {
  const { hosts, lifetimeMs = LEAF_LIFETIME_MS, ...rest } = input;
  const key = newPrivateKey();
  const { publicKey } = await keysOf(key);
  const names = namesOf(hosts);
  const certificate = await sign({ ...rest, publicKey, names, lifetimeMs, usages: ["server"] });
  return { certificate, key };
}

/** A certificate by which members of the cluster know each other; the key stays where it was made. */
export async function issueIdentity(input: {
  readonly authority: Issued;
  /** The member's public key: SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  readonly uri: string;
  /** Further names, for tools that know no identities. */
  readonly hosts?: readonly string[];
  readonly now: number;
  readonly lifetimeMs: number;
}): Promise<string> {
  const { publicKeyDer, uri, hosts = [], ...rest } = input;
  const der = new Uint8Array(publicKeyDer);
  const publicKey = await crypto.subtle.importKey("spki", der, EC, true, ["verify"]);
  const names = [{ type: "url" as const, value: uri }, ...namesOf(hosts)];
  return sign({ ...rest, publicKey, names, usages: ["server", "client"] });
}

/** A signing request of a member (PKCS #10 as PEM): its key is all that counts, names are given by us. */
export async function memberRequest(key: string): Promise<string> {
  const x509 = await library();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: "CN=Berth node",
    keys: await keysOf(key),
    signingAlgorithm: EC,
  });
  return `${request.toString("pem")}\n`;
}

/**
 * The public key (SubjectPublicKeyInfo) of a signing request whose sender has the private one; `undefined` for
 * whatever else it is: not PEM, another kind of key, a signature by another key.
 */
export async function keyOfRequest(pem: string): Promise<Uint8Array | undefined> {
  const x509 = await library();
  try {
    const request = new x509.Pkcs10CertificateRequest(pem);
    // A key of another kind or curve cannot be read as one of ours, and throws.
    await crypto.subtle.importKey("spki", request.publicKey.rawData, EC, true, ["verify"]);
    if (!(await request.verify())) return undefined;
    return new Uint8Array(request.publicKey.rawData);
  } catch {
    return undefined;
  }
}

interface Signing {
  readonly authority: Issued;
  readonly publicKey: webcrypto.CryptoKey;
  readonly names: { type: "dns" | "ip" | "url"; value: string }[];
  readonly usages: readonly ("server" | "client")[];
  readonly now: number;
  readonly lifetimeMs: number;
}

/** A certificate as PEM, never longer valid than that of the authority. */
async function sign(input: Signing): Promise<string> {
  const x509 = await library();
  const { publicKey } = input;
  const issuer = new x509.X509Certificate(input.authority.certificate);
  const signing = await keysOf(input.authority.key);
  const wanted = input.now + input.lifetimeMs;
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const usages = input.usages.map((usage) => (usage === "server" ? serverAuth : clientAuth));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    issuer: issuer.subject,
    notBefore: new Date(input.now - BACKDATED_MS),
    notAfter: new Date(Math.min(wanted, issuer.notAfter.getTime())),
    publicKey,
    signingKey: signing.privateKey,
    signingAlgorithm: EC,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages, false),
      // Without a subject the names must be critical (RFC 5280, 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(input.names, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** A signing request (PKCS #10) for `hosts`, as DER in base64url: what ACME wants. */
export async function signingRequest(input: {
  readonly hosts: readonly string[];
  readonly key: string;
}): Promise<string> {
  const x509 = await library();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await keysOf(input.key),
    signingAlgorithm: EC,
    extensions: [new x509.SubjectAlternativeNameExtension(namesOf(input.hosts))],
  });
  return Buffer.from(request.rawData).toString("base64url");
}

function namesOf(hosts: readonly string[]): { type: "dns" | "ip"; value: string }[] {
  return hosts.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }));
}

/**
 * Reads a certificate chain with its key and says everything that is wrong with it: whoever hands one in
 * learns now what clients would refuse later, and HAProxy never meets a file that it cannot load.
 *
 * Pure but for the parsing, which is Node's (OpenSSL's). Nothing of the key is in any message.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateFacts } from "@berth/protocol";

/** What was read, without the version under which it will be kept. */
export type ReadFacts = Omit<CertificateFacts, "version" | "source">;

export type ReadResult =
  | {
      readonly kind: "read";
      readonly facts: ReadFacts;
      /** Certificate, chain and key, normalised: what HAProxy loads. */
      readonly pem: string;
    }
  | { readonly kind: "wrong"; readonly problems: readonly string[] };

/** Certificates of a chain: real ones have two to four. */
const CHAIN_MAX = 10;
/** Below, OpenSSL's default level and every browser refuse. */
const RSA_BITS_MIN = 2_048;
/** Broken digests: OpenSSL's default level does not load such a certificate at all. */
const WEAK_DIGEST = /^(md5|sha1|ecdsa-with-sha1$)/i;
/** Purposes (RFC 5280, 4.2.1.12): a certificate that states some must state this one. */
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_PURPOSE = "2.5.29.37.0";

interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/** The blocks of a PEM text in order; what stands between them is skipped, as everybody does. */
export function pemBlocks(text: string): PemBlock[] {
  const pattern = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;
  return [...text.matchAll(pattern)].map(([block, label = ""]) => ({
    label,
    text: `${block.replaceAll("\r", "")}\n`,
  }));
}

/** Reads and checks. All problems are told, not only the first. */
export function readCertificate(input: {
  readonly certificate: string;
  readonly key: string;
  readonly now: number;
}): ReadResult {
  const chain = readChain(input.certificate);
  const key = readKey(input.key);
  const problems = [...chain.problems, ...key.problems];
  const { key: privateKey } = key;
  if (chain.certificates.length === 0 || privateKey === undefined)
    return { kind: "wrong", problems };
  const owner = chain.certificates.findIndex((each) => each.checkPrivateKey(privateKey));
  const leaf = chain.certificates[Math.max(owner, 0)];
  if (leaf === undefined) return { kind: "wrong", problems };
  problems.push(...orderProblems(chain.certificates, owner), ...leafProblems(leaf, input.now));
  if (problems.length > 0) return { kind: "wrong", problems };
  const keyPem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  const pem = [...chain.certificates.map(String), keyPem]
    .map((text) => `${text.trim()}\n`)
    .join("");
  return { kind: "read", facts: factsOf(chain.certificates, leaf), pem };
}

/** What is wrong with a text of certificates that others are to be checked against. */
export function bundleProblem(text: string): string | undefined {
  const blocks = pemBlocks(text).filter(({ label }) => label.endsWith("CERTIFICATE"));
  if (blocks.length === 0) return "the CA bundle holds no certificate in PEM form";
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block.text);
    } catch {
      return `certificate ${index + 1} of the CA bundle cannot be read: it is damaged`;
    }
  }
  return undefined;
}

/** The facts of the first certificate of a PEM text that is known to be sound. */
export function factsOfPem(pem: string): ReadFacts {
  const { certificates } = readChain(pem);
  const [leaf] = certificates;
  if (leaf === undefined) throw new RangeError("the text holds no certificate");
  return factsOf(certificates, leaf);
}

function factsOf(chain: readonly X509Certificate[], leaf: X509Certificate): ReadFacts {
  return {
    subject: oneLine(leaf.subject),
    issuer: oneLine(leaf.issuer),
    serial: leaf.serialNumber,
    fingerprint: leaf.fingerprint256,
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    hosts: hostsOf(leaf),
    key: keyWords(leaf.publicKey),
    chainLength: chain.length,
  };
}

function readChain(text: string) {
  const blocks = pemBlocks(text).filter(({ label }) => label.endsWith("CERTIFICATE"));
  const certificates: X509Certificate[] = [];
  const problems: string[] = [];
  if (blocks.length === 0) {
    problems.push(
      "the certificate file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
    );
  }
  if (blocks.length > CHAIN_MAX) {
    problems.push(`the chain has ${blocks.length} certificates, at most ${CHAIN_MAX}`);
  }
  for (const [index, block] of blocks.slice(0, CHAIN_MAX).entries()) {
    try {
      certificates.push(new X509Certificate(block.text));
    } catch {
      problems.push(`certificate ${index + 1} of the file cannot be read: it is damaged`);
    }
  }
  return { certificates: problems.length > 0 ? [] : certificates, problems };
}

function readKey(text: string): { readonly key?: KeyObject; readonly problems: string[] } {
  const block = pemBlocks(text).find(({ label }) => label.endsWith("PRIVATE KEY"));
  if (block === undefined) {
    return {
      problems: ["the key file holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"],
    };
  }
  if (block.label.startsWith("ENCRYPTED") || block.text.includes("Proc-Type: 4,ENCRYPTED")) {
    const advice = "openssl pkey -in key.pem -out plain.pem";
    return { problems: [`the key is protected by a passphrase: take that off first (${advice})`] };
  }
  try {
    const key = createPrivateKey(block.text);
    const bits = key.asymmetricKeyDetails?.modulusLength;
    const isWeak = key.asymmetricKeyType === "rsa" && bits !== undefined && bits < RSA_BITS_MIN;
    if (!isWeak) return { key, problems: [] };
    const words = `the key has ${bits} bits, at least ${RSA_BITS_MIN} are needed for RSA`;
    return { problems: [words] };
  } catch {
    return { problems: ["the key cannot be read: it is damaged"] };
  }
}

/** `owner`: which certificate of the chain the key belongs to, -1 for none. */
function orderProblems(chain: readonly X509Certificate[], owner: number): string[] {
  if (owner === 0) return chainProblems(chain);
  if (owner < 0) return [`the key does not belong to the certificate of ${subjectOf(chain[0])}`];
  return [
    `the chain is in the wrong order: the key's own certificate is number ${owner + 1}, it must be the first`,
  ];
}

/** Each certificate must have been issued by the next one. */
function chainProblems(chain: readonly X509Certificate[]): string[] {
  return chain.flatMap((certificate, index) => {
    const issuer = chain[index + 1];
    if (issuer === undefined) return [];
    if (certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)) return [];
    return [
      `certificate ${index + 1} (${subjectOf(certificate)}) was not issued by certificate ${index + 2} (${subjectOf(issuer)}), but by ${oneLine(certificate.issuer)}`,
    ];
  });
}

function leafProblems(leaf: X509Certificate, now: number): string[] {
  const problems: string[] = [];
  const from = Date.parse(leaf.validFrom);
  const to = Date.parse(leaf.validTo);
  if (to <= now) problems.push(`the certificate expired at ${new Date(to).toISOString()}`);
  if (from > now) {
    problems.push(`the certificate is not valid before ${new Date(from).toISOString()}`);
  }
  if (hostsOf(leaf).length === 0) {
    problems.push("the certificate names no host (subjectAltName): clients look nowhere else");
  }
  const purposes = leaf.keyUsage ?? [];
  if (
    purposes.length > 0 &&
    !purposes.some((each) => each === SERVER_AUTH || each === ANY_PURPOSE)
  ) {
    problems.push("the certificate is not meant for servers (extendedKeyUsage lacks serverAuth)");
  }
  const { publicKey, signatureAlgorithm } = leaf;
  if (WEAK_DIGEST.test(signatureAlgorithm ?? "") && leaf.subject !== leaf.issuer) {
    problems.push(`the certificate is signed with ${signatureAlgorithm}, which clients refuse`);
  }
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? RSA_BITS_MIN;
  if (bits < RSA_BITS_MIN)
    problems.push(`the certificate's key has ${bits} bits, at least ${RSA_BITS_MIN} are needed`);
  return problems;
}

/** DNS names and addresses of the subjectAltName. Other kinds of names are nothing that a route has. */
function hostsOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? "")
    .split(", ")
    .flatMap((entry) => {
      if (entry.startsWith("DNS:")) return [entry.slice("DNS:".length).toLowerCase()];
      if (entry.startsWith("IP Address:")) return [entry.slice("IP Address:".length).toLowerCase()];
      return [];
    })
    .filter((host) => host !== "" && !host.startsWith('"'));
}

function subjectOf(certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return "nobody";
  const subject = oneLine(certificate.subject);
  return subject === "" ? (hostsOf(certificate)[0] ?? "an unnamed subject") : subject;
}

/** OpenSSL gives one attribute a line. Absent for certificates that name hosts only. */
function oneLine(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function keyWords(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined) return `RSA ${modulusLength}`;
  if (namedCurve !== undefined) return `EC ${CURVES[namedCurve] ?? namedCurve}`;
  return key.asymmetricKeyType ?? "unknown";
}

/**
 * Certificates of routes, who issues them, and every step of getting one. Private keys are in none of
 * these: they lie sealed in the store and go to the nodes that serve with them, nowhere else.
 *
 * Design page: docs/design/certificates.md
 */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** Hosts of one certificate: what Let's Encrypt allows, and enough for any. */
export const CERTIFICATE_HOSTS_MAX = 100;
/** Certificate chain or key as PEM text: a chain of ten with RSA-4096 is 25 KB. */
export const PEM_CHARS_MAX = 100_000;

/** A certificate's name: often the host itself, `shop.example.com` or `*.example.com`. */
export const CERTIFICATE_NAME_PATTERN = "^[a-z0-9*]([a-z0-9._*-]{0,251}[a-z0-9])?$";
export const CertificateName = Type.String({ pattern: CERTIFICATE_NAME_PATTERN, maxLength: 253 });

/** A DNS name, `*.` and a DNS name, or an IP address; lower case. Checked closely by the server. */
export const CertificateHost = Type.String({ minLength: 1, maxLength: 253 });

export const CERTIFICATE_SOURCES = {
  file: "Handed in by a person with its key; never renewed by the platform.",
  "cluster-ca": "Issued by the cluster's own authority, which browsers trust once it is installed.",
  acme: "Issued by an ACME server (RFC 8555) that an administrator has set.",
} as const satisfies Readonly<Record<string, string>>;
export type CertificateSource = keyof typeof CERTIFICATE_SOURCES;
const Source = Type.Union([Type.Literal("file"), Type.Literal("cluster-ca"), Type.Literal("acme")]);

export const CERTIFICATE_STATES = {
  pending: "There is none yet; it is being issued.",
  valid: "It is there and does not need attention.",
  failing: "The last attempt to get a new one failed; it is tried again.",
  expiring: "It is there, but should have been replaced by now.",
  expired: "Its time is over; clients refuse it.",
} as const satisfies Readonly<Record<string, string>>;
export type CertificateState = keyof typeof CERTIFICATE_STATES;
const State = Type.Union([
  Type.Literal("pending"),
  Type.Literal("valid"),
  Type.Literal("failing"),
  Type.Literal("expiring"),
  Type.Literal("expired"),
]);

/** What a certificate says. Written by the server when it is issued or handed in. */
export const CertificateFacts = Type.Object({
  /** Names chain and key in the store; another one with every issue. */
  version: Type.String(),
  source: Source,
  subject: Type.String(),
  issuer: Type.String(),
  serial: Type.String(),
  /** SHA-256 of the certificate, `AB:CD:...` as openssl prints it. */
  fingerprint: Type.String(),
  notBefore: Timestamp,
  notAfter: Timestamp,
  /** The names that it is good for. */
  hosts: Type.Array(Type.String()),
  /** `EC P-256`, `RSA 2048` */
  key: Type.String(),
  /** Certificates in the chain, its own included. */
  chainLength: Type.Integer({ minimum: 1 }),
});
export type CertificateFacts = Of<typeof CertificateFacts>;

export const ACME_STEP_KINDS = {
  account: "the account at the ACME server",
  order: "the order for all hosts",
  authorization: "what the ACME server wants proved for a host",
  ingress: "the nodes answer the challenge over HTTP",
  present: "the hook makes the DNS record",
  propagation: "the authoritative DNS servers have the record",
  challenge: "the ACME server was told to look",
  validation: "the ACME server looked",
  finalize: "the signing request",
  download: "the certificate",
  cleanup: "the hook removes the DNS record",
} as const satisfies Readonly<Record<string, string>>;
export type AcmeStepKind = keyof typeof ACME_STEP_KINDS;

/** One step of an order, as it went. Written by the server. */
export const AcmeStep = Type.Object({
  at: Timestamp,
  kind: Type.Union([
    Type.Literal("account"),
    Type.Literal("order"),
    Type.Literal("authorization"),
    Type.Literal("ingress"),
    Type.Literal("present"),
    Type.Literal("propagation"),
    Type.Literal("challenge"),
    Type.Literal("validation"),
    Type.Literal("finalize"),
    Type.Literal("download"),
    Type.Literal("cleanup"),
  ]),
  host: Type.Optional(Type.String()),
  outcome: Type.Union([Type.Literal("done"), Type.Literal("waiting"), Type.Literal("failed")]),
  /** What was answered, in its own words. */
  message: Type.String(),
});
export type AcmeStep = Of<typeof AcmeStep>;

/** Where one host of an order stands. Written by the server. */
export const AcmeAuthorization = Type.Object({
  url: Type.String(),
  /** Absent until the ACME server was asked. A wildcard's is the name below it. */
  host: Type.Optional(Type.String()),
  wildcard: Type.Optional(Type.Boolean()),
  /** As the ACME server calls it. */
  status: Type.Optional(Type.String()),
  challenge: Type.Optional(Type.String()),
  challengeUrl: Type.Optional(Type.String()),
  /** Of the challenge: public, and worth nothing without the account's key. */
  token: Type.Optional(Type.String()),
  presentedAt: Type.Optional(Timestamp),
  /** The DNS servers have the record, or the nodes answer. */
  visibleAt: Type.Optional(Timestamp),
  respondedAt: Type.Optional(Timestamp),
  cleanedAt: Type.Optional(Timestamp),
});
export type AcmeAuthorization = Of<typeof AcmeAuthorization>;

/** The order under way, or the last one. Written by the server, before and after every call. */
export const AcmeOrder = Type.Object({
  id: Type.String(),
  directory: Type.String(),
  startedAt: Timestamp,
  /** Before this, an order may have been made whose answer never came. */
  askedAt: Type.Optional(Timestamp),
  url: Type.Optional(Type.String()),
  finalizeUrl: Type.Optional(Type.String()),
  expiresAt: Type.Optional(Timestamp),
  state: Type.Union([
    Type.Literal("new"),
    Type.Literal("authorizing"),
    Type.Literal("finalizing"),
    Type.Literal("done"),
    Type.Literal("failed"),
  ]),
  endedAt: Type.Optional(Timestamp),
  authorizations: Type.Array(AcmeAuthorization),
  /** Transient failures in a row of the step under way. */
  retries: Type.Integer({ minimum: 0 }),
  /** Not asked again before this. */
  waitUntil: Type.Optional(Timestamp),
  steps: Type.Array(AcmeStep),
});
export type AcmeOrder = Of<typeof AcmeOrder>;

/** A certificate that routes are served with. */
export const Certificate = Type.Object({
  /** `-` for both: for every environment of the cluster. */
  project: Type.String(),
  environment: Type.String(),
  name: Type.String(),
  /** What it is wanted for. Written by users, or by the server for automatic ones. */
  hosts: Type.Array(Type.String()),
  source: Source,
  /** Made because a route wants it, and removed when none does any more. */
  automatic: Type.Boolean(),
  createdAt: Timestamp,
  /** What is served. Written by the server. */
  current: Type.Optional(CertificateFacts),
  /** As of the last look. Written by the server. */
  state: State,
  /** When the next one is asked for: two thirds of the lifetime. Absent for files. Written by the server. */
  renewAt: Type.Optional(Timestamp),
  /** A person asked for a new one. Written by users. */
  renewRequestedAt: Type.Optional(Timestamp),
  /** A person removed it; it goes when its order has left nothing behind. Written by users. */
  removeRequestedAt: Type.Optional(Timestamp),
  /** No route has needed it since. Written by the server. */
  unneededSince: Type.Optional(Timestamp),
  /** Attempts that failed since the last success; the pause grows with it. Written by the server. */
  failuresInRow: Type.Integer({ minimum: 0 }),
  nextAttemptAt: Type.Optional(Timestamp),
  lastError: Type.Optional(
    Type.Object({
      at: Timestamp,
      /** What failed: a kind of step. */
      step: Type.String(),
      host: Type.Optional(Type.String()),
      message: Type.String(),
      advice: Type.String(),
    }),
  ),
  order: Type.Optional(AcmeOrder),
});
export type Certificate = Of<typeof Certificate>;

/** A certificate with who uses it. */
export const CertificateView = Type.Object({
  certificate: Certificate,
  /** Routes that are served with it: `default/main/shop/web shop.example.com/`. */
  usedBy: Type.Array(Type.String()),
  /** Nodes that have it, and which version. */
  nodes: Type.Array(Type.Object({ node: Type.String(), version: Type.String() })),
});
export type CertificateView = Of<typeof CertificateView>;

/** A certificate and key that a person hands in. */
export const CertificateUpload = Type.Object(
  {
    /** The certificate, then the rest of its chain, as PEM. */
    certificate: Type.String({ maxLength: PEM_CHARS_MAX }),
    /** The private key as PEM, not encrypted. Stored sealed, never answered. */
    key: Type.String({ maxLength: PEM_CHARS_MAX }),
  },
  { additionalProperties: false },
);
export type CertificateUpload = Of<typeof CertificateUpload>;

/** A certificate that the platform is to get. */
export const CertificateIssue = Type.Object(
  {
    hosts: Type.Array(CertificateHost, { minItems: 1, maxItems: CERTIFICATE_HOSTS_MAX }),
    source: Type.Union([Type.Literal("cluster-ca"), Type.Literal("acme")]),
  },
  { additionalProperties: false },
);
export type CertificateIssue = Of<typeof CertificateIssue>;

/** The cluster's own authority. Written once, by the server; its key lies sealed. */
export const Authority = Type.Object({
  /** PEM. */
  certificate: Type.String(),
  subject: Type.String(),
  /** SHA-256, `AB:CD:...` */
  fingerprint: Type.String(),
  notBefore: Timestamp,
  notAfter: Timestamp,
  createdAt: Timestamp,
});
export type Authority = Of<typeof Authority>;

const Challenge = Type.Union([Type.Literal("http-01"), Type.Literal("dns-01")]);
/** An address of a DNS server with an optional port: `10.0.0.53`, `10.0.0.53#5353`, `[fd00::53]`. */
const DnsServerText = Type.String({ minLength: 2, maxLength: 64 });
const HOOK_WORDS_MAX = 32;

const acmeFields = {
  /** URL of the ACME server's directory. There is no default: nothing is contacted until it is set. */
  directory: Type.String({ pattern: "^https://", maxLength: 2_048 }),
  /** Where the ACME server may write to its customers. */
  emails: Type.Array(Type.String({ maxLength: 254 }), { maxItems: 5 }),
  /** Certificates (PEM) that the ACME server's own is checked against, instead of the system's. */
  caBundle: Type.Optional(Type.String({ maxLength: 1_000_000 })),
  /** How hosts are proved. Wildcards need `dns-01`. */
  challenge: Challenge,
  /**
   * Program and arguments of the DNS-01 hook, started without a shell as the server's user: the program's
   * absolute path first. `present` or `cleanup` is added as last argument.
   */
  hook: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 4_096 }), {
      minItems: 1,
      maxItems: HOOK_WORDS_MAX,
    }),
  ),
  /** How long one run of the hook may take, milliseconds. Default 60,000. */
  hookTimeoutMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: 600_000 })),
  /** Servers that must all have the record; those of the zone when absent. */
  dnsServers: Type.Optional(Type.Array(DnsServerText, { minItems: 1, maxItems: 16 })),
  /** How long they are waited for, milliseconds. Default 120,000. */
  propagationTimeoutMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: 3_600_000 })),
  /** Only these hosts (`*.example.com` covers every name below); every host of a route when absent. */
  only: Type.Optional(Type.Array(CertificateHost, { maxItems: 100 })),
} as const;

/** What an administrator sets for ACME. */
export const AcmeInput = Type.Object(
  {
    ...acmeFields,
    /** External account binding: what the ACME server's operator handed out. The key is stored sealed. */
    externalAccount: Type.Optional(
      Type.Object(
        {
          keyId: Type.String({ minLength: 1, maxLength: 1_024 }),
          /** Base64url of the HMAC key. */
          key: Type.String({ pattern: "^[A-Za-z0-9_+/=-]+$", maxLength: 4_096 }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type AcmeInput = Of<typeof AcmeInput>;

/** ACME as it is set, for one environment or (`-`) for all that have none of their own. */
export const AcmeSettings = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  ...acmeFields,
  externalAccountKeyId: Type.Optional(Type.String()),
  /** RFC 7638, of the cluster's one account key: what ingress nodes answer HTTP-01 challenges with. */
  thumbprint: Type.String(),
  /** The account at the directory. Written by the server. */
  accountUrl: Type.Optional(Type.String()),
  setAt: Timestamp,
});
export type AcmeSettings = Of<typeof AcmeSettings>;

/** What a node has, and asks for. */
export const NodeCertificatesRequest = Type.Object(
  {
    /** Versions that the node has, by identifier: their content is not sent again. */
    known: Type.Record(Type.String(), Type.String()),
    /** What its data plane follows by now; absent at first. */
    serving: Type.Optional(
      Type.Object({
        versions: Type.Record(Type.String(), Type.String()),
        thumbprint: Type.Optional(Type.String()),
      }),
    ),
  },
  { additionalProperties: false },
);
export type NodeCertificatesRequest = Of<typeof NodeCertificatesRequest>;

/** Everything that the node's routes are to be served with; what is not listed is not needed there. */
export const NodeCertificates = Type.Object({
  certificates: Type.Array(
    Type.Object({
      /** Key in the store, hashed: stable over renewals. */
      id: Type.String(),
      version: Type.String(),
      /** Hosts of routes (not of the certificate) that it serves. */
      hosts: Type.Array(Type.String()),
      /** For clients that name no host of ours. */
      default: Type.Optional(Type.Boolean()),
      /** Chain and key as PEM; absent when the node has this version. */
      pem: Type.Optional(Type.String()),
    }),
  ),
  acmeThumbprint: Type.Optional(Type.String()),
});
export type NodeCertificates = Of<typeof NodeCertificates>;

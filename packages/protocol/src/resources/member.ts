/** Hosts that joined: the tokens by which they may, what they show, and the certificates that they get. */

import { Type } from "typebox";
import { Name, Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** A host that joined, and by which certificate it is known. Written by the API. */
export const Member = Type.Object({
  node: Name,
  /** Stands in its certificates: one that was removed and joined again has another. */
  id: Type.String(),
  joinedAt: Timestamp,
  /** Address that it joined from. */
  address: Type.String(),
  /** SHA-256 of the public key of its newest certificate. */
  keyHash: Type.String(),
  /** End of its newest certificate. */
  notAfter: Timestamp,
});
export type Member = Of<typeof Member>;

/** A member that was removed: it is told so, and ends what it runs. Written by the API. */
export const Removal = Type.Object({ node: Name, at: Timestamp, by: Type.String() });
export type Removal = Of<typeof Removal>;

/** A token for one join, as it is kept: only its hash. Written by the API. */
export const JoinToken = Type.Object({
  id: Type.String(),
  /** SHA-256 of the token. Tokens are 256 random bits, so a slow hash adds nothing. */
  hash: Type.String(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
  /** Who had it made. */
  createdBy: Type.String(),
  /** What was asked, where an idempotency key named the call: the same call gets the same token. */
  request: Type.Optional(Type.String()),
  /** The only name that may join by it; absent: the host chooses. */
  node: Type.Optional(Name),
  /** A server may join by it, and no node: it is told the key of the secrets. */
  server: Type.Optional(Type.Literal(true)),
  /** By whom it was used. The same host with the same key may ask again: its answer was lost. */
  used: Type.Optional(Type.Object({ node: Name, keyHash: Type.String(), at: Timestamp })),
});
export type JoinToken = Of<typeof JoinToken>;

/** Longest life of a token: a week, for machines that somebody else sets up. Shortest: a minute. */
export const JOIN_TTL_MS_MAX = 7 * 24 * 3_600_000;
export const JOIN_TTL_MS_MIN = 60_000;
/** Long enough to paste a command, and to fetch packages once. */
export const JOIN_TTL_MS_DEFAULT = 3_600_000;

/** What `berth node join` asks for. */
export const JoinWish = Type.Object(
  {
    ttlMs: Type.Optional(Type.Integer({ minimum: JOIN_TTL_MS_MIN, maximum: JOIN_TTL_MS_MAX })),
    node: Type.Optional(Name),
    /** For a host that becomes a server. Known from protocol 3 on. */
    server: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type JoinWish = Of<typeof JoinWish>;

/** A token with everything that a host needs to find the cluster and to know that it is the right one. */
export const Invitation = Type.Object({
  /** The token itself: shown once, kept nowhere. */
  token: Type.String(),
  id: Type.String(),
  expiresAt: Timestamp,
  cluster: Type.String(),
  /** Where the cluster's port is reached, best first: `https://10.0.0.1:7711`. */
  urls: Type.Array(Type.String()),
  /** SHA-256 of the server's public key in base64, as curl's --pinnedpubkey takes it. */
  serverPin: Type.String(),
  /** SHA-256 of the authority's certificate: hexadecimal pairs with colons. */
  fingerprint: Type.String(),
});
export type Invitation = Of<typeof Invitation>;

/** A file that a host needs to run Berth. */
export interface SoftwareFile {
  /** `node`, or `bundle/` and the file's name. */
  readonly path: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly bytes: number;
}

/** A signing request is about 400 bytes. */
const SigningRequest = Type.String({ minLength: 1, maxLength: 4_096 });

/** What a host says before it joins, so that nothing is used up when it cannot. */
export const JoinCheck = Type.Object(
  {
    node: Name,
    /** The host's clock, milliseconds since 1970. */
    now: Timestamp,
    /** `x64`, `arm64`, as Node calls it. */
    architecture: Type.String({ maxLength: 40 }),
    /** A port on which the host waits for a connection of the server. */
    callbackPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  },
  { additionalProperties: false },
);
export type JoinCheck = Of<typeof JoinCheck>;

export const JoinCheckAnswer = Type.Object({
  cluster: Type.String(),
  version: Type.String(),
  /** The server's clock. */
  now: Timestamp,
  clusterRange: Type.String(),
  serviceRange: Type.Optional(Type.String()),
  /** Level of the cluster's formats: a host that reads less cannot join. Absent: the first. */
  formatLevel: Type.Optional(Type.Integer()),
  /** The token makes a server of the host: where the cluster's state lies. */
  server: Type.Optional(Type.Object({ storeUrl: Type.String() })),
  /** How the host looks from the server. */
  address: Type.String(),
  /** Whether the server reached `callbackPort`; absent when none was given. */
  reached: Type.Optional(Type.Object({ ok: Type.Boolean(), message: Type.String() })),
});
export type JoinCheckAnswer = Of<typeof JoinCheckAnswer>;

export const JoinRequest = Type.Object(
  { node: Name, now: Timestamp, signingRequest: SigningRequest },
  { additionalProperties: false },
);
export type JoinRequest = Of<typeof JoinRequest>;

/** The same host may ask again with the same proof while the token lives: its answer may have been lost. */
export const ServerJoinRequest = Type.Object(
  {
    node: Name,
    now: Timestamp,
    /** 64 hexadecimal digits of chance that the host made. */
    proof: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  },
  { additionalProperties: false },
);
export type ServerJoinRequest = Of<typeof ServerJoinRequest>;

/** What a further server needs to be one of the cluster's. Whoever has it can read every secret. */
export const ServerWelcome = Type.Object({
  cluster: Type.String(),
  /** The key of the secrets, base64. */
  secretKey: Type.String(),
  /** Where the state lies, with the contents of the files by which one gets in. */
  store: Type.Object({
    url: Type.String(),
    ca: Type.Optional(Type.String()),
    cert: Type.Optional(Type.String()),
    key: Type.Optional(Type.String()),
    login: Type.Optional(Type.String()),
  }),
  /** Settings that all servers of a cluster share, by their names in platform.json. */
  settings: Type.Record(Type.String(), Type.Unknown()),
});
export type ServerWelcome = Of<typeof ServerWelcome>;

export const RenewRequest = Type.Object(
  { signingRequest: SigningRequest },
  { additionalProperties: false },
);
export type RenewRequest = Of<typeof RenewRequest>;

/** A member's certificate and the authority that made it, as PEM. */
export const MemberCertificate = Type.Object({
  cluster: Type.String(),
  node: Type.String(),
  certificate: Type.String(),
  authority: Type.String(),
  notAfter: Timestamp,
});
export type MemberCertificate = Of<typeof MemberCertificate>;

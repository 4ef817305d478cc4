/**
 * What an ACME server says when it refuses (RFC 8555, 6.7; RFC 7807), in words for people: what it was, which
 * host it concerns, and what to do about it. Everything that comes from there is shortened and cleaned: it
 * ends up on terminals.
 */

export interface AcmeProblem {
  /** `rateLimited`, without its namespace. */
  readonly type: string;
  readonly detail: string;
  readonly host?: string;
}

const NAMESPACE = "urn:ietf:params:acme:error:";
/** Enough for every sentence that real servers send. */
const DETAIL_CHARS_MAX = 600;
/** Subproblems that are told. */
const SUBPROBLEMS_MAX = 5;

/** The problem of a parsed answer; `undefined` when it is none. */
export function problemOf(body: unknown): AcmeProblem | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const type = "type" in body && typeof body.type === "string" ? body.type : undefined;
  const detail = "detail" in body && typeof body.detail === "string" ? body.detail : undefined;
  if (type === undefined && detail === undefined) return undefined;
  const parts = "subproblems" in body && Array.isArray(body.subproblems) ? body.subproblems : [];
  const subproblems = parts
    .slice(0, SUBPROBLEMS_MAX)
    .flatMap((part: unknown) => subproblemOf(part));
  const [first] = subproblems;
  const more = subproblems.map(({ host, detail: words }) => `${host ?? "?"}: ${words}`).join("; ");
  return {
    type: (type ?? "unknown").replace(NAMESPACE, ""),
    detail: plainText(more === "" ? (detail ?? "") : `${detail ?? ""} (${more})`),
    ...(first?.host === undefined ? {} : { host: first.host }),
  };
}

function subproblemOf(part: unknown): AcmeProblem[] {
  const problem = problemOf(part);
  if (problem === undefined) return [];
  const identifier =
    typeof part === "object" && part !== null && "identifier" in part ? part.identifier : undefined;
  const host =
    typeof identifier === "object" && identifier !== null && "value" in identifier
      ? String(identifier.value)
      : undefined;
  return [host === undefined ? problem : { ...problem, host }];
}

/** One printable line of bounded length. */
export function plainText(text: string): string {
  const line = [...text]
    .map((char) => (char < " " || char === "\u007f" ? " " : char))
    .join("")
    .replace(/ {2,}/g, " ")
    .trim();
  return line.length <= DETAIL_CHARS_MAX ? line : `${line.slice(0, DETAIL_CHARS_MAX)}…`;
}

const HTTP_ADVICE =
  "the host's name must lead to an ingress node of this cluster, and its port 80 must reach the HTTP port; berth platform doctor and the DNS of the host tell more";
const DNS_ADVICE =
  "the record must be on every authoritative server of the zone; try the hook by hand and look with dig";

/** What the reader can do about a problem of this type. `challenge`: what was being proved, if anything. */
export function adviceFor(type: string, challenge?: string): string {
  if (challenge !== undefined && CHALLENGE_TYPES.has(type)) {
    return challenge === "dns-01" ? DNS_ADVICE : HTTP_ADVICE;
  }
  return ADVICE[type] ?? "the words are the ACME server's own; its operator can explain them";
}

/** Types that say that a proof failed. */
const CHALLENGE_TYPES = new Set(["connection", "dns", "unauthorized", "incorrectResponse", "tls"]);

const ADVICE: Readonly<Record<string, string>> = {
  rateLimited:
    "wait: the ACME server's limits are used up; berth certificate show tells when it is tried again",
  rejectedIdentifier:
    "the ACME server does not issue for this name; use the cluster's authority: berth certificate issue --ca",
  unsupportedIdentifier:
    "the ACME server does not issue for this kind of name; use the cluster's authority: berth certificate issue --ca",
  caa: "a CAA record of the domain forbids this authority to issue: change the record or the authority",
  externalAccountRequired:
    "this ACME server wants an external account: berth acme set … --eab-kid … --eab-key-file …",
  userActionRequired: "visit the address in the words above, then berth certificate renew",
  badCSR: "the ACME server refuses the signing request: its policy may want another kind of key",
  accountDoesNotExist:
    "the account is not known there any more: berth acme set again makes a new one",
  unauthorized:
    "the account may not do this there: check the external account, or berth acme set again",
  malformed:
    "check the directory's URL with berth acme show, and that it is an ACME server of RFC 8555",
};

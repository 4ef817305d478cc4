/**
 * The engine's words → one of our codes: a table, the first rule that fits decides.
 *
 * The words are kept in the details (`words`, with the HTTP `status`), since people search for them.
 * Statuses alone do not tell enough: the engine answers 500 for a full disk and for a port that is taken.
 */

import { type ErrorCode, type ErrorDetails, ProtocolError } from "@berth/protocol";

interface RefusalRule {
  readonly words: RegExp;
  readonly code: ErrorCode;
  /** Stable word for `image_unavailable`. */
  readonly reason?: string;
}

/** Order matters: an image error may speak of a connection, a name conflict of use. */
const RULES: readonly RefusalRule[] = [
  { words: /no space left on device|disk quota exceeded/i, code: "storage_full" },
  { words: /no such image/i, code: "image_unavailable", reason: "not_local" },
  {
    words: /unauthorized|authentication required|no basic auth|incorrect username or password/i,
    code: "image_unavailable",
    reason: "unauthorized",
  },
  {
    words: /pull access denied|denied: |requested access to the resource is denied/i,
    code: "image_unavailable",
    reason: "denied",
  },
  {
    words: /manifest unknown|manifest for .* not found|repository .* not found|name unknown/i,
    code: "image_unavailable",
    reason: "not_found",
  },
  { words: /no matching manifest for/i, code: "image_unavailable", reason: "platform" },
  { words: /toomanyrequests|rate limit/i, code: "image_unavailable", reason: "rate_limited" },
  {
    words: /invalid reference format|invalid repository name/i,
    code: "image_unavailable",
    reason: "invalid_reference",
  },
  {
    words: /port is already allocated|address already in use|failed to bind port/i,
    code: "claim_taken",
  },
  {
    words: /could not find an available|pool overlaps|overlaps with other one/i,
    code: "claim_taken",
  },
  {
    words: /is in use|has active endpoints|is being used|must be forced|conflict: unable to/i,
    code: "still_in_use",
  },
  { words: /is not running|is paused|is restarting|container .* is dead/i, code: "conflict" },
  {
    words: /no such (container|volume|network|exec instance)|network .* not found/i,
    code: "not_found",
  },
];

/** Reading a registry fails in these ways too, but only where a registry was asked. */
const REGISTRY_RULES: readonly RefusalRule[] = [
  {
    words:
      /no such host|connection refused|i\/o timeout|tls|x509|timeout|deadline|no route|eof|network is unreachable|server gave HTTP response/i,
    code: "image_unavailable",
    reason: "unreachable",
  },
  { words: /./s, code: "image_unavailable", reason: "failed" },
];

/** A refusal of the engine in the language of the port. `context` says what was tried. */
export function refusal(
  context: string,
  status: number,
  words: string,
  details: ErrorDetails = {},
): ProtocolError {
  const rule = RULES.find((candidate) => candidate.words.test(words));
  return made(rule ?? fallback(status), context, words, { ...details, status });
}

/** The same for a call that asked a registry: what no rule knows is the image's fault. */
export function registryRefusal(
  reference: string,
  words: string,
  details: ErrorDetails = {},
): ProtocolError {
  const rules = [...RULES, ...REGISTRY_RULES];
  const rule = rules.find((candidate) => candidate.words.test(words)) ?? fallback(500);
  return made(rule, `image ${reference}`, words, { ...details, reference });
}

/** The engine cannot be reached at all. */
export function engineUnavailable(context: string, cause: Error): ProtocolError {
  return new ProtocolError(
    "unavailable",
    `${context}: the container engine does not answer (${cause.message})`,
    { words: cause.message },
    { cause },
  );
}

/** The deadline of a call has passed. */
export function engineTimedOut(context: string, timeoutMs: number): ProtocolError {
  return new ProtocolError(
    "timed_out",
    `${context}: the container engine did not answer within ${timeoutMs} ms`,
    { timeoutMs },
  );
}

function fallback(status: number): RefusalRule {
  return { words: /./s, code: status === 404 ? "not_found" : "engine_error" };
}

function made(
  rule: RefusalRule,
  context: string,
  words: string,
  details: ErrorDetails,
): ProtocolError {
  const text = words.trim();
  const reason = rule.reason === undefined ? {} : { reason: rule.reason };
  return new ProtocolError(rule.code, `${context}: ${text}`, {
    ...details,
    ...reason,
    words: text,
  });
}

/**
 * The one registry of operating errors: what went wrong, in which HTTP status it travels, whether trying
 * again can help, and what the reader can do. Codes are stable: clients and scripts rely on them.
 *
 * On the wire an error is a problem document (RFC 9457) with the code as an extension member.
 */

interface ErrorDescription {
  /** HTTP status of an answer with this code. */
  readonly status: number;
  /** The same request can succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** What the code means, one sentence. */
  readonly title: string;
  /** What the reader can do. */
  readonly advice: string;
}

function describe(
  status: number,
  retryable: boolean,
  title: string,
  advice: string,
): ErrorDescription {
  return { status, retryable, title, advice };
}

/** Every code with its meaning. Sorted by status. */
export const ERRORS = {
  invalid_request: describe(
    400,
    false,
    "The request does not fit its description.",
    "Correct the fields that the problem names; /v1/openapi.json describes the request.",
  ),
  invalid_stack: describe(
    400,
    false,
    "The stack contradicts itself or asks for what the platform cannot do.",
    "Correct the places that the problem names and deploy again; nothing was changed.",
  ),
  unauthenticated: describe(
    401,
    false,
    "The token is missing, unknown or has expired.",
    "Set BERTH_TOKEN or choose a context with a valid token (berth context ls).",
  ),
  forbidden: describe(
    403,
    false,
    "The token does not allow this.",
    "Ask an administrator of the project for the right, or use another token.",
  ),
  join_refused: describe(
    403,
    false,
    "The token for joining is used up or has expired.",
    "Have a new command printed on the server: berth node join.",
  ),
  node_removed: describe(
    403,
    false,
    "The node is no member of the cluster any more.",
    "Join it again with a new command: berth node join on the server.",
  ),
  certificate_expired: describe(
    403,
    false,
    "The node's certificate has expired.",
    "The agent renews it by itself; check the node's clock if it does not.",
  ),
  policy_denied: describe(
    403,
    false,
    "The project's policy does not allow this.",
    "Remove the key that the problem names, or have it allowed: berth project policy.",
  ),
  not_found: describe(404, false, "There is no such thing.", "Check the name; list what exists."),
  method_not_allowed: describe(
    405,
    false,
    "The path exists, the method does not.",
    "See /v1/openapi.json for the methods of this path.",
  ),
  conflict: describe(
    409,
    true,
    "Somebody else changed this at the same time.",
    "Read it again and repeat the change.",
  ),
  already_exists: describe(
    409,
    false,
    "The name is taken.",
    "Choose another name or change the existing one.",
  ),
  claim_taken: describe(
    409,
    false,
    "A host, port, address or name belongs to somebody else.",
    "The problem names the holder: free it there or choose another one.",
  ),
  last_ready_copy: describe(
    409,
    false,
    "No other copy of the service is ready: without this one it would answer nobody.",
    "Wait until another copy is ready (berth ps), or confirm it: --yes, in the API `force`.",
  ),
  port_taken: describe(
    409,
    false,
    "A program of the host, which is not the platform's, holds the port.",
    "Stop that program, or publish another port (ports) or address (127.0.0.1:8080:80); nothing was changed.",
  ),
  still_in_use: describe(
    409,
    false,
    "It is in use.",
    "The problem names the users: stop them first.",
  ),
  idempotency_mismatch: describe(
    409,
    false,
    "The idempotency key was used for another request.",
    "Use a new key for a new request.",
  ),
  foreign_cluster: describe(
    409,
    false,
    "It belongs to another cluster.",
    "Check which server the command or the agent talks to.",
  ),
  clock_skew: describe(
    409,
    false,
    "The clocks of two hosts are too far apart.",
    "Set the host's clock (timedatectl set-ntp true, or an NTP service of your network) and try again.",
  ),
  version_too_old: describe(
    409,
    false,
    "This version of Berth is too old for the cluster: its state has formats that it cannot read.",
    "Install the version that the other servers and nodes have; berth node ls and berth server ls show them.",
  ),
  format_held_back: describe(
    409,
    false,
    "It needs a format that not all servers and nodes of the cluster read yet.",
    "Upgrade those that the problem names, or remove them if they are gone: berth server rm, berth node rm.",
  ),
  position_gone: describe(
    410,
    true,
    "The watch position is too old or of another epoch.",
    "List again and watch from the new position.",
  ),
  precondition_failed: describe(
    412,
    false,
    "The object is not at the revision that If-Match names.",
    "Read it again and decide anew.",
  ),
  body_too_large: describe(
    413,
    false,
    "The request's body is over the limit.",
    "The problem names the limit and the size; send less.",
  ),
  limit_exceeded: describe(
    422,
    false,
    "A named limit would be exceeded.",
    "The problem names the limit and the value; ask for less or raise the limit.",
  ),
  invalid_certificate: describe(
    422,
    false,
    "The certificate cannot be served, or cannot be had.",
    "The problem names what is wrong with it; nothing was changed.",
  ),
  image_unavailable: describe(
    422,
    false,
    "The image cannot be had.",
    "Check the reference and the registry; berth registry login keeps credentials; on a closed network load or build it.",
  ),
  build_failed: describe(
    422,
    false,
    "The build of an image failed.",
    "Read the build's last lines in the problem.",
  ),
  too_many_requests: describe(429, true, "Too many requests at once.", "Wait as Retry-After says."),
  internal: describe(
    500,
    false,
    "The platform made a mistake.",
    "Report it with the problem's instance; the server's log has the details.",
  ),
  not_implemented: describe(
    501,
    false,
    "This platform cannot do that yet.",
    "Leave it out; the documentation lists what is honoured.",
  ),
  engine_error: describe(
    502,
    true,
    "The container engine refused or failed.",
    "Read the engine's words in the problem; berth platform doctor checks the engine.",
  ),
  storage_refused: describe(
    502,
    false,
    "The storage for backups refused, or is not what it should be.",
    "The message has what the storage said: check bucket, rights of the key, endpoint, region and certificate.",
  ),
  node_unreachable: describe(
    503,
    true,
    "The node's agent has no contact with the server.",
    "Check the node: berth node ls, berth platform status.",
  ),
  unavailable: describe(
    503,
    true,
    "The server cannot do this just now.",
    "Try again shortly; berth platform status shows what is missing.",
  ),
  storage_full: describe(
    507,
    true,
    "There is no space left.",
    "Free space on the disk that the problem names.",
  ),
  timed_out: describe(
    504,
    true,
    "It took longer than its deadline.",
    "The problem names the deadline and what was waited for.",
  ),
} as const satisfies Readonly<Record<string, ErrorDescription>>;

export type ErrorCode = keyof typeof ERRORS;

/** Plain data that goes with an error: limits, values, names. Never a secret. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error of all shells. Context is added once per border, as `cause`. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** `message` is one sentence for the reader: what was found, what was expected. */
  constructor(
    code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** An error as it travels: `application/problem+json` (RFC 9457). */
export interface Problem {
  /** `urn:berth:error:CODE`. */
  readonly type: string;
  readonly code: ErrorCode;
  /** The code's meaning. */
  readonly title: string;
  readonly status: number;
  /** This occurrence, in one sentence. */
  readonly detail: string;
  /** What the reader can do. */
  readonly advice: string;
  readonly retryable: boolean;
  /** Identifies the occurrence in the server's log. */
  readonly instance?: string;
  readonly details: ErrorDetails;
}

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

export function problemOf(error: ProtocolError, instance?: string): Problem {
  const { status, title, advice, retryable } = ERRORS[error.code];
  return {
    type: `urn:berth:error:${error.code}`,
    code: error.code,
    title,
    status,
    detail: error.message,
    advice,
    retryable,
    ...(instance === undefined ? {} : { instance }),
    details: error.details,
  };
}

/** The error that a received problem document stands for; `undefined` when `body` is none. */
export function errorOfProblem(body: unknown): ProtocolError | undefined {
  if (typeof body !== "object" || body === null || !("code" in body) || !("detail" in body)) {
    return undefined;
  }
  const { code, detail } = body;
  if (typeof code !== "string" || !(code in ERRORS) || typeof detail !== "string") return undefined;
  const details = "details" in body ? body.details : undefined;
  const known = typeof details === "object" && details !== null ? details : {};
  return new ProtocolError(code as ErrorCode, detail, known as ErrorDetails);
}

/** `error` as it is when it has a code already, else as `internal` with its cause kept. */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ProtocolError("internal", message, {}, { cause: error });
}

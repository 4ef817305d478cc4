/**
 * The error that an answer with a status of 400 or more stands for. Shared by every client, so that callers
 * see the same errors over HTTP and in the simulation.
 */

import { type ErrorCode, errorOfProblem, ProtocolError } from "../errors.ts";

/** What is known of an error that came without a problem document, as from a proxy on the way. */
const CODES_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_request",
  401: "unauthenticated",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  413: "body_too_large",
  429: "too_many_requests",
  502: "unavailable",
  503: "unavailable",
  504: "timed_out",
};

/** The error of a problem document `body`, or the best guess when it is none. Keeps the instance. */
export function errorOfAnswer(status: number, body: string): ProtocolError {
  const problem = tryParse(body);
  const known = errorOfProblem(problem);
  if (known !== undefined) return withInstance(known, problem);
  const code = CODES_BY_STATUS[status] ?? "internal";
  const message = `the server answered ${status} without a problem document`;
  return new ProtocolError(code, message, { status, body: body.slice(0, 200) });
}

/** The server's log has more under the instance: it is only worth showing for the platform's mistakes. */
function withInstance(error: ProtocolError, problem: unknown): ProtocolError {
  if (error.code !== "internal") return error;
  const instance =
    typeof problem === "object" && problem !== null && "instance" in problem
      ? { instance: problem.instance }
      : {};
  return new ProtocolError(error.code, error.message, { ...error.details, ...instance });
}

function tryParse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

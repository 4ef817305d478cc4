/** Exit codes: scripts rely on them. `exec` passes the command's own code through. */

import type { ErrorCode } from "@berth/protocol";

export const EXIT = {
  done: 0,
  /** The reason is on stderr. */
  failed: 1,
  /** The words or the input make no sense. */
  usage: 2,
  /** Nobody answers at the server's address. */
  unreachable: 3,
  /** The token is missing, wrong, or does not allow it. */
  notAllowed: 4,
} as const;

/** The exit code that an error of the API leads to. */
export function exitCodeOf(code: ErrorCode, details: Readonly<Record<string, unknown>>): number {
  switch (code) {
    case "unauthenticated":
    case "forbidden":
    case "policy_denied":
      return EXIT.notAllowed;
    case "invalid_request":
    case "invalid_stack":
      return EXIT.usage;
    case "unavailable":
      return "reason" in details ? EXIT.unreachable : EXIT.failed;
    default:
      return EXIT.failed;
  }
}

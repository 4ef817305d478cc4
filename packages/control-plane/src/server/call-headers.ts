/** The headers of a request that the API knows. */

import type { IncomingHttpHeaders } from "node:http";
import type { CallHeaders } from "../api/call.ts";

const KNOWN = ["authorization", "idempotency-key", "if-match", "berth-min-revision"] as const;
/** What most calls of agents have. */
const NONE: CallHeaders = {};

/** Headers that the API knows, as they came. */
export function callHeaders(headers: IncomingHttpHeaders): CallHeaders {
  if (!KNOWN.some((name) => headers[name] !== undefined)) return NONE;
  const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? "")?.[1];
  const single = (value: string | string[] | undefined) =>
    Array.isArray(value) ? value.join(",") : value;
  const idempotencyKey = single(headers["idempotency-key"]);
  const ifMatch = headers["if-match"];
  const minRevision = single(headers["berth-min-revision"]);
  return {
    ...(token === undefined ? {} : { token }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(minRevision === undefined ? {} : { minRevision }),
  };
}

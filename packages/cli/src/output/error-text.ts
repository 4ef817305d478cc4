/** Errors in words: the first line says what happened, the second what to do. */

import { asProtocolError, ERRORS, type ProtocolError } from "@berth/protocol";
import type { Output } from "./output.ts";

/** At most this many problems of a request are listed. */
const PROBLEMS_SHOWN_MAX = 20;

/** Writes `error` to stderr, as JSON where that was asked for. */
export function writeError(output: Output, thrown: unknown): ProtocolError {
  const error = asProtocolError(thrown);
  if (output.json) {
    const { code, message, details } = error;
    output.note(JSON.stringify({ error: { code, message, details } }));
    return error;
  }
  for (const line of errorLines(error)) output.note(line);
  return error;
}

export function errorLines(error: ProtocolError): string[] {
  const lines = [error.message, ...problemLines(error.details["problems"])];
  if (error.code === "unavailable" && "reason" in error.details) {
    lines.push("  is it running?  berth platform status      another one?  berth context ls");
  } else {
    lines.push(`  ${ERRORS[error.code].advice}`);
  }
  if (error.code === "internal" && error.stack !== undefined) lines.push(error.stack);
  return lines;
}

function problemLines(problems: unknown): string[] {
  if (!Array.isArray(problems)) return [];
  return problems.slice(0, PROBLEMS_SHOWN_MAX).map((problem: unknown) => {
    if (typeof problem !== "object" || problem === null) return `  ${String(problem)}`;
    const place = "pointer" in problem ? problem.pointer : "path" in problem ? problem.path : "";
    const message = "message" in problem ? problem.message : JSON.stringify(problem);
    return `  ${String(place)}  ${String(message)}`;
  });
}

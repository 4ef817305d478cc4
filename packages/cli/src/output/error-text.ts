/** Errors in words: the first line says what happened, the second what to do. */

import { asProtocolError, ERRORS, type ProtocolError } from "@berth/protocol";
import type { Output } from "./output.ts";

/** At most this many problems of a request are listed. */
const PROBLEMS_SHOWN_MAX = 20;

/** Writes `error` to stderr, as JSON where that was asked for. `words` name the command that failed. */
export function writeError(output: Output, thrown: unknown, words: string): ProtocolError {
  const error = asProtocolError(thrown);
  if (output.json) {
    const { code, message, details } = error;
    output.note(JSON.stringify({ error: { code, message, details } }));
    return error;
  }
  for (const line of errorLines(error, words)) output.note(line);
  return error;
}

export function errorLines(error: ProtocolError, words: string): string[] {
  const lines = [error.message, ...problemLines(error.details["problems"])];
  const advice = adviceOf(error, words);
  if (advice !== undefined) lines.push(`  ${advice}`);
  if (error.code === "internal" && error.stack !== undefined) lines.push(error.stack);
  return lines;
}

/** What to do, in commands where there are some: the registry's words are for every client. */
function adviceOf({ code, details }: ProtocolError, words: string): string | undefined {
  // The file's own lines say it all.
  if ("fileProblems" in details) return undefined;
  const services = details["services"];
  switch (code) {
    case "unavailable":
      return "reason" in details
        ? "is it running?  berth platform status      another one?  berth context ls"
        : ERRORS[code].advice;
    case "invalid_certificate":
      return typeof details["advice"] === "string" ? details["advice"] : ERRORS[code].advice;
    // Its message names what was waited for.
    case "timed_out":
      return undefined;
    case "invalid_request":
      return `berth ${words} --help shows how it is used`;
    case "not_found":
      if (typeof details["advice"] === "string") return details["advice"];
      return Array.isArray(services) && services.length > 0
        ? `it has ${services.join(", ")}`
        : "what exists:  berth ps      berth stack ls      berth node ls";
    default:
      return ERRORS[code].advice;
  }
}

function problemLines(problems: unknown): string[] {
  if (!Array.isArray(problems)) return [];
  return problems.slice(0, PROBLEMS_SHOWN_MAX).map((problem: unknown) => {
    if (typeof problem !== "object" || problem === null) return `  ${String(problem)}`;
    const place = "pointer" in problem ? problem.pointer : "path" in problem ? problem.path : "";
    const where = "place" in problem ? `${String(problem.place)}  ` : "";
    const message = "message" in problem ? problem.message : JSON.stringify(problem);
    return `  ${where}${String(place)}  ${String(message)}`;
  });
}

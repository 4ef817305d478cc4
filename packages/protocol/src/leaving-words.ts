/** How far a copy is that leaves, in words: one rendering for listings and explanations. */

import { assertNever, formatDuration } from "@berth/base";
import type { Leaving } from "./resources/task.ts";

/** `drains: 3 connections, at most 21 s more`; the rest of a sentence about a copy. */
export function leavingWords({ phase, until, connections }: Leaving, now: number): string {
  const most = `at most ${formatDuration(Math.max(0, until - now))} more`;
  switch (phase) {
    case "acknowledgement":
      return `leaves: names and ingress are to confirm it, ${most}`;
    case "connections":
      return `drains: ${connectionWords(connections)}, ${most}`;
    case "process":
      return `stops, ${most}`;
    default:
      return assertNever(phase, "phase of leaving");
  }
}

function connectionWords(connections: number | undefined): string {
  if (connections === undefined) return "connections cannot be counted";
  if (connections === 0) return "clients forget its address";
  return connections === 1 ? "1 connection" : `${connections} connections`;
}

/** How a finding of a check is shown: a mark, what was found, and below it what to do. */

import type { Finding } from "../platform/finding.ts";
import type { Output } from "./output.ts";

const MARKS = { ok: ["green", "✓"], warning: ["yellow", "!"], error: ["red", "✗"] } as const;

export function showFinding(output: Output, finding: Finding): void {
  if (output.json) {
    output.line(JSON.stringify(finding));
    return;
  }
  const [colour, mark] = MARKS[finding.level];
  output.line(`${output.paint(colour, mark)} ${finding.check.padEnd(14)} ${finding.message}`);
  if (finding.advice !== "") output.line(`${" ".repeat(17)}${finding.advice}`);
}

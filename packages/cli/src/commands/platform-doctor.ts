/** `berth platform doctor` */

import type { CommandDescription, CommandInput } from "../command.ts";
import { localPaths, localSettings } from "../connection/context.ts";
import { EXIT } from "../exit-code.ts";
import { showFinding } from "../output/finding-line.ts";
import type { Check, Finding } from "../platform/finding.ts";
import { formats } from "../platform/format-check.ts";
import * as host from "../platform/host-checks.ts";
import * as platform from "../platform/platform-checks.ts";
import { servers } from "../platform/server-reach.ts";
import * as underlay from "../platform/underlay-checks.ts";

export const command: CommandDescription = {
  summary: "check everything that Berth needs, and say what to do",
  details:
    "Changes nothing. Exit code 1 when something will not work, 0 when all is well or could only be better.",
  examples: [
    { line: "berth platform doctor", does: "every check with its finding" },
    { line: "berth platform doctor --json", does: "one finding a line, for monitoring" },
  ],
  run,
};

const CHECKS: readonly Check[] = [
  host.nodeVersion,
  host.userIsRoot,
  platform.engine,
  host.haproxy,
  host.nftables,
  host.forwarding,
  host.cgroups,
  host.fileLimit,
  host.memory,
  host.disks,
  host.resolvers,
  host.addressRange,
  host.httpPort,
  underlay.underlayPort,
  platform.server,
  servers,
  underlay.ways,
  formats,
  platform.certificates,
  platform.hostNames,
  platform.secretFiles,
];

async function run(input: CommandInput): Promise<number> {
  const { environment, output } = input;
  const context = {
    environment,
    paths: localPaths(environment),
    settings: localSettings(environment),
  };
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    const found = await check(context);
    findings.push(...found);
    for (const finding of found) showFinding(input.output, finding);
  }
  const count = (level: Finding["level"]) => findings.filter((f) => f.level === level).length;
  if (!output.json) {
    output.line(`${count("error")} errors, ${count("warning")} warnings, ${count("ok")} fine`);
  }
  return count("error") === 0 ? EXIT.done : EXIT.failed;
}

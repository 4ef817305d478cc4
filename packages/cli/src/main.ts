/** The one executable. `version` alone takes a short cut: it must not wait for a parser to load. */

import { VERSION } from "./platform/version.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  if ((first === "version" || first === "--version") && rest.length === 0) {
    process.stdout.write(`berth ${VERSION}\n`);
    return 0;
  }
  const [{ runProcess }, { runCommandLine }] = await Promise.all([
    import("./run-process.ts"),
    import("./run-command.ts"),
  ]);
  return runProcess(argv, runCommandLine);
}

process.exitCode = await main(process.argv.slice(2));

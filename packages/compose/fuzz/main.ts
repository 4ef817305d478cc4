/**
 * Fuzzes the loader: `node packages/compose/fuzz/main.ts [--seed N] [--seconds N] [--oracle PATH]`.
 *
 * With the path of a `docker-compose` program (2.26.1) what loads, and how it prints, is compared with it, too; a
 * difference is told and does not end the run. Everything that must never be is written to the standard output
 * with its input, and the exit code is 1.
 */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { checkInput, type Finding } from "./check-input.ts";
import { type StackInput, stackInputs } from "./stack-inputs.ts";

const run = promisify(execFile);
const ORACLE_TIMEOUT_MS = 20_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seconds: { type: "string", default: "10" },
    oracle: { type: "string" },
  },
});

const end = Date.now() + Number(values.seconds) * 1000;
const counts = { inputs: 0, loaded: 0, wrong: 0, differing: 0 };
for (const input of stackInputs(Number(values.seed))) {
  if (Date.now() >= end) break;
  counts.inputs++;
  const finding = checkInput(input);
  if (finding.loaded) counts.loaded++;
  if (finding.wrong !== undefined) tell("wrong", finding.wrong, input);
  const difference =
    values.oracle === undefined ? undefined : await differs(values.oracle, input, finding);
  if (difference !== undefined) tell("differing", difference, input);
}
console.log(JSON.stringify({ seed: Number(values.seed), ...counts }));
process.exitCode = counts.wrong === 0 ? 0 : 1;

function tell(kind: "wrong" | "differing", words: string, { files }: StackInput): void {
  counts[kind]++;
  console.log(JSON.stringify({ kind, words, files }));
}

/** What the reference says otherwise. */
async function differs(
  oracle: string,
  { files }: StackInput,
  finding: Finding,
): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "berth-fuzz-"));
  try {
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    const named = files.flatMap(([name]) => ["-f", name]);
    const env = {
      PATH: process.env["PATH"],
      HOME: "/root",
      X: "xval",
      COMPOSE_PROJECT_NAME: "fuzz",
    };
    const answer = await run(oracle, [...named, "config", "--format", "json"], {
      cwd: folder,
      env,
      timeout: ORACLE_TIMEOUT_MS,
    }).then(
      ({ stdout }) => stdout.replaceAll(folder, "/p"),
      () => undefined,
    );
    if ((answer !== undefined) !== finding.loaded) {
      return answer === undefined ? "the reference refuses it" : "the reference takes it";
    }
    return answer === undefined || answer.trim() === finding.printed?.trim()
      ? undefined
      : "prints otherwise";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program of the host by argv, never through a shell, with its output in the error when it fails. */

import { spawn } from "node:child_process";
import { ProtocolError } from "@berth/protocol";

/** More output than this is cut at the front: the end says what went wrong. */
const OUTPUT_BYTES_MAX = 64 * 1024;

export interface ProgramOptions {
  readonly signal?: AbortSignal;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
}

/**
 * The program's standard output.
 *
 * @throws ProtocolError `not_found` when the program is missing, `internal` with its last words otherwise.
 */
export function runProgram(
  argv: readonly [string, ...string[]],
  options: ProgramOptions = {},
): Promise<string> {
  const [program, ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LC_ALL: "C", ...options.environment },
      ...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let output = "";
    let words = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-OUTPUT_BYTES_MAX);
    });
    child.once("error", (cause) => reject(notStarted(program, cause)));
    child.once("close", (code) => {
      if (code === 0) return resolve(output);
      const said = words.trim().split("\n").slice(-5).join("\n");
      const message = `${argv.join(" ")} exited ${code}: ${said}`;
      reject(new ProtocolError("internal", message, { program, exitCode: code ?? -1 }));
    });
  });
}

function notStarted(program: string, cause: Error): unknown {
  if (!("code" in cause) || cause.code !== "ENOENT") return cause;
  const message = `the program ${program} is not installed on this machine`;
  return new ProtocolError("not_found", message, { program }, { cause });
}

/** First line of what a program says, whatever code it exits with; empty when it cannot be run. */
export function firstLineOf(program: string, argv: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, argv, { stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(0, OUTPUT_BYTES_MAX);
    });
    child.once("error", () => resolve(""));
    child.once("close", () => resolve(output.split("\n", 1)[0] ?? ""));
  });
}

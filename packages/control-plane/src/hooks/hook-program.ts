/**
 * Runs a program of the administrator's on the server's machine: from an argument list, never through a shell,
 * with a small environment, a deadline and bounded output.
 */

import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { KIB } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { plainText } from "../certificates/acme/problem.ts";

export interface HookProgram {
  /** Program (absolute path) and arguments. */
  readonly command: readonly string[];
  /** What it is asked to do, for its error. */
  readonly name: string;
  /** Beside PATH and LANG it has nothing else. */
  readonly environment: Readonly<Record<string, string>>;
  /** It is killed after this, milliseconds; what it started itself is not. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Output that is kept: the words of a failure are at the end of much less. */
const OUTPUT_BYTES_MAX = 64 * KIB;
const WRITABLE_BY_ALL = 0o002;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The program's last words; rejects with `engine_error` when it failed or took too long. */
export async function runHookProgram(hook: HookProgram): Promise<string> {
  const { command, name, environment, timeoutMs, signal } = hook;
  const [program = "", ...parameters] = command;
  await checkProgram(program);
  return new Promise((resolve, reject) => {
    const options = {
      env: { PATH, LANG: "C.UTF-8", ...environment },
      cwd: "/",
      signal,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES_MAX,
    } as const;
    execFile(program, parameters, options, (error, stdout, stderr) => {
      const said = plainText(String(stderr).trim() || String(stdout).trim());
      if (error === null) return resolve(said);
      if (signal.aborted) return reject(signal.reason);
      const why = error.killed ? `did not end within ${timeoutMs} ms` : endWords(error);
      const message = `the hook ${program} ${name} ${why}${said === "" ? "" : `: ${said}`}`;
      reject(new ProtocolError("engine_error", message, { program }, { cause: error }));
    });
  });
}

/** It is run as the server's user: nobody else may be able to change it. */
async function checkProgram(program: string): Promise<void> {
  if (!isAbsolute(program)) {
    throw new ProtocolError("engine_error", `the hook ${program} is not an absolute path`);
  }
  const found = await stat(program).catch(() => undefined);
  if (found === undefined || (found.mode & WRITABLE_BY_ALL) === 0) return;
  const message = `the hook ${program} can be written by everybody: chmod o-w ${program}`;
  throw new ProtocolError("engine_error", message, { program });
}

function endWords(error: {
  readonly code?: unknown;
  readonly signal?: unknown;
  readonly message: string;
}) {
  if (typeof error.code === "number") return `ended with code ${error.code}`;
  if (typeof error.signal === "string") return `was ended by ${error.signal}`;
  return `could not be started (${typeof error.code === "string" ? error.code : error.message})`;
}

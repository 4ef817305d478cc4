/**
 * The DNS-01 hook: a program of the administrator's that makes and removes the record of a challenge. Started
 * from an argument list, never through a shell, with a small environment, a deadline and bounded output.
 *
 * What it is told, in the environment: BERTH_ACME_ACTION (also its last argument), BERTH_ACME_HOST,
 * BERTH_ACME_RECORD, BERTH_ACME_VALUE. It must add a value beside others of the same record (a host and its
 * wildcard have one record name), and do no harm when it is run twice.
 */

import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { KIB } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { plainText } from "./problem.ts";

export interface HookCall {
  readonly action: "present" | "cleanup";
  /** `shop.example.com` */
  readonly host: string;
  /** `_acme-challenge.shop.example.com` */
  readonly record: string;
  /** The TXT value. */
  readonly value: string;
}

export interface HookRun {
  /** Program (absolute path) and arguments. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly call: HookCall;
  readonly signal: AbortSignal;
}

/** Resolves with the program's last words; rejects with `engine_error` when it failed or took too long. */
export type Hook = (run: HookRun) => Promise<string>;

/** Output that is kept: the words of a failure are at the end of much less. */
const OUTPUT_BYTES_MAX = 64 * KIB;
const WRITABLE_BY_ALL = 0o002;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Starts the program on this machine. */
export const programHook: Hook = async ({ command, timeoutMs, call, signal }) => {
  const [program = "", ...parameters] = command;
  await checkProgram(program);
  const env = {
    PATH,
    LANG: "C.UTF-8",
    BERTH_ACME_ACTION: call.action,
    BERTH_ACME_HOST: call.host,
    BERTH_ACME_RECORD: call.record,
    BERTH_ACME_VALUE: call.value,
  };
  return new Promise((resolve, reject) => {
    const options = {
      env,
      cwd: "/",
      signal,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES_MAX,
    } as const;
    execFile(program, [...parameters, call.action], options, (error, stdout, stderr) => {
      const said = plainText(String(stderr).trim() || String(stdout).trim());
      if (error === null) return resolve(said);
      if (signal.aborted) return reject(signal.reason);
      const why = error.killed ? `did not end within ${timeoutMs} ms` : endWords(error);
      const message = `the hook ${program} ${call.action} ${why}${said === "" ? "" : `: ${said}`}`;
      reject(new ProtocolError("engine_error", message, { program }, { cause: error }));
    });
  });
};

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

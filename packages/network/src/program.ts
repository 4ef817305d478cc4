/** Runs a program to its end: an argument list (never a shell), its input, a time limit, bounded output. */

import { spawn } from "node:child_process";
import type { Clock } from "@berth/base";

export type ProgramResult =
  | {
      readonly kind: "ended";
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    }
  /** There is no such program. */
  | { readonly kind: "missing" };

export interface ProgramCall {
  readonly file: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** A listing of a firewall table of a thousand networks is 2 MB. */
export const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

/** Rejects when the program exceeds its limits; it is then killed. */
export function runProgram(call: ProgramCall): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(call.file, call.args, { stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    let sizeBytes = 0;
    const giveUp = (reason: string) => {
      child.kill("SIGKILL");
      reject(new Error(`${call.file} ${reason}`));
    };
    const cancelTimer = call.clock.setTimer(call.timeoutMs, () =>
      giveUp(`did not end within ${call.timeoutMs} ms`),
    );
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        sizeBytes += chunk.length;
        if (sizeBytes > OUTPUT_BYTES_MAX) giveUp("said too much");
        else output[name] += chunk;
      });
    }
    child.on("error", (error: NodeJS.ErrnoException) => {
      cancelTimer();
      if (error.code === "ENOENT") resolve({ kind: "missing" });
      else reject(error);
    });
    child.on("close", (code) => {
      cancelTimer();
      resolve({ kind: "ended", code: code ?? -1, ...output });
    });
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on("error", () => {});
    child.stdin.end(call.input ?? "");
  });
}

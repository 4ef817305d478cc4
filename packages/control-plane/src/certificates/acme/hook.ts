/**
 * The DNS-01 hook: a program of the administrator's that makes and removes the record of a challenge.
 *
 * What it is told, in the environment: BERTH_ACME_ACTION (also its last argument), BERTH_ACME_HOST,
 * BERTH_ACME_RECORD, BERTH_ACME_VALUE. It must add a value beside others of the same record (a host and its
 * wildcard have one record name), and do no harm when it is run twice.
 */

import { runHookProgram } from "../../hooks/hook-program.ts";

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

/** Starts the program on this machine. */
export const programHook: Hook = ({ command, timeoutMs, call, signal }) =>
  runHookProgram({
    command: [...command, call.action],
    name: call.action,
    environment: {
      BERTH_ACME_ACTION: call.action,
      BERTH_ACME_HOST: call.host,
      BERTH_ACME_RECORD: call.record,
      BERTH_ACME_VALUE: call.value,
    },
    timeoutMs,
    signal,
  });

/**
 * Checks with the machine's own sockets: HTTP, TCP and gRPC from the host to the container's address, and
 * commands through the runtime.
 */

import { request } from "node:http";
import { connect } from "node:net";
import { assertNever } from "@berth/base";
import { asProtocolError, type ProbeCheck } from "@berth/protocol";
import type { Runtime } from "../runtime/port.ts";
import { type Checker, type CheckRequest, failedCheck, GOOD_CHECK } from "./checker.ts";
import { checkGrpc } from "./grpc-check.ts";
import type { CheckResult } from "./probe-progress.ts";

const STATUS_MIN = 200;
const STATUS_MAX = 399;

export function nodeChecker(runtime: Pick<Runtime, "runInside">): Checker {
  return async (wanted, signal) => {
    const { check, address } = wanted;
    if (check.kind === "exec") return await checkExec(runtime, wanted, check, signal);
    if (address === undefined) return failedCheck("the container has no address");
    switch (check.kind) {
      case "http":
        return await checkHttp(check, address, signal);
      case "tcp":
        return await checkTcp(check.port, address, signal);
      case "grpc":
        return await checkGrpc({ ...check, address }, signal);
      default:
        return assertNever(check, "check");
    }
  };
}

type HttpCheck = Extract<ProbeCheck, { readonly kind: "http" }>;

/** Redirects are answers, not followed: 3xx is good by default. */
function checkHttp(check: HttpCheck, host: string, signal: AbortSignal): Promise<CheckResult> {
  const { port, path, headers = {}, statusMin = STATUS_MIN, statusMax = STATUS_MAX } = check;
  return new Promise((resolve) => {
    // No agent: a connection that lives on would see neither a full backlog nor a new process.
    const outgoing = request(
      { host, port, path, headers: { ...headers }, agent: false, signal, setHost: true },
      (answer) => {
        const status = answer.statusCode ?? 0;
        answer.destroy();
        const isGood = status >= statusMin && status <= statusMax;
        resolve(isGood ? GOOD_CHECK : failedCheck(`${path} on port ${port} answered ${status}`));
      },
    );
    outgoing.on("error", (error) => resolve(failedCheck(socketWords(error, port, signal))));
    outgoing.end();
  });
}

function checkTcp(port: number, host: string, signal: AbortSignal): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal });
    socket.on("connect", () => {
      socket.destroy();
      resolve(GOOD_CHECK);
    });
    socket.on("error", (error) => resolve(failedCheck(socketWords(error, port, signal))));
  });
}

async function checkExec(
  runtime: Pick<Runtime, "runInside">,
  { containerId, timeoutMs }: CheckRequest,
  { command }: Extract<ProbeCheck, { readonly kind: "exec" }>,
  signal: AbortSignal,
): Promise<CheckResult> {
  try {
    const options = { timeoutMs, signal };
    const { exitCode, output } = await runtime.runInside(containerId, command, options);
    if (exitCode === 0) return GOOD_CHECK;
    return failedCheck(`${command[0]} exited with code ${exitCode}: ${output.trim()}`);
  } catch (error) {
    return failedCheck(asProtocolError(error).message);
  }
}

/** What happened to a connection, in words. */
export function socketWords(error: Error, port: number, signal: AbortSignal): string {
  if (signal.aborted) return `port ${port} did not answer in time`;
  const code = "code" in error ? String(error.code) : error.message;
  return code === "ECONNREFUSED" ? `nothing listens on port ${port}` : `port ${port}: ${code}`;
}

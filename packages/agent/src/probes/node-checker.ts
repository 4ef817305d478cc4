/**
 * Checks with the machine's own sockets: HTTP, TCP and gRPC from the host to the container's address, and
 * commands through the runtime.
 */

import { connect } from "node:net";
import { assertNever } from "@berth/base";
import { asProtocolError, type ProbeCheck } from "@berth/protocol";
import type { Runtime } from "../runtime/port.ts";
import {
  type Checker,
  type CheckRequest,
  failedCheck,
  GOOD_CHECK,
  socketWords,
} from "./checker.ts";
import { checkHttp } from "./http-check.ts";
import type { CheckResult } from "./probe-progress.ts";

/** Loaded with the first such check: HTTP/2 takes memory, and few ask by it. */
const grpcCheck = () => import("./grpc-check.ts");

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
        return await (await grpcCheck()).checkGrpc({ ...check, address }, signal);
      default:
        return assertNever(check, "check");
    }
  };
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

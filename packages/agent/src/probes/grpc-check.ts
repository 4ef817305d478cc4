/**
 * The gRPC health checking protocol (grpc.health.v1.Health/Check) over HTTP/2 without TLS.
 *
 * Two messages of one field each do not justify a protobuf library: the request is field 1, a string; the
 * answer is field 1, an enumeration of which 1 means SERVING.
 */

import { connect, constants } from "node:http2";
import { failedCheck, GOOD_CHECK } from "./checker.ts";
import type { CheckResult } from "./probe-progress.ts";

export interface GrpcTarget {
  readonly address: string;
  readonly port: number;
  /** Empty: the server as a whole. */
  readonly service?: string;
}

/** A health answer is a few bytes; a server that sends more speaks something else. */
const ANSWER_BYTES_MAX = 4_096;
const GRPC_HEADER_BYTES = 5;
const SERVING = 1;
const STATUS_WORDS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

export function checkGrpc(target: GrpcTarget, signal: AbortSignal): Promise<CheckResult> {
  const session = connect(`http://${target.address}:${target.port}`);
  return new Promise<CheckResult>((resolve) => {
    const fail = (words: string) => resolve(failedCheck(`port ${target.port}: ${words}`));
    const onAbort = () => fail("no answer in time");
    signal.addEventListener("abort", onAbort, { once: true });
    session.on("error", (error) => fail(error.message));
    session.on("close", () => fail("the connection was closed"));
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let grpcStatus = "0";
    const note = (headers: Readonly<Record<string, unknown>>) => {
      if (headers["grpc-status"] !== undefined) grpcStatus = String(headers["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > ANSWER_BYTES_MAX) fail("the answer is no health answer");
      else chunks.push(chunk);
    });
    stream.on("error", (error) => fail(error.message));
    // Not at `end`: trailers may come after it.
    stream.on("close", () => {
      if (grpcStatus !== "0") fail(`gRPC status ${grpcStatus}`);
      else resolve(verdictOf(Buffer.concat(chunks), target.port));
    });
    stream.end(encodeRequest(target.service ?? ""));
  }).finally(() => session.destroy(undefined, constants.NGHTTP2_CANCEL));
}

/** Frame of gRPC (not compressed, length) around `HealthCheckRequest { string service = 1; }`. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.of(0x0a), varint(name.length), name]);
  const header = Buffer.alloc(GRPC_HEADER_BYTES);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; an absent field is 0, UNKNOWN. */
function verdictOf(answer: Buffer, port: number): CheckResult {
  const message = answer.subarray(GRPC_HEADER_BYTES);
  if (answer.length < GRPC_HEADER_BYTES || answer[0] !== 0) {
    return failedCheck(`port ${port}: the answer is no gRPC message`);
  }
  const status = message[0] === 0x08 ? (message[1] ?? 0) : 0;
  if (status === SERVING) return GOOD_CHECK;
  return failedCheck(`port ${port}: health is ${STATUS_WORDS[status] ?? status}`);
}

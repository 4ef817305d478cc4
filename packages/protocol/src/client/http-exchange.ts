/**
 * One HTTP exchange: a request goes out, an answer's head comes back, or a `ProtocolError` says why not.
 *
 * Knows connections, timeouts and refusals of the network; nothing of routes. Every failure below HTTP is
 * `unavailable` with a `reason`, of which `sent` says whether the request may have reached the server.
 */

import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SECOND_MS } from "@berth/base";
import { ProtocolError } from "../errors.ts";
import type { OpenRequest } from "./http-transport.ts";

/** Where a server listens. */
export type Target =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly secure: boolean }
  | { readonly kind: "unix"; readonly socketPath: string };

/**
 * An answer's head comes within this time: the server's own deadline for anything that waits is shorter.
 * Uploads count from their last byte.
 */
export const HEAD_TIMEOUT_MS = 60 * SECOND_MS;

export interface Exchange {
  /** Begins a request over a connection of the right kind. */
  readonly open: OpenRequest;
  readonly target: Target;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly headTimeoutMs: number;
  readonly signal?: AbortSignal;
}

/** What comes of a request that asks for an upgrade. */
export type Outcome =
  | { readonly kind: "answer"; readonly answer: IncomingMessage }
  | { readonly kind: "upgraded"; readonly socket: Duplex; readonly head: Uint8Array };

/** The answer to a request; its body is not read yet. */
export async function exchange(options: Exchange): Promise<IncomingMessage> {
  const outcome = await exchangeUpgrade(options);
  if (outcome.kind === "answer") return outcome.answer;
  outcome.socket.destroy();
  throw new ProtocolError("internal", "the server changed the protocol without being asked");
}

/** The socket after an upgrade, or the answer that refused it. */
export function exchangeUpgrade(options: Exchange): Promise<Outcome> {
  const { signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const sent = options.open({
      method: options.method,
      path: options.path,
      headers: options.headers,
      ...(options.target.kind === "unix"
        ? { socketPath: options.target.socketPath }
        : { host: options.target.host, port: options.target.port }),
    });
    const onAbort = () => sent.destroy(new Error("cancelled by the caller"));
    signal?.addEventListener("abort", onAbort, { once: true });
    // Once the head is here, the body's reader hears of an abort through the response.
    sent.once("close", () => signal?.removeEventListener("abort", onAbort));
    sent.on("error", (error) => {
      reject(signal?.aborted ? signal.reason : unreachable(options.target, error));
    });
    sent.setTimeout(options.headTimeoutMs, () => sent.destroy(new SilentServer()));
    sent.once("response", (answer) => {
      sent.setTimeout(0);
      resolve({ kind: "answer", answer });
    });
    sent.once("upgrade", (_answer, socket, head) => {
      socket.setTimeout(0);
      signal?.removeEventListener("abort", onAbort);
      resolve({ kind: "upgraded", socket, head });
    });
    sendBody(sent, options.body, reject);
  });
}

function sendBody(
  sent: ClientRequest,
  body: Exchange["body"],
  reject: (error: unknown) => void,
): void {
  if (body === undefined || body instanceof Uint8Array) {
    sent.end(body);
    return;
  }
  // Only a server that is willing to take the body gets it: `Expect: 100-continue` is among the headers.
  sent.once("continue", () => {
    pipeline(body, sent).catch((error: unknown) => {
      // After an answer a broken upload is the answer's matter; a broken source is the caller's.
      if (!sent.destroyed) sent.destroy();
      reject(error);
    });
  });
  sent.flushHeaders();
}

class SilentServer extends Error {
  readonly code = "SILENT";
  constructor() {
    super("the server did not answer in time");
  }
}

/** What a failure below HTTP means. */
function unreachable(target: Target, error: Error): ProtocolError {
  const code = "code" in error && typeof error.code === "string" ? error.code : "UNKNOWN";
  const address = target.kind === "unix" ? target.socketPath : `${target.host}:${target.port}`;
  const reason = REASONS[code] ?? error.message;
  const details = { reason, systemCode: code, address };
  const message = `cannot reach the server at ${address}: ${reason}`;
  return new ProtocolError("unavailable", message, details, { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection lost",
  EPIPE: "connection lost",
  ENOENT: "no such socket",
  EACCES: "no permission for the socket",
  ENOTFOUND: "unknown host name",
  EAI_AGAIN: "the host name cannot be looked up",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ETIMEDOUT: "connection timed out",
  SILENT: "no answer in time",
};

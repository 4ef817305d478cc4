/**
 * One HTTPS exchange with an ACME server: certificates checked against a bundle of its own where one is
 * set, a deadline on everything, an answer of bounded size, no redirects (RFC 8555 has none).
 */

import { request } from "node:https";
import { type Clock, MIB, SECOND_MS } from "@berth/base";
import { ProtocolError } from "@berth/protocol";

export interface AcmeRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: string;
  readonly body?: string;
  readonly accept?: string;
  /** PEM; the system's authorities when absent. */
  readonly caBundle?: string;
  readonly signal: AbortSignal;
}

export interface AcmeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Rejects with `unavailable` when there is no answer, which leaves open whether it was carried out. */
export type AcmeTransport = (request: AcmeRequest) => Promise<AcmeResponse>;

/** ACME servers answer within seconds; finalizing may take some more. */
const EXCHANGE_TIMEOUT_MS = 30 * SECOND_MS;
/** A chain of ten certificates is 30 KB. */
const ANSWER_BYTES_MAX = MIB;

/** Over the machine's network. */
export function httpsTransport(options: {
  readonly clock: Clock;
  /** `berth/0.1.0`: RFC 8555, 6.1 asks for one. */
  readonly userAgent: string;
}): AcmeTransport {
  return async (asked) => {
    const late = new AbortController();
    const cancel = options.clock.setTimer(EXCHANGE_TIMEOUT_MS, () =>
      late.abort(new Error(`no answer within ${EXCHANGE_TIMEOUT_MS / SECOND_MS} s`)),
    );
    try {
      const signal = AbortSignal.any([asked.signal, late.signal]);
      return await exchange(asked, options.userAgent, signal);
    } catch (error) {
      asked.signal.throwIfAborted();
      const reason = late.signal.aborted ? late.signal.reason : error;
      const words = reason instanceof Error ? reasonWords(reason) : String(reason);
      const message = `the ACME server at ${new URL(asked.url).host} did not answer: ${words}`;
      throw new ProtocolError("unavailable", message, { url: asked.url }, { cause: error });
    } finally {
      cancel();
    }
  };
}

/** Connections to several addresses fail with one error that has no words of its own. */
function reasonWords(error: Error): string {
  if (error instanceof AggregateError && error.message === "") {
    return error.errors
      .map((each) => (each instanceof Error ? each.message : String(each)))
      .join("; ");
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${error.message} (${code})`;
}

function exchange(
  asked: AcmeRequest,
  userAgent: string,
  signal: AbortSignal,
): Promise<AcmeResponse> {
  const { method, url, body, accept, caBundle } = asked;
  return new Promise((resolve, reject) => {
    const headers = {
      "user-agent": userAgent,
      accept: accept ?? "application/json",
      ...(body === undefined
        ? {}
        : {
            "content-type": "application/jose+json",
            "content-length": String(Buffer.byteLength(body)),
          }),
    };
    const trust = caBundle === undefined ? {} : { ca: caBundle };
    const call = request(url, { method, headers, signal, agent: false, ...trust }, (answer) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      answer.on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes > ANSWER_BYTES_MAX) {
          answer.destroy(new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`));
        } else chunks.push(chunk);
      });
      answer.on("error", reject);
      answer.on("end", () => {
        const plain: Record<string, string> = {};
        for (const [name, value] of Object.entries(answer.headers)) {
          if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(", ") : value;
        }
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: answer.statusCode ?? 0, headers: plain, text });
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

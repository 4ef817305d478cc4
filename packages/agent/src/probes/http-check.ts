/**
 * An HTTP check with a socket of its own: the request is a text that is made once, and of the answer only the
 * status is looked at, once its headers are complete.
 *
 * Node's HTTP client does the same for more than twice the processor time and leaves buffers of 64 KiB behind; 50
 * tasks that are asked every 5 s were most of what an idle agent cost. Cost: one connection, one small read.
 */

import { connect } from "node:net";
import type { ProbeCheck } from "@berth/protocol";
import { failedCheck, GOOD_CHECK, socketWords } from "./checker.ts";
import type { CheckResult } from "./probe-progress.ts";

export type HttpCheck = Extract<ProbeCheck, { readonly kind: "http" }>;

const STATUS_MIN = 200;
const STATUS_MAX = 399;
const HTTP_PORT = 80;
/** Headers of an answer: as much as Node's own client takes. */
const HEAD_LENGTH_MAX = 16 * 1024;
/** Read by read by all checks: each is done with it before the next begins. */
const BUFFER = Buffer.alloc(4_096);
/** The last request of each check: neither check nor address changes while a container lives. */
const REQUESTS = new WeakMap<HttpCheck, { readonly host: string; readonly text: string }>();

// Not imported by name: see `docker-client.ts`.
const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule("node:http");

/** Redirects are answers, not followed: 3xx is good by default. */
export function checkHttp(
  check: HttpCheck,
  host: string,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { port, path, statusMin = STATUS_MIN, statusMax = STATUS_MAX } = check;
  const judge = (status: number) =>
    status >= statusMin && status <= statusMax
      ? GOOD_CHECK
      : failedCheck(`${path} on port ${port} answered ${status}`);
  return new Promise((resolve) => {
    let head = "";
    // A connection of its own: one that lives on would see neither a full backlog nor a new process.
    const onread = {
      buffer: BUFFER,
      callback: (sizeBytes: number) => {
        head += BUFFER.toString("latin1", 0, sizeBytes);
        const answer = answerOf(head);
        if (answer.kind === "incomplete") return true;
        if (answer.kind === "wrong") settle(failedCheck(`port ${port}: ${answer.reason}`));
        else settle(judge(answer.status));
        return false;
      },
    };
    const socket = connect({ host, port, onread });
    const settle = (result: CheckResult) => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve(result);
    };
    const fail = (error: unknown) => settle(failedCheck(socketWords(error, port, signal)));
    const onAbort = () => fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", fail);
    socket.on("end", () => settle(failedCheck(`port ${port} closed the connection`)));
    try {
      socket.write(requestText(check, host), "latin1");
    } catch (error) {
      fail(error);
    }
  });
}

function requestText(check: HttpCheck, host: string): string {
  const known = REQUESTS.get(check);
  if (known?.host === host) return known.text;
  const text = newRequest(check, host);
  REQUESTS.set(check, { host, text });
  return text;
}

/** @throws Error where the path or a header would say more than one request. */
function newRequest({ path, port, headers = {} }: HttpCheck, host: string): string {
  if (/[^\u0021-\u00ff]/.test(path)) throw new TypeError("the path has characters to be escaped");
  const given = Object.entries(headers);
  for (const [name, value] of given) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  const names = new Set(given.map(([name]) => name.toLowerCase()));
  const own = [
    ["Host", port === HTTP_PORT ? hostWord(host) : `${hostWord(host)}:${port}`],
    ["Connection", "close"],
  ].filter(([name]) => name !== undefined && !names.has(name.toLowerCase()));
  const lines = [...own, ...given].map(([name, value]) => `${name}: ${value}`);
  return [`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** IPv6 addresses stand in brackets. */
function hostWord(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

type Answer =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "incomplete" }
  | { readonly kind: "wrong"; readonly reason: string };

/**
 * The status of an answer whose headers are complete. What comes before the answer (100 Continue, 103 Early
 * Hints) is passed over.
 */
function answerOf(text: string): Answer {
  for (let from = 0; ; ) {
    const end = text.indexOf("\r\n\r\n", from);
    if (end < 0) return unfinished(text, from);
    const [, digits] = STATUS_LINE.exec(text.slice(from, end)) ?? [];
    if (digits === undefined) return NO_HTTP;
    const status = Number(digits);
    if (!isInformation(status)) return { kind: "status", status };
    from = end + "\r\n\r\n".length;
  }
}

function unfinished(text: string, from: number): Answer {
  if (text.length > HEAD_LENGTH_MAX) return { kind: "wrong", reason: "its headers have no end" };
  return isBeginning(text.slice(from)) ? { kind: "incomplete" } : NO_HTTP;
}

const NO_HTTP: Answer = { kind: "wrong", reason: "it does not speak HTTP" };
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: |\r|$)/;
const PROTOCOL = "HTTP/1.";

function isBeginning(text: string): boolean {
  const length = Math.min(text.length, PROTOCOL.length);
  return text.startsWith(PROTOCOL.slice(0, length));
}

/** 101 Switching Protocols is an answer: nobody asked for it, and nothing follows. */
function isInformation(status: number): boolean {
  return status >= 100 && status < 200 && status !== 101;
}

/**
 * Reads the body of a request, within its limits of size and time.
 *
 * A body is asked for (`100 Continue`) only when it is wanted: a request that is refused for its token or
 * its announced length is answered before a byte of the body was sent.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Clock, SECOND_MS } from "@berth/base";
import { BODY_BYTES_MAX, ProtocolError, type RouteDescription } from "@berth/protocol";

/** A client that sends nothing for this long holds a connection for nothing. */
export const BODY_SILENCE_MS = 20 * SECOND_MS;
/** An ordinary body is here within this time, however it trickles. */
export const BODY_TIMEOUT_MS = 60 * SECOND_MS;

export interface BodySource {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean;
  readonly clock: Clock;
}

/** The JSON value of the body; `undefined` when there is none. */
export async function readJsonBody(source: BodySource, route: RouteDescription): Promise<unknown> {
  const { headers } = source.request;
  const isEmpty =
    headers["transfer-encoding"] === undefined && !(Number(headers["content-length"]) > 0);
  if (isEmpty) return undefined;
  checkMediaType(headers["content-type"], "application/json");
  checkEncoding(headers["content-encoding"]);
  const whole = await wholeBody(source, route);
  if (whole !== undefined) return parseJsonBody(whole.toString());
  const chunks: Uint8Array[] = [];
  for await (const chunk of readBytes(source, route, BODY_TIMEOUT_MS)) chunks.push(chunk);
  return parseJsonBody(Buffer.concat(chunks).toString());
}

/** Nearly all bodies come with their headers: then there is nothing to wait for. */
async function wholeBody(
  { request, expectsContinue }: BodySource,
  { bodyBytesMax = BODY_BYTES_MAX }: RouteDescription,
): Promise<Buffer | undefined> {
  // What came in one piece with the headers is taken up by the parser before anything that waits goes on.
  await undefined;
  const announced = Number(request.headers["content-length"]);
  if (!request.complete || expectsContinue || !(announced <= bodyBytesMax)) return undefined;
  // Of a whole body one read gives all.
  const body: unknown = request.read();
  return Buffer.isBuffer(body) ? body : undefined;
}

/** @throws ProtocolError `invalid_request` when `text` is no JSON, or JSON that means mischief. */
export function parseJsonBody(text: string): unknown {
  if (text === "") return undefined;
  // A key that changes an object's prototype when it is copied by assignment: no name of ours.
  if (text.includes('"__proto__"')) {
    throw new ProtocolError("invalid_request", 'the body has a key "__proto__"');
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProtocolError("invalid_request", `the body is no JSON: ${reason}`, {}, { cause });
  }
}

/** The bytes of the body as they come. Nothing is looked at or asked for until the first is wanted. */
export async function* readByteBody(
  source: BodySource,
  route: RouteDescription,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { headers } = source.request;
  checkMediaType(headers["content-type"], "application/octet-stream");
  checkEncoding(headers["content-encoding"]);
  yield* readBytes(source, route, undefined);
}

async function* readBytes(
  source: BodySource,
  route: RouteDescription,
  timeoutMs: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { request, response, expectsContinue, clock } = source;
  const maximum = route.bodyBytesMax ?? BODY_BYTES_MAX;
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maximum) throw tooLarge(maximum, announced);
  if (expectsContinue) response.writeContinue();
  const deadline = clock.monotonic() + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let bytes = 0;
  const chunks = request.iterator({ destroyOnReturn: false });
  for (;;) {
    const waitMs = Math.min(BODY_SILENCE_MS, deadline - clock.monotonic());
    const next = await inTime(chunks.next(), clock, waitMs);
    if (next.done) return;
    bytes += next.value.length;
    if (bytes > maximum) throw tooLarge(maximum, bytes);
    yield next.value;
  }
}

function inTime(
  next: Promise<IteratorResult<Uint8Array>>,
  clock: Clock,
  waitMs: number,
): Promise<IteratorResult<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(Math.max(0, waitMs), () => {
      reject(
        new ProtocolError("timed_out", "the body did not come in time", { deadlineMs: waitMs }),
      );
    });
    next.then(resolve, (cause: unknown) => {
      const message = "the connection was lost within the body";
      reject(new ProtocolError("unavailable", message, { reason: "connection lost" }, { cause }));
    });
    void next.then(cancel, cancel);
  });
}

function checkMediaType(found: string | undefined, expected: string): void {
  const type = found?.split(";", 1)[0]?.trim().toLowerCase();
  if (type === expected) return;
  const message = `the body is ${found ?? "of no stated type"}, expected ${expected}`;
  throw new ProtocolError("invalid_request", message, { header: "Content-Type", expected });
}

function checkEncoding(found: string | undefined): void {
  if (found === undefined || found === "identity") return;
  throw new ProtocolError("invalid_request", `the body is encoded as ${found}; send it as it is`, {
    header: "Content-Encoding",
  });
}

function tooLarge(maximum: number, value: number): ProtocolError {
  const message = `the body has ${value} bytes or more, at most ${maximum}`;
  return new ProtocolError("body_too_large", message, { limit: "body bytes", value, maximum });
}

/** A refused body is read and thrown away up to here, so that the client sees the answer ... */
const DISCARD_BYTES_MAX = 16 * 1024 * 1024;
/** ... but not longer than this. */
const DISCARD_MS = SECOND_MS;

/**
 * Takes what is left of the body. A connection that is closed with unread bytes is reset, and a client that
 * is still sending then never sees why it was refused.
 */
export async function discardBody({ request, expectsContinue, clock }: BodySource): Promise<void> {
  if (request.readableEnded || request.destroyed || expectsContinue) return;
  const late = new Promise<"late">((resolve) => {
    clock.setTimer(DISCARD_MS, () => resolve("late"));
  });
  let bytes = 0;
  const chunks = request.iterator({ destroyOnReturn: false });
  while (bytes < DISCARD_BYTES_MAX) {
    const next = await Promise.race([chunks.next(), late]).catch(() => "lost" as const);
    if (next === "late" || next === "lost" || next.done) return;
    bytes += (next.value as Uint8Array).length;
  }
}

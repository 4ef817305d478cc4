/**
 * Requests to S3-compatible storage: signed (AWS signature 4, by aws4fetch), over Node's own HTTP so that a storage with a
 * certificate of its own authority can be reached, tried again when that can help, and refused in plain words.
 *
 * The signature covers the SHA-256 of what is sent: the storage itself refuses a body that arrives changed. Buckets are
 * named in the path, which every storage understands.
 */

import { createHash } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { getCACertificates } from "node:tls";
import { SECOND_MS, sleep, systemClock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { AwsV4Signer } from "aws4fetch";
import { refusalOf, unreachable } from "./s3-refusals.ts";
import type { S3Location, S3Settings } from "./s3-settings.ts";

/** Of one request; a storage that is overloaded says so for some seconds. */
const TRIES_MAX = 6;
const PAUSE_MS_MIN = SECOND_MS / 2;
/** Without a byte in either direction. A storage may take long to put 10,000 parts together. */
const SILENCE_MS_MAX = 120 * SECOND_MS;
/** Of an answer that is read whole: errors and identifiers. */
const ANSWER_BYTES_MAX = 2 ** 20;

export interface S3Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Ends the request; the command's own by default. */
  readonly signal?: AbortSignal;
}

export interface S3Answer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
}

/** Of one object. */
export class S3Client {
  readonly #settings: S3Settings;
  readonly #location: S3Location;
  /** Of the command. */
  readonly signal: AbortSignal;

  constructor(settings: S3Settings, location: S3Location, signal: AbortSignal) {
    this.#settings = settings;
    this.#location = location;
    this.signal = signal;
  }

  /**
   * The answer, whole; statuses in `expected` are answers as well.
   *
   * @throws ProtocolError in words for people when it is refused, or nobody answers after all tries.
   */
  async call(request: S3Request, expected: readonly number[] = []): Promise<S3Answer> {
    const incoming = await this.#tried(request, expected);
    const text = await textOf(incoming);
    // A request that takes long is answered 200 at first, and with the error in the body.
    const isRefused = /<Error>\s*<Code>/.test(text) && !expected.includes(incoming.statusCode ?? 0);
    if (isRefused) throw this.#refusal(incoming, text);
    return {
      status: incoming.statusCode ?? 0,
      header: (name) => headerOf(incoming, name),
      text,
    };
  }

  /** Status and headers of an answer whose body nobody needs. Of 404, only that of the object is expected. */
  async stat(request: S3Request, expected: readonly number[]): Promise<Omit<S3Answer, "text">> {
    const incoming = await this.#tried(request, expected);
    const { statusCode: status = 0 } = incoming;
    if (status === 404) {
      const refusal = this.#refusal(incoming, await textOf(incoming));
      if (refusal.code !== "not_found") throw refusal;
    } else incoming.destroy();
    return { status, header: (name) => headerOf(incoming, name) };
  }

  /** The body as it comes. */
  async stream(request: S3Request): Promise<IncomingMessage> {
    return await this.#tried(request, []);
  }

  /** An answer that is no failure: others are tried again or thrown. */
  async #tried(request: S3Request, expected: readonly number[]): Promise<IncomingMessage> {
    const signal = request.signal ?? this.signal;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#send(request, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return unreachable(this.#settings, error);
      });
      if (!(outcome instanceof ProtocolError)) {
        const status = outcome.statusCode ?? 0;
        if ((status >= 200 && status < 300) || expected.includes(status)) return outcome;
        const refusal = this.#refusal(outcome, await textOf(outcome));
        if (refusal.code !== "unavailable" || attempt >= TRIES_MAX) throw refusal;
      } else if (outcome.code !== "unavailable" || attempt >= TRIES_MAX) throw outcome;
      await sleep(systemClock, PAUSE_MS_MIN * 2 ** (attempt - 1), signal);
    }
  }

  #refusal(incoming: IncomingMessage, text: string): ProtocolError {
    const { statusCode = 0, headers } = incoming;
    const { date } = headers;
    return refusalOf({
      ...{ settings: this.#settings, location: this.#location },
      ...{ status: statusCode, text, date, now: systemClock.now() },
    });
  }

  async #send(request: S3Request, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, query = {}, body } = request;
    const { endpoint, region, credentials, authorities } = this.#settings;
    const { bucket, key } = this.#location;
    const url = new URL(`/${bucket}/${key.split("/").map(encoded).join("/")}`, endpoint);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const digest = createHash("sha256")
      .update(body ?? "")
      .digest("hex");
    const signer = new AwsV4Signer({
      ...{ method, url: url.href, region, service: "s3", ...credentials },
      headers: { ...request.headers, "x-amz-content-sha256": digest },
    });
    const signed = await signer.sign();
    const headers: Record<string, string> = {
      ...Object.fromEntries(signed.headers.entries()),
      "content-length": String(body?.length ?? 0),
    };
    const isSecure = endpoint.protocol === "https:";
    const trust =
      isSecure && authorities !== undefined ? { ca: [...getCACertificates(), authorities] } : {};
    return await new Promise((resolve, reject) => {
      const options = { method, headers, signal, timeout: SILENCE_MS_MAX, ...trust };
      const outgoing = (isSecure ? httpsRequest : httpRequest)(signed.url, options, resolve);
      outgoing.on("timeout", () => {
        outgoing.destroy(new Error(`nothing came for ${SILENCE_MS_MAX / SECOND_MS} s`));
      });
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }
}

/** What a URL's path leaves as it is, and signatures do not. */
function encoded(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      incoming.destroy();
      const message = `the storage answered more than ${ANSWER_BYTES_MAX} bytes where a short answer belongs`;
      throw new ProtocolError("storage_refused", message);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/**
 * A backup as an object of S3-compatible storage: sent in parts while it is made, with nothing under its name before the
 * last one; read from where a broken connection left off, and only as long as it is the same object.
 *
 * Memory: two parts on their way and one that is being filled.
 */

import { formatBytes, MIB, SECOND_MS } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import type { CommandInput } from "../command.ts";
import type { BackupPlace, BackupSink } from "./place.ts";
import { S3Client, type S3Request } from "./s3-client.ts";
import { parseS3Location, s3Settings } from "./s3-settings.ts";

/** All parts but the last have the same size: some storages insist. With S3's 10,000 parts that is 625 GiB. */
const PART_BYTES = 64 * MIB;
const PARTS_MAX = 10_000;
const IN_FLIGHT_MAX = 2;
/** Of a download, in a row without a byte between them. */
const RESUMES_MAX = 5;
/** What is left of an interrupted command is not waited for longer. */
const ABANDON_TIMEOUT_MS = 20 * SECOND_MS;

/** `partBytes` is for tests. */
export async function s3Place(
  input: CommandInput,
  name: string,
  partBytes = PART_BYTES,
): Promise<BackupPlace> {
  const location = parseS3Location(name);
  const client = new S3Client(s3Settings(input), location, input.signal);
  return {
    name,
    begin: async () => {
      await refuseExisting(client, name);
      const { text } = await client.call({ method: "POST", query: { uploads: "" } });
      const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(text)?.[1];
      if (uploadId === undefined) {
        throw new ProtocolError("storage_refused", "the storage began no upload of parts");
      }
      return new Upload(client, { name, uploadId: plainText(uploadId), partBytes });
    },
    read: () => download(client, name),
  };
}

/** Of XML. */
function plainText(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
  };
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, sign: string) => signs[sign] ?? "");
}

interface Found {
  readonly bytes: number;
  /** Of this content: another one under the name has another. */
  readonly tag: string | undefined;
}

/**
 * What has the name now. Its first byte is asked for, not the head alone: a refusal has no words without a body, and some
 * storages send one where none belongs.
 */
async function stat(client: S3Client): Promise<Found | undefined> {
  const headers = { range: "bytes=0-0" };
  const { status, header } = await client.stat({ method: "GET", headers }, [404, 416]);
  if (status === 404) return undefined;
  const total = /\/(\d+)$/.exec(header("content-range") ?? "")?.[1];
  // An empty one has no first byte.
  const bytes = status === 416 ? 0 : Number(total ?? header("content-length"));
  return { bytes, tag: header("etag") };
}

async function refuseExisting(client: S3Client, name: string): Promise<void> {
  if ((await stat(client)) === undefined) return;
  throw new ProtocolError("invalid_request", `${name} exists already: name another`, { name });
}

interface UploadOptions {
  readonly name: string;
  readonly uploadId: string;
  readonly partBytes: number;
}

class Upload implements BackupSink {
  readonly #client: S3Client;
  readonly #options: UploadOptions;
  readonly #tags: string[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #cancel = new AbortController();
  readonly #signal: AbortSignal;
  #filling: Uint8Array[] = [];
  #filled = 0;
  #bytes = 0;
  #parts = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(client: S3Client, options: UploadOptions) {
    this.#client = client;
    this.#options = options;
    this.#signal = AbortSignal.any([client.signal, this.#cancel.signal]);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { partBytes } = this.#options;
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + partBytes - this.#filled);
      // A copy: who gave it may use its memory again.
      this.#filling.push(Buffer.from(piece));
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === partBytes) await this.#sendPart();
    }
  }

  async finish(): Promise<void> {
    const { name, uploadId } = this.#options;
    // The last one, which may be short, and may be the only one and empty.
    if (this.#filled > 0 || this.#parts === 0) await this.#sendPart();
    await Promise.all(this.#inFlight);
    this.#throwFailure();
    // Somebody else may have been quicker meanwhile.
    await refuseExisting(this.#client, name);
    const parts = this.#tags.map(
      (tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`,
    );
    const document = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    const completion: S3Request = {
      ...{ method: "POST" as const, query: { uploadId }, body: Buffer.from(document) },
      headers: { "content-type": "application/xml" },
    };
    // 404: an earlier try got through, and only its answer was lost. What lies there tells.
    await this.#client.call(completion, [404]);
    const there = (await stat(this.#client))?.bytes ?? 0;
    if (there === this.#bytes) return;
    const message = `${name} has ${there} bytes after ${this.#bytes} were sent: do not rely on it`;
    throw new ProtocolError("storage_refused", message, { name });
  }

  async abandon(): Promise<void> {
    this.#cancel.abort();
    await Promise.all(this.#inFlight);
    const { uploadId } = this.#options;
    // The command's own signal may be what ended it.
    const signal = AbortSignal.timeout(ABANDON_TIMEOUT_MS);
    // 404: it had been completed, or is gone already.
    await this.#client
      .call({ method: "DELETE", query: { uploadId }, signal }, [404])
      .catch(() => {});
  }

  async #sendPart(): Promise<void> {
    this.#throwFailure();
    const { name, uploadId, partBytes } = this.#options;
    const number = ++this.#parts;
    if (number > PARTS_MAX) {
      const limit = formatBytes(PARTS_MAX * partBytes);
      const message = `${name} would be larger than ${limit}, the most that can be sent`;
      throw new ProtocolError("invalid_request", message, { name });
    }
    const body = Buffer.concat(this.#filling, this.#filled);
    this.#bytes += this.#filled;
    this.#filling = [];
    this.#filled = 0;
    while (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
    this.#throwFailure();
    const query = { partNumber: String(number), uploadId };
    const sending = this.#client
      .call({ method: "PUT", query, body, signal: this.#signal })
      .then(({ header }) => {
        const tag = header("etag");
        if (tag !== undefined) this.#tags[number - 1] = tag;
        else this.#failure ??= { error: noTag(number) };
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

function noTag(number: number): ProtocolError {
  return new ProtocolError("storage_refused", `the storage gave no tag for part ${number}`);
}

/** The object from its beginning to its end, over connections that break. */
async function* download(
  client: S3Client,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const found = await stat(client);
  if (found === undefined) throw new ProtocolError("not_found", `there is no ${name}`, { name });
  const { bytes, tag } = found;
  let at = 0;
  for (let failures = 0; at < bytes; ) {
    const from = at;
    const headers = {
      ...(tag === undefined ? {} : { "if-match": tag }),
      ...(at === 0 ? {} : { range: `bytes=${at}-` }),
    };
    let cause: unknown = "the connection ended early";
    try {
      const answer = await client.stream({ method: "GET", headers });
      if (at > 0 && answer.statusCode !== 206) {
        throw new ProtocolError("storage_refused", `${name} cannot be read from its middle`);
      }
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        at += chunk.length;
        yield chunk;
      }
    } catch (error) {
      client.signal.throwIfAborted();
      if (error instanceof ProtocolError) throw error;
      cause = error;
    }
    if (at >= bytes) return;
    client.signal.throwIfAborted();
    failures = at > from ? 0 : failures + 1;
    if (failures <= RESUMES_MAX) continue;
    const message = `${name} broke off after ${at} of ${bytes} bytes, ${failures} times`;
    throw new ProtocolError("unavailable", message, { name }, { cause });
  }
}

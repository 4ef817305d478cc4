/**
 * Where a backup lies: a file, or an object of S3-compatible storage. Written aside and under its name only when it is
 * whole, never over one that exists; read as often as is needed, the same bytes each time.
 */

import { resolve } from "node:path";
import type { CommandInput } from "../command.ts";
import { filePlace } from "./file-place.ts";

export interface BackupPlace {
  /** For people: the path, or `s3://bucket/key`. */
  readonly name: string;
  /** @throws ProtocolError `invalid_request` when something has the name already. */
  readonly begin: () => Promise<BackupSink>;
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** A backup that is being written; exactly one of `finish` and `abandon` ends it. */
export interface BackupSink {
  readonly write: (chunk: Uint8Array) => Promise<void>;
  /** Gives it its name. When this fails, nothing has the name. */
  readonly finish: () => Promise<void>;
  /** Removes what was written; never throws, since what went wrong before is what counts. */
  readonly abandon: () => Promise<void>;
}

export const S3_SCHEME = "s3://";

/** Of commands that take `s3://bucket/key` where they take a file. */
export const S3_OPTIONS = [
  {
    flags: "--s3-endpoint <url>",
    summary: "of the storage; AWS_ENDPOINT_URL",
    fallback: "Amazon's of the region",
  },
  { flags: "--s3-region <name>", summary: "AWS_REGION", fallback: "us-east-1" },
  {
    flags: "--s3-ca <file>",
    summary: "certificates (PEM) to trust beside the usual; AWS_CA_BUNDLE",
  },
  {
    flags: "--s3-credentials <file>",
    summary: "aws_access_key_id and aws_secret_access_key as in ~/.aws/credentials",
    fallback: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then that file",
  },
] as const;

/** `word` is a path, or `s3://bucket/key`. */
export async function placeOf(input: CommandInput, word: string): Promise<BackupPlace> {
  if (!word.startsWith(S3_SCHEME)) return filePlace(resolve(input.workingDirectory, word));
  const { s3Place } = await import("./s3-place.ts");
  return await s3Place(input, word);
}

/** Writes all of `bytes`, or leaves nothing. */
export async function writeWhole(
  place: BackupPlace,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const sink = await place.begin();
  try {
    for await (const chunk of bytes) await sink.write(chunk);
    await sink.finish();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

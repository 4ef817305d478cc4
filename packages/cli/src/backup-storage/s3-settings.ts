/**
 * Which storage, which object, and by whose right: from the options of a command, the environment, and files. The
 * names of the environment and the form of the file are those that programs for S3 agree upon. A secret is
 * never an option: arguments of processes are everybody's to read.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ProtocolError } from "@berth/protocol";
import { type CommandInput, textOption } from "../command.ts";
import { S3_SCHEME } from "./place.ts";

export interface S3Settings {
  /** `https://storage.example:9000`, without a path. */
  readonly endpoint: URL;
  readonly region: string;
  /** Certificates in PEM to trust beside the usual ones. */
  readonly authorities: string | undefined;
  readonly credentials: S3Credentials;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3Location {
  readonly bucket: string;
  readonly key: string;
}

const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/;
/** Of S3, bytes in UTF-8. */
const KEY_BYTES_MAX = 1024;
const REGION_DEFAULT = "us-east-1";
const PROFILE_DEFAULT = "default";

/** @throws ProtocolError `invalid_request` with what is wrong about `word`. */
export function parseS3Location(word: string): S3Location {
  const refuse = (why: string): never => {
    const message = `${word}: ${why}; expected s3://BUCKET/KEY`;
    throw new ProtocolError("invalid_request", message, { place: word });
  };
  const path = word.slice(S3_SCHEME.length);
  const at = path.indexOf("/");
  const bucket = at < 0 ? path : path.slice(0, at);
  const key = at < 0 ? "" : path.slice(at + 1);
  if (!BUCKET.test(bucket)) {
    refuse(`"${bucket}" is no name of a bucket (3 to 63 of a to z, 0 to 9, dot and hyphen)`);
  }
  if (key === "" || key.endsWith("/")) refuse("which object? its key is missing");
  if (key.split("/").some((part) => part === "." || part === "..")) {
    refuse("a key has no . or .. between slashes");
  }
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) refuse(`the key has ${bytes} bytes, ${KEY_BYTES_MAX} are allowed`);
  return { bucket, key };
}

export function s3Settings(input: CommandInput): S3Settings {
  const { environment } = input;
  const region =
    textOption(input, "s3Region") ??
    filled(environment["AWS_REGION"]) ??
    filled(environment["AWS_DEFAULT_REGION"]) ??
    REGION_DEFAULT;
  const endpoint =
    textOption(input, "s3Endpoint") ??
    filled(environment["AWS_ENDPOINT_URL_S3"]) ??
    filled(environment["AWS_ENDPOINT_URL"]) ??
    `https://s3.${region}.amazonaws.com`;
  const ca = textOption(input, "s3Ca") ?? filled(environment["AWS_CA_BUNDLE"]);
  return {
    endpoint: parseEndpoint(endpoint),
    region,
    authorities: ca === undefined ? undefined : readNamed(input, ca),
    credentials: credentialsOf(input),
  };
}

/** A variable that is set to nothing is not set. */
function filled(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function parseEndpoint(text: string): URL {
  const url = URL.parse(text);
  const isPlain = url !== null && url.pathname === "/" && url.search === "" && url.username === "";
  if (isPlain && (url.protocol === "https:" || url.protocol === "http:")) return url;
  // Not the text itself: somebody may have put a password into it.
  const message =
    "the endpoint of the storage is no URL of a host alone; expected https://HOST[:PORT]";
  throw new ProtocolError("invalid_request", message);
}

function readNamed(input: CommandInput, name: string): string {
  const file = resolve(input.workingDirectory, name);
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const message = `${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`;
    throw new ProtocolError("invalid_request", message, { file }, { cause });
  }
}

function credentialsOf(input: CommandInput): S3Credentials {
  const { environment } = input;
  const named = textOption(input, "s3Credentials");
  if (named !== undefined) return credentialsInFile(input, named);
  const accessKeyId = filled(environment["AWS_ACCESS_KEY_ID"]);
  const secretAccessKey = filled(environment["AWS_SECRET_ACCESS_KEY"]);
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    const sessionToken = filled(environment["AWS_SESSION_TOKEN"]);
    return {
      ...{ accessKeyId, secretAccessKey },
      ...(sessionToken === undefined ? {} : { sessionToken }),
    };
  }
  const shared = filled(environment["AWS_SHARED_CREDENTIALS_FILE"]);
  if (shared !== undefined) return credentialsInFile(input, shared);
  const home = join(environment["HOME"] ?? "/root", ".aws/credentials");
  try {
    return credentialsInFile(input, home);
  } catch (cause) {
    const message = `no credentials for the storage: --s3-credentials FILE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or ${home}`;
    throw new ProtocolError("invalid_request", message, {}, { cause });
  }
}

/** `[profile]` and `name = value` lines; without a header, the lines are the default profile's. */
function credentialsInFile(input: CommandInput, name: string): S3Credentials {
  const profile = filled(input.environment["AWS_PROFILE"]) ?? PROFILE_DEFAULT;
  const found = new Map<string, string>();
  let current = PROFILE_DEFAULT;
  for (const line of readNamed(input, name).split(/\r?\n/)) {
    const [, header] = /^\s*\[\s*(?:profile\s+)?([^\]]+?)\s*\]/.exec(line) ?? [];
    if (header !== undefined) current = header;
    const [, key, value] = /^\s*(aws_\w+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (current === profile && key !== undefined && value !== undefined) found.set(key, value);
  }
  const accessKeyId = found.get("aws_access_key_id");
  const secretAccessKey = found.get("aws_secret_access_key");
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const file = resolve(input.workingDirectory, name);
    const message = `${file} has no aws_access_key_id and aws_secret_access_key for the profile ${profile}`;
    throw new ProtocolError("invalid_request", message, { file, profile });
  }
  const sessionToken = found.get("aws_session_token");
  return {
    ...{ accessKeyId, secretAccessKey },
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

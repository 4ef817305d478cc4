/** What a storage's refusals mean for the person in front of it. Pure; nothing of a secret is in any word of it. */

import { MINUTE_MS } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import type { S3Location, S3Settings } from "./s3-settings.ts";

export interface RefusedAnswer {
  readonly settings: S3Settings;
  readonly location: S3Location;
  readonly status: number;
  /** XML with a code and a message, or nothing. */
  readonly text: string;
  /** The storage's clock, as its header says. */
  readonly date: string | undefined;
  /** This machine's clock. */
  readonly now: number;
}

/** What S3 bears between the two clocks. */
const SKEW_MS_MAX = 15 * MINUTE_MS;
const WORDS_MAX = 200;
/** The connection failed before the storage was asked: by Node's code. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/;
const SPOKE_PLAINLY = /wrong version number|packet length too long|EPROTO/i;

export function refusalOf(answer: RefusedAnswer): ProtocolError {
  const { settings, location, status, text } = answer;
  const code = elementOf(text, "Code") ?? String(status);
  const details = { storage: settings.endpoint.host, status, reply: code };
  const refuse = (message: string) => new ProtocolError("storage_refused", message, details);
  const name = `s3://${location.bucket}/${location.key}`;
  const { host } = settings.endpoint;
  const { accessKeyId } = settings.credentials;
  const skewMs = skewOf(answer);
  if (code === "RequestTimeTooSkewed" || (status === 403 && Math.abs(skewMs) > SKEW_MS_MAX)) {
    const minutes = Math.round(Math.abs(skewMs) / MINUTE_MS);
    const direction = skewMs < 0 ? "behind" : "ahead of";
    const message = `this machine's clock is ${minutes} min ${direction} that of ${host}, which allows 15: set the clock`;
    return new ProtocolError("clock_skew", message, details);
  }
  switch (code) {
    case "NoSuchBucket":
      return refuse(`there is no bucket ${location.bucket} at ${host}: make it, or name another`);
    case "NoSuchKey":
      return new ProtocolError("not_found", `there is no ${name} at ${host}`, details);
    case "AccessDenied":
    case "AllAccessDisabled":
      return refuse(`${host} does not allow the key ${accessKeyId} to use ${name}`);
    case "InvalidAccessKeyId":
    case "SignatureDoesNotMatch":
    case "InvalidToken":
    case "ExpiredToken":
      return refuse(`${host} does not accept the credentials of the key ${accessKeyId} (${code})`);
    case "AuthorizationHeaderMalformed":
    case "PermanentRedirect":
    case "IllegalLocationConstraintException": {
      const region = elementOf(text, "Region") ?? elementOf(text, "Endpoint");
      const instead = region === undefined ? "" : `: it is in ${region}`;
      return refuse(`the bucket ${location.bucket} is not in ${settings.region}${instead}`);
    }
    case "404":
      return new ProtocolError("not_found", `there is no ${name} at ${host}`, details);
    case "403":
      return refuse(
        `${host} does not allow the key ${accessKeyId} to use ${name}, or does not accept its credentials`,
      );
  }
  const words = (elementOf(text, "Message") ?? "").slice(0, WORDS_MAX);
  const said = `${host} answered ${status}${code === String(status) ? "" : ` ${code}`}${words === "" ? "" : `: ${words}`}`;
  const isPassing = status >= 500 || status === 429 || code === "RequestTimeout";
  return isPassing && status !== 501
    ? new ProtocolError("unavailable", said, details)
    : refuse(said);
}

/** This machine's clock less the storage's; 0 when it does not tell. */
function skewOf({ date, now }: RefusedAnswer): number {
  const there = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(there) ? 0 : now - there;
}

function elementOf(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}

/** Nobody answered, or nobody that can be trusted. */
export function unreachable({ endpoint }: S3Settings, cause: unknown): ProtocolError {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  const code = "code" in error ? String(error.code) : "";
  const details = { storage: endpoint.host, reason: code };
  if (UNTRUSTED.test(code)) {
    const message = `the certificate of ${endpoint.host} is not trusted (${code}): --s3-ca FILE names its authority`;
    return new ProtocolError("storage_refused", message, details, { cause });
  }
  if (SPOKE_PLAINLY.test(`${code} ${error.message}`)) {
    const message = `${endpoint.host} does not speak TLS: is the endpoint http:// ?`;
    return new ProtocolError("storage_refused", message, details, { cause });
  }
  const words = error.message === "" ? code : error.message;
  const message = `the storage at ${endpoint.host} cannot be reached: ${words}`;
  return new ProtocolError("unavailable", message, details, { cause });
}

/**
 * Secrets of a deploy: contents become versions, and are sealed into the store before the deployment that
 * names the versions is accepted. Content-addressed, so a repetition writes nothing.
 */

import { KIB } from "@berth/base";
import {
  keys,
  ProtocolError,
  type SecretVersion,
  type StackScope,
  stackKey,
} from "@berth/protocol";
import type { ApiContext } from "./handler.ts";

/** As in Docker Swarm; base64 of it fits into one value of the store. */
export const SECRET_BYTES_MAX = 500 * KIB;

/** A secret whose bytes are known. */
export interface OpenSecret {
  readonly content: Uint8Array;
  readonly external?: NonNullable<SecretVersion["external"]>;
}

export type OpenSecrets = Readonly<Record<string, OpenSecret>>;

/** The version of each secret. Nothing is stored. */
export function versionsOf(
  { secrets }: Pick<ApiContext, "secrets">,
  scope: StackScope,
  opened: OpenSecrets,
): Readonly<Record<string, SecretVersion>> {
  return Object.fromEntries(
    Object.entries(opened).map(([name, { content, external }]): [string, SecretVersion] => {
      const version = secrets.versionOf(content, `${stackKey(scope)}/${name}`);
      return [name, { version, ...(external === undefined ? {} : { external }) }];
    }),
  );
}

/** Seals what the store does not have yet. */
export async function storeSecrets(
  context: Pick<ApiContext, "secrets" | "store">,
  scope: StackScope,
  opened: OpenSecrets,
): Promise<void> {
  for (const [name, { version }] of Object.entries(versionsOf(context, scope, opened))) {
    const content = opened[name]?.content;
    if (content === undefined) continue;
    const key = keys.secret(scope, name, version);
    // One by one: each may be half as large as a transaction can be.
    await context.store.txn({
      compare: [{ key, target: "version", op: "=", value: 0 }],
      then: [{ kind: "put", key, value: context.secrets.seal(content, key) }],
    });
  }
}

/**
 * The bytes of `text`, which is base64.
 *
 * @param what `secret db_password`, for the error.
 * @throws ProtocolError `invalid_request` for other text, `limit_exceeded` above `SECRET_BYTES_MAX`.
 */
export function decodedContent(what: string, text: string): Uint8Array {
  const content = Buffer.from(text, "base64");
  // Buffer skips what is no base64; bytes that were silently lost would be another secret.
  if (content.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, "")) {
    throw new ProtocolError("invalid_request", `the content of ${what} is no base64`);
  }
  if (content.length <= SECRET_BYTES_MAX) return content;
  const message = `${what} has ${content.length} bytes, at most ${SECRET_BYTES_MAX}`;
  throw new ProtocolError("limit_exceeded", message, {
    limit: `${what.split(" ")[0]} bytes`,
    value: content.length,
    maximum: SECRET_BYTES_MAX,
  });
}

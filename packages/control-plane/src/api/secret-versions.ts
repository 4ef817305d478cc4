/**
 * Secrets of a deploy: contents become versions, and are sealed into the store before the deployment that
 * names the versions is accepted. Content-addressed, so a repetition writes nothing.
 */

import { KIB } from "@berth/base";
import { keys, ProtocolError, type StackScope, type StackSpec, stackKey } from "@berth/protocol";
import type { ApiContext } from "./handler.ts";

/** As in Docker Swarm; base64 of it fits into one value of the store. */
export const SECRET_BYTES_MAX = 500 * KIB;

type SecretInputs = StackSpec["secrets"];
export type SecretVersions = Readonly<Record<string, { readonly version: string }>>;

interface OpenSecret {
  readonly name: string;
  readonly version: string;
  readonly content: Uint8Array;
}

/** The version of each secret of `inputs`. Nothing is stored. */
export function versionsOf(
  context: Pick<ApiContext, "secrets">,
  scope: StackScope,
  inputs: SecretInputs,
): SecretVersions {
  const opened = openInputs(context, scope, inputs);
  return Object.fromEntries(opened.map(({ name, version }) => [name, { version }]));
}

/** Seals what the store does not have yet. */
export async function storeSecrets(
  context: Pick<ApiContext, "secrets" | "store">,
  scope: StackScope,
  inputs: SecretInputs,
): Promise<void> {
  for (const { name, version, content } of openInputs(context, scope, inputs)) {
    const key = keys.secret(scope, name, version);
    // One by one: each may be half as large as a transaction can be.
    await context.store.txn({
      compare: [{ key, target: "version", op: "=", value: 0 }],
      then: [{ kind: "put", key, value: context.secrets.seal(content, key) }],
    });
  }
}

function openInputs(
  { secrets }: Pick<ApiContext, "secrets">,
  scope: StackScope,
  inputs: SecretInputs,
): OpenSecret[] {
  return Object.entries(inputs).map(([name, input]) => {
    const content = decoded(name, input.content);
    const version = secrets.versionOf(content, `${stackKey(scope)}/${name}`);
    return { name, version, content };
  });
}

function decoded(name: string, text: string): Uint8Array {
  const content = Buffer.from(text, "base64");
  // Buffer skips what is no base64; bytes that were silently lost would be another secret.
  if (content.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, "")) {
    throw new ProtocolError("invalid_request", `the content of secret ${name} is no base64`);
  }
  if (content.length <= SECRET_BYTES_MAX) return content;
  const message = `secret ${name} has ${content.length} bytes, at most ${SECRET_BYTES_MAX}`;
  throw new ProtocolError("limit_exceeded", message, {
    limit: "secret bytes",
    value: content.length,
    maximum: SECRET_BYTES_MAX,
  });
}

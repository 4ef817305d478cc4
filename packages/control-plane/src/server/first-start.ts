/**
 * What a server needs before it can serve, made at its first start and found at later ones: the key of the
 * secrets, the administrator's token and that of the agent on this machine. (The cluster's identity is made
 * by the control plane.)
 *
 * Tokens are written to files for their owners and never shown; the store has their hashes only. A token's
 * file is the truth: when it was taken away or changed, the token of that name is replaced. Every step may
 * be cut off by a crash and is finished by the next start.
 */

import { randomBytes } from "node:crypto";
import type { Clock } from "@berth/base";
import { keys, ProtocolError, type Token } from "@berth/protocol";
import { hashToken } from "../api/authenticator.ts";
import { SECRET_KEY_BYTES } from "../api/secret-box.ts";
import { newToken } from "../api/tokens.ts";
import type { Operation, Store } from "../store/port.ts";
import { type DataPaths, readIfThere, writeSecretFile } from "./data-dir.ts";

const TOKEN_PATTERN = /^bt_[A-Za-z0-9_-]{43}$/;
/** Tokens of a cluster: its administrators and one a node. */
const TOKENS_MAX = 10_000;

/**
 * The key of the secrets.
 *
 * @throws ProtocolError `unavailable` when the store has a cluster but the file is gone: a new key could
 * not open what was sealed under the old one.
 */
export async function ensureSecretKey(paths: DataPaths, store: Store): Promise<Uint8Array> {
  const found = await readIfThere(paths.secretKey);
  if (found !== undefined) {
    if (found.length === SECRET_KEY_BYTES) return found;
    const message = `${paths.secretKey} has ${found.length} bytes, not ${SECRET_KEY_BYTES}`;
    throw new ProtocolError("unavailable", message, { path: paths.secretKey });
  }
  const { entry } = await store.get(keys.cluster());
  if (entry !== undefined) {
    const message = `${paths.secretKey} is missing: restore it from the backup, or copy it from another server of the cluster; secrets need it`;
    throw new ProtocolError("unavailable", message, { path: paths.secretKey });
  }
  const key = randomBytes(SECRET_KEY_BYTES);
  await writeSecretFile(paths.secretKey, key);
  return key;
}

/** The token in the file at `path`, made when there is none, and known to the store as `token.name`. */
export async function ensureToken(
  store: Store,
  clock: Clock,
  path: string,
  token: Pick<Token, "name" | "role" | "node">,
): Promise<void> {
  const found = (await readIfThere(path))?.toString().trim();
  const text = found !== undefined && TOKEN_PATTERN.test(found) ? found : newToken();
  if (text !== found) await writeSecretFile(path, `${text}\n`);
  const hash = hashToken(text);
  const key = keys.token(hash);
  const others: Operation[] = (await tokensNamed(store, token.name))
    .filter((other) => other !== key)
    .map((other) => ({ kind: "delete", key: other }));
  const value: Token = { ...token, hash, createdAt: clock.now() };
  const { entry } = await store.get(key);
  const put: Operation = { kind: "put", key, value: JSON.stringify(value) };
  const then = entry === undefined ? [...others, put] : others;
  if (then.length > 0) await store.txn({ compare: [], then });
}

async function tokensNamed(store: Store, name: string): Promise<string[]> {
  const { entries } = await store.list(keys.token(""), { limit: TOKENS_MAX });
  return entries
    .filter(({ value }) => (JSON.parse(value) as Token).name === name)
    .map(({ key }) => key);
}
